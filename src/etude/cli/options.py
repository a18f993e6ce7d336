"""The flags that `etude train` and `etude sweep` share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Where and how training runs, for one run or many; abstract."""

    jobs: int | None = None
    """Worker processes. Default: one per core; on a GPU a single one, which trains many runs together."""
    runs_dir: Path | None = None
    """Where runs are kept. Default: the folder in ETUDE_RUNS, or ./runs."""
    data_dir: Path | None = None
    """Where to look for data first."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """CPU or GPU. auto takes the fastest one available."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the networks while training. auto takes bf16 if it is faster (quality: docs/performance.md)."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Compile the whole training step. auto does so if the run is long enough to gain from it."""
    quiet: bool = False
    """Show no progress."""
    json: bool = False
    """Print one JSON object on stdout at the end, and nothing else."""
