"""Where and how a run is computed: device, threads, precision, and arithmetic that repeats bit for bit."""

import os
import platform
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import torch

from etude.compute import Compile, Compute, Execution, Precision
from etude.errors import UsageError, unknown
from etude.families.traits import Traits
from etude.speed.bf16 import bf16_is_fast
from etude.speed.denormals import denormals_flushed
from etude.speed.kernels import native
from etude.speed.memory import freed_memory_kept
from etude.speed.processor import processor_name


@contextmanager
def computing(execution: Execution) -> Iterator[None]:
    """Compute with these threads and deterministic algorithms within the block; then restore the settings."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    tf32 = torch.backends.cudnn.allow_tf32
    # The module gets this property during its import, where a type checker does not see it.
    deterministic_module: Any = torch.utils.deterministic
    fill = deterministic_module.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    torch.set_num_threads(execution.threads)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.allow_tf32 = False  # fp32 is taken literally: convolutions round as matrix products do
    deterministic_module.fill_uninitialized_memory = False  # a debugging aid that costs a tenth of a step
    try:
        with freed_memory_kept(), denormals_flushed():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.allow_tf32 = tf32
        deterministic_module.fill_uninitialized_memory = fill


def choose_execution(
    compute: Compute,
    traits: Traits,
    *,
    num_steps: int,
    examples_per_step: int,
    differentiates_twice: bool = False,
) -> Execution:
    """Choose the execution: what was asked for, and for the rest what is fastest for networks with these traits."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    device, threads = str(compute.device), compute.threads
    if device == "auto":
        device = "cuda" if available["cuda"] else "mps" if available["mps"] else "cpu"
    if not available.get(device):
        at_hand = ", ".join(name for name, there in available.items() if there)
        raise UsageError(
            f"--device {device}: this machine has no such device for PyTorch; choose from auto, {at_hand}."
        )
    cores = os.cpu_count() or 1
    if threads is not None and not 1 <= threads <= 1024:
        raise UsageError(f"--threads {threads} (allowed: 1 to 1024; this machine has {cores} cores).")
    precision = str(compute.precision)
    if precision not in get_args(Precision):
        raise unknown("precision", precision, get_args(Precision))
    if precision == "auto":
        on_cpu = device == "cpu" and traits.bf16 and bf16_is_fast()
        on_gpu = device == "cuda" and traits.bf16_on_a_gpu and torch.cuda.is_bf16_supported()
        precision = "bf16" if on_cpu or on_gpu else "fp32"
    compile = str(compute.compile)
    if compile not in get_args(Compile):
        raise unknown("choice for --compile", compile, get_args(Compile))
    if compile == "auto":
        pays = traits.steps_that_pay_for_compiling
        worth = device == "cpu" and pays is not None and num_steps >= pays
        worth = worth and not traits.eager and not (differentiates_twice and traits.slower_compiled_without_own_layers)
        compile = "on" if worth and not missing_for_compiling(traits, device) else "off"
    elif compile == "on" and traits.eager:
        raise UsageError(f"--compile on: {traits.eager}; train with --compile off.")
    elif compile == "on" and (missing := missing_for_compiling(traits, device)):
        raise UsageError(f"--compile on needs {missing}, not found here: install it, or train with --compile off.")
    if threads is None:
        threads = 1 if examples_per_step <= traits.largest_batch_for_one_thread else torch.get_num_threads()
    return Execution(
        device=device,
        threads=threads,
        precision=precision,
        compiled=compile == "on",
    )


def missing_for_compiling(traits: Traits, device: str) -> str | None:
    """What compiling needs but does not find."""
    if not shutil.which("g++"):
        return "the C++ compiler g++"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "the header Python.h (package python3-dev or the like)"
    if device == "cpu" and traits.own_layers:
        try:
            native.load()
        except OSError as error:
            return f"a C++ compiler that étude's layers pass ({error})"
    return None


def describe_machine() -> dict[str, Any]:
    """Versions and machine, for recipe.json."""
    packages = ("etude", "torch", "numpy")
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processor": processor_name(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "cores": os.cpu_count(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }
