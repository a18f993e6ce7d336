"""What a person may choose about a measurement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from etude.errors import UsageError, unknown

Binarize = Literal["none", "static", "dynamic", "threshold"]
MeasuredSplit = Literal["test", "validation"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one measurement; every field is a flag of `etude measure`."""

    metrics: Sequence[Any] = ()
    """Names of metrics, and of one's own, FILE.py:NAME or a function; empty for all that fit the run."""
    split: MeasuredSplit = "test"
    """Whose images are measured: test, to report, or validation, those that the run held out, to choose by."""
    num_samples: int = 10_000
    """Images on each side of a comparison, at most as many as the split has."""
    seed: int = 0
    """Determines the generated images, the choice of real ones and every other draw."""
    features: str = "auto"
    """auto (a classifier trained on the same data), inception, or FILE.py:Name, a torch module of one's own."""
    extrapolate: bool = False
    """Whether to add the Fréchet distance extrapolated to infinitely many samples."""
    binarize: Binarize | None = None
    """How the pixels that a VAE is scored on become 0 or 1; as the run was trained when None."""
    num_importance: int = 1000
    """Latents drawn per image for the importance-weighted bound."""
    num_likelihood_images: int = 500
    """Images that the importance-weighted bound is averaged over, at most."""

    def __post_init__(self) -> None:
        if isinstance(self.metrics, str):
            raise UsageError(f"metrics is {self.metrics!r}; allowed: a list of names, such as ['fid', 'kid'].")
        for flag, given, allowed in (("binarize", self.binarize, Binarize), ("split", self.split, MeasuredSplit)):
            if given is not None and given not in get_args(allowed):
                raise unknown(f"--{flag}", given, get_args(allowed))
        wrong = [
            f"--{flag} {given} (allowed: {allowed})"
            for holds, flag, given, allowed in (
                (self.num_samples >= 10, "num-samples", self.num_samples, "at least 10"),
                (0 <= self.seed < 2**63, "seed", self.seed, "in [0, 2^63)"),
                (self.num_importance >= 1, "num-importance", self.num_importance, "at least 1"),
                (self.num_likelihood_images >= 2, "num-likelihood-images", self.num_likelihood_images, "at least 2"),
            )
            if not holds
        ]
        if wrong:
            raise UsageError(f"out of range: {'; '.join(wrong)}.")
