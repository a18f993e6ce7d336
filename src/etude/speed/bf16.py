"""Whether bfloat16 is faster on this processor: some lack the instructions, and some builds of PyTorch have slow
kernels."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import conv2d

from etude.data.search_paths import cache_folder
from etude.errors import DiskError
from etude.files import locked, write_atomically
from etude.speed.processor import processor_name

_NEEDED_GAIN = 1.5
_ROUNDS = 7


def bf16_is_fast() -> bool:
    """Whether both matrix products and convolutions are clearly faster in bf16 than in float32, measured in 0.2 s.

    The answer is kept in the user's cache, one per version of PyTorch and processor: a run must not depend on how busy
    the machine was when it started.
    """
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    machine = f"torch {torch.__version__}, {processor_name()}, {torch.backends.cpu.get_cpu_capability()}"
    file = cache_folder() / "bf16.json"
    verdicts = _read(file)
    if machine not in verdicts:
        # If several runs start together, one measures and all use its result. If nothing can be kept, each measures.
        with suppress(DiskError), locked(file.with_suffix(".lock")):
            verdicts = _read(file)
            if machine not in verdicts:
                verdicts[machine] = _verdict()
                write_atomically(file, json.dumps(verdicts, indent=1))
    return (verdicts.get(machine) or _verdict())["fast"]


def _read(file: Path) -> dict[str, Any]:
    """The results by machine, without damaged ones."""
    try:
        verdicts = dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
    return {name: each for name, each in verdicts.items() if isinstance(each, dict) and type(each.get("fast")) is bool}


def _verdict() -> dict[str, Any]:
    gains = measure_gains()
    return {"fast": min(gains.values()) >= _NEEDED_GAIN, "gains": gains}


def measure_gains() -> dict[str, float]:
    """How many times faster than in float32 a matrix product and a convolution are in bf16, forward only."""
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(512, 512, generator=generator)
    images = torch.randn(32, 32, 14, 14, generator=generator).contiguous(memory_format=torch.channels_last)
    kernels = torch.randn(64, 32, 5, 5, generator=generator).contiguous(memory_format=torch.channels_last)
    gains = {}
    with torch.no_grad():
        for name, apply, inputs in (
            ("matrix product", torch.mm, (matrix, matrix)),
            ("convolution", conv2d, (images, kernels)),
        ):
            seconds = [
                _seconds(apply, *(each.to(dtype) for each in inputs)) for dtype in (torch.float32, torch.bfloat16)
            ]
            gains[name] = round(seconds[0] / seconds[1], 2)
    return gains


def _seconds(apply: Callable[..., object], *inputs: torch.Tensor) -> float:
    """The shortest of several times on one thread, in processor time, so that a busy machine does not decide."""
    times, threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in range(_ROUNDS):
            started = time.thread_time()
            for _ in range(3):
                apply(*inputs)
            times.append(time.thread_time() - started)
    finally:
        torch.set_num_threads(threads)
    return min(times)
