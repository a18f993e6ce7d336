"""Where and how a run is computed: device, threads, precision, and arithmetic that repeats bit for bit."""

import math
import os
import platform
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from etude.errors import UsageError, unknown
from etude.speed.bf16 import bf16_is_fast
from etude.speed.denormals import denormals_flushed
from etude.speed.kernels import native
from etude.speed.memory import freed_memory_kept
from etude.speed.processor import processor_name

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
Compile = Literal["auto", "on", "off"]

FASTER_IN_BF16 = ("gan", "dcgan", "vae", "cvae", "cifar-fast")
"""Networks that gain by bf16 where it is fast (quality: docs/performance.md); `lenet` is too small."""
FASTER_IN_BF16_ON_A_GPU = ("cifar-fast",)
"""Networks that a GPU computes in bf16 unless asked otherwise: most of their work is in large convolutions."""

STEPS_THAT_PAY_FOR_COMPILING = {"lenet": 12_000, "gan": 3_500, "dcgan": 1_500, "vae": 9_000, "cvae": 9_000}
"""Steps that, compiled, save by the second run what compiling costs in both; cifar-fast is slower compiled."""
WITH_OWN_LAYERS = ("lenet", "dcgan", "vae", "cvae")
"""Networks of which `kernels` compute some layers in compiled steps on a processor."""
SLOWER_COMPILED_WITHOUT_OWN_LAYERS = ("dcgan",)
"""Networks that gain by compiling only where their own layers are taken: Inductor pools one number at a time."""

LARGEST_BATCH_FOR_ONE_THREAD = {"lenet": 4}
"""Steps so small that further threads gain less than they cost in waiting for each other."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What determines the last bits of a run beside its recipe; recorded with it."""

    device: str
    threads: int
    """Processor threads."""
    precision: str
    """fp32, or bf16: networks compute in bfloat16, weights, losses and optimizers stay in float32."""
    compiled: bool
    """Whether the whole training step is compiled."""

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return ", ".join(
            [
                self.device,
                *([threads] if self.device == "cpu" else []),
                self.precision,
                *(["compiled"] if self.compiled else []),
                *(["a step as one CUDA graph"] if self.device == "cuda" else []),
            ]
        )

    def autocast(self) -> torch.autocast:
        """The context in which networks are applied while training."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16")

    @contextmanager
    def active(self) -> Iterator[None]:
        """Compute with these threads and deterministic algorithms within the block; put back what was set before."""
        threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        tf32 = torch.backends.cudnn.allow_tf32
        # The module gains this property while it is imported, out of a type checker's sight.
        deterministic_module: Any = torch.utils.deterministic
        fill = deterministic_module.fill_uninitialized_memory
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.allow_tf32 = False  # fp32 means it: convolutions round as matrix products do
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
    network: str,
    *,
    num_steps: int,
    images_per_step: int,
    differentiates_twice: bool = False,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    compile: str = "auto",
) -> Execution:
    """What was asked for, and for the rest what is fastest for that network at hand."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
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
    if precision not in get_args(Precision):
        raise unknown("precision", precision, get_args(Precision))
    if precision == "auto":
        on_cpu = device == "cpu" and network in FASTER_IN_BF16 and bf16_is_fast()
        on_gpu = device == "cuda" and network in FASTER_IN_BF16_ON_A_GPU and torch.cuda.is_bf16_supported()
        precision = "bf16" if on_cpu or on_gpu else "fp32"
    if compile not in get_args(Compile):
        raise unknown("choice for --compile", compile, get_args(Compile))
    if compile == "auto":
        pays = device == "cpu" and num_steps >= STEPS_THAT_PAY_FOR_COMPILING.get(network, math.inf)
        pays = pays and not (differentiates_twice and network in SLOWER_COMPILED_WITHOUT_OWN_LAYERS)
        compile = "on" if pays and not missing_for_compiling(network, device) else "off"
    elif compile == "on" and (missing := missing_for_compiling(network, device)):
        raise UsageError(f"--compile on needs {missing}, not found here: install it, or train with --compile off.")
    if threads is None:
        alone = images_per_step <= LARGEST_BATCH_FOR_ONE_THREAD.get(network, 0)
        threads = 1 if alone else torch.get_num_threads()
    return Execution(
        device=device,
        threads=threads,
        precision=precision,
        compiled=compile == "on",
    )


def missing_for_compiling(network: str, device: str) -> str | None:
    """What compiling needs and does not find."""
    if not shutil.which("g++"):
        return "the C++ compiler g++"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "the header Python.h (package python3-dev or the like)"
    if device == "cpu" and network in WITH_OWN_LAYERS:
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
