"""Where and how a run is computed: device, threads, and arithmetic that repeats bit for bit."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

import torch

from etude.errors import UsageError

Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """The device and the number of processor threads of a run; recorded, since both determine its last bits."""

    device: str
    threads: int

    @contextmanager
    def active(self) -> Iterator[None]:
        """Compute with these threads and deterministic algorithms within the block; put back what was set before."""
        threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        # The module gains this property while it is imported, out of a type checker's sight.
        deterministic_module: Any = torch.utils.deterministic
        fill = deterministic_module.fill_uninitialized_memory
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(True)
        deterministic_module.fill_uninitialized_memory = False  # a debugging aid that costs a tenth of a step
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
            deterministic_module.fill_uninitialized_memory = fill


def choose_execution(*, device: str = "auto", threads: int | None = None) -> Execution:
    """The device asked for, or the fastest at hand; all cores unless told otherwise."""
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
    return Execution(device=device, threads=threads or torch.get_num_threads())


def describe_machine() -> dict[str, Any]:
    """Versions and machine, for recipe.json."""
    packages = ("etude", "torch", "numpy")
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "cores": os.cpu_count(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }
