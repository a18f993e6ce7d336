"""Whether bfloat16 pays on this processor: some lack the instructions, and some builds of PyTorch have slow kernels."""

import json
import platform
import time
from collections.abc import Callable

import torch
from torch.nn.functional import conv2d

from etude.data.places import cache_folder
from etude.errors import DiskError
from etude.files import write_atomically

_NEEDED_GAIN = 1.5
_ROUNDS = 7


def bf16_is_fast() -> bool:
    """Whether both matrix products and convolutions are clearly faster in bf16 than in float32, measured in 0.2 s.

    The answer is kept in the user's cache, one for each version of PyTorch and set of instructions: a run must not
    depend on how busy the machine was when it began.
    """
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    machine = f"torch {torch.__version__}, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    file = cache_folder() / "bf16.json"
    try:
        known = dict(json.loads(file.read_text()))
        if machine in known:
            return bool(known[machine]["fast"])
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    gains = measure_gains()
    verdict = {machine: {"fast": min(gains.values()) >= _NEEDED_GAIN, "gains": gains}}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps({**known, **verdict}, indent=1))
    except (OSError, DiskError):
        pass  # measured anew next time
    return verdict[machine]["fast"]


def measure_gains() -> dict[str, float]:
    """How many times faster than in float32 a matrix product and a convolution are in bf16, forward alone."""
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
    """The shortest of several times: what disturbs a measurement only ever makes it longer."""
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(3):
            apply(*inputs)
        times.append(time.perf_counter() - started)
    return min(times)
