"""The autoencoders that the studies of this topic share, so that none is trained twice, and what is read from them."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, NamedTuple, cast

import torch
from torch import Tensor

from etude.families.abilities import Encodes
from etude.families.ranges import Range
from etude.measurement import measure
from etude.recipes import get
from etude.runs import Run
from etude.studies import Lab, Repeated

QUICK = {"seeds": 4, "epochs": 6}
"""What `--quick` changes in all of them, so that they share these runs too."""


@dataclass(frozen=True, kw_only=True)
class Autoencoders(Repeated):
    """The knobs of a study that trains variational autoencoders; abstract."""

    data: Literal["digits", "mnist"] = "digits"
    """The images: digits comes with étude, mnist is downloaded."""
    epochs: Annotated[int, Range(1, 1000)] = 30
    """Passes over the training images."""
    batch_size: Annotated[int, Range(1, 1500)] = 16
    """Images per step; few, since digits has only 1,500."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 3e-3
    """Step size of Adam."""


class Codes(NamedTuple):
    """Images and what the encoder makes of them."""

    images: Tensor
    """(N, C, H, W) in [0, 1]."""
    labels: Tensor
    """(N,)."""
    mean: Tensor
    """(N, latent_dim)."""
    logvar: Tensor
    """(N, latent_dim)."""

    def draw(self, generator: torch.Generator) -> Tensor:
        """One latent per image, drawn from its posterior: (N, latent_dim)."""
        return self.mean + (0.5 * self.logvar).exp() * torch.randn(self.mean.shape, generator=generator)


def train(lab: Lab, design: Autoencoders, recipe: str = "vae", **changes: Any) -> tuple[Run, ...]:
    """A run of the recipe for each seed, with the same settings in all studies."""
    (cell,) = lab.train(
        recipe, grid={}, seeds=design.each_seed, data=design.data, epochs=design.epochs, batch_size=design.batch_size,
        optimizer=replace(get("vae").optimizer, learning_rate=design.learning_rate), **changes,
    )  # fmt: skip
    return cell.runs


@torch.no_grad()
def codes_of(run: Run, split: Literal["train", "test"] = "test") -> Codes:
    """The posterior of each image of a split."""
    dataset = run.dataset()
    part = dataset.test if split == "test" else dataset.train
    inputs = run.inputs(part.images)
    mean, logvar = cast(Encodes, run.trained).encode(inputs, part.labels if run.conditional else None)
    return Codes(inputs, part.labels, mean, logvar)


def measured_of(run: Run, *metrics: str) -> dict[str, float]:
    """Metrics on the test images; what was measured before is read from the run's folder."""
    found = measure(run, metrics=list(metrics), say=lambda line: None)
    return {name: float(found[name]["value"]) for name in metrics}


def rms(values: Tensor) -> float:
    """Root of the mean square."""
    return float(values.double().square().mean().sqrt())
