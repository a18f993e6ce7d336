"""How to compute: what a person may choose, and what was chosen for a run."""

from dataclasses import dataclass
from typing import Literal

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
Compile = Literal["auto", "on", "off"]


@dataclass(frozen=True, kw_only=True)
class Compute:
    """How to compute, as asked for. It affects speed and rounding, never the experiment."""

    device: Device = "auto"
    """Processor or graphics card; auto takes the fastest at hand."""
    threads: int | None = None
    """Processor threads; None for all cores, or one where a step is too small for more."""
    precision: Precision = "auto"
    """Arithmetic of the networks while training; auto takes bf16 where it is faster."""
    compile: Compile = "auto"
    """Compile the whole training step; auto does where the run is long enough to gain by it."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a run is computed: what determines its last bits beside its recipe; recorded with it."""

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
