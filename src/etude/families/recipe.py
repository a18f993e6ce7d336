"""What every recipe holds: a frozen dataclass, every field with its range. Each family has one derived from it.

Every field is a flag of `etude train RECIPE` and a key of a recipe's TOML file.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import Suppress

from etude.errors import UsageError, unknown
from etude.files import PLAIN_NAME, PLAIN_NAME_RULE
from etude.user_code import is_spec

if TYPE_CHECKING:
    from etude.data.reading import Reading

OptimizerName = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "cosine", "triangular"]
Fit = Literal["crop", "pad", "stretch"]


def _require(owner: str, *ranges: tuple[bool, str, object, str]) -> None:
    """Report every field out of its range at once, named as its flag."""
    prefix = f"--{owner}." if owner else "--"
    wrong = [f"{prefix}{flag} {given} (allowed: {allowed})" for holds, flag, given, allowed in ranges if not holds]
    if wrong:
        raise UsageError(f"out of range: {'; '.join(wrong)}.")


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What of an optimizer's settings changes from step to step."""

    schedule: float
    """The share of the learning rate that is left."""
    average: float
    """The decay of running averages."""


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The optimizer of every network of a recipe."""

    name: OptimizerName
    """sgd (with momentum), adam (Kingma and Ba 2015) or adamw (decoupled weight decay)."""
    learning_rate: float
    """Step size, above 0."""
    schedule: Schedule = "constant"
    """The learning rate: constant; cosine, half a wave down to 0; triangular, up from a fifth of it, then down to 0."""
    momentum: float = 0.0
    """Heavy-ball momentum of sgd, in [0, 1)."""
    nesterov: bool = False
    """sgd: take the gradient's step ahead of the momentum's, as Nesterov (Sutskever et al. 2013)."""
    beta1: float = 0.9
    """adam: decay of the gradient's running mean, in [0, 1)."""
    beta2: float = 0.999
    """adam: decay of the squared gradient's running mean, in [0, 1)."""
    weight_decay: float = 0.0
    """L2 penalty (sgd, adam) or decoupled decay (adamw), 0 or more."""
    clip_norm: float = 0.0
    """Scale gradients down so that a network's have at most this norm (Pascanu et al. 2013); 0: as they are."""
    average: float = 0.0
    """Decay of the running average of the weights that a family may use in place of them, in [0, 1); 0: none."""

    def __post_init__(self) -> None:
        _require(
            "optimizer",
            (0 < self.learning_rate < math.inf, "learning-rate", self.learning_rate, "above 0"),
            (0 <= self.momentum < 1, "momentum", self.momentum, "in [0, 1)"),
            (
                not self.nesterov or (self.name == "sgd" and self.momentum > 0),
                "nesterov",
                self.nesterov,
                "for sgd with a momentum above 0; else --optimizer.no-nesterov",
            ),
            (0 <= self.beta1 < 1, "beta1", self.beta1, "in [0, 1)"),
            (0 <= self.beta2 < 1, "beta2", self.beta2, "in [0, 1)"),
            (0 <= self.weight_decay < math.inf, "weight-decay", self.weight_decay, "0 or more"),
            (0 <= self.clip_norm < math.inf, "clip-norm", self.clip_norm, "0 or more"),
            (0 <= self.average < 1, "average", self.average, "in [0, 1)"),
        )

    def rates_at(self, step: int, total_steps: int) -> "Rates":
        """The rates of the step that comes after `step` of `total_steps`.

        The average begins short, so that the initial weights are soon forgotten: its decay is at most
        (1 + step) / (10 + step).
        """
        average = min(self.average, (1 + step) / (10 + step))
        return Rates(schedule=self.schedule_at(step / total_steps), average=average)

    def schedule_at(self, progress: float) -> float:
        """What of the learning rate is left once the fraction `progress` in [0, 1] of the run's steps is done.

        Triangular rises in the first fifth of the steps (Smith 2017).
        """
        match self.schedule:
            case "constant":
                return 1.0
            case "cosine":
                return 0.5 * (1 + math.cos(math.pi * progress))
            case "triangular":
                return 0.2 + 4 * progress if progress < 0.2 else 1.25 * (1 - progress)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What every recipe has; abstract: each family has its own."""

    family: ClassVar[str]
    """The family's name, and that of its folder."""
    changed_together: ClassVar[tuple[str, ...]] = ()
    """Fields, beside seed and learning rate, in which runs may differ that one program trains: they reach a step as
    tensors.
    """
    networks: ClassVar[tuple[str, ...]] = ()
    """The names that `network` may have, in addition to `FILE.py:NAME` if the family takes a user's network."""
    code_fields: ClassVar[tuple[str, ...]] = ("network",)
    """Fields that may name something in a person's file."""
    network: str

    name: Annotated[str, Suppress]
    """The recipe's name in `RECIPES`."""
    about: Annotated[str, Suppress]
    """One line for `etude recipes`."""
    data: str = "mnist"
    """Data set: its name (`etude data` lists them), or your own as folder:PATH, npz:FILE or csv:FILE."""
    image_size: int | None = None
    """Resize images of a folder: to squares with this side in pixels, at least 16. Default: 32."""
    fit: Fit | None = None
    """How to make images of a folder: square: crop to the central square (the default), pad with black bars, or
    stretch."""
    skip_broken: bool = False
    """Leave out images of a folder: that cannot be read. The run records which."""
    train_images: int | None = None
    """Train on at most this many images, the first ones. Default: all that are not held out."""
    validation_images: int | None = None
    """Images held out of the training split for validation. Default: 5,000, or a tenth of a smaller split. If a folder:
    has val/, this many of its images are used; unset or 0 means all."""
    epochs: int
    """Passes over the training images."""
    batch_size: int
    """Images per step."""
    optimizer: Optimizer
    """The optimizer's settings."""
    report_every: int = 250
    """Steps between two entries of the metrics file, and between two sample grids of a GAN."""
    family_file: Annotated[str | None, Suppress] = None
    """Of a person's family: the file that defines it, `my_family.py:FAMILY`."""
    seed: int = 0
    """Determines every random draw of the run: initial weights, order of the images, noise."""

    def __post_init__(self) -> None:
        if self.networks and self.network not in self.networks and not is_spec(self.network):
            raise unknown("network", self.network, self.networks, hint="or a file's, as net.py:Net")
        if not PLAIN_NAME.fullmatch(self.name):
            raise UsageError(f"recipe name {self.name!r} (allowed: {PLAIN_NAME_RULE}).")
        _require(
            "",
            (self.image_size is None or self.image_size >= 16, "image-size", self.image_size, "at least 16"),
            (self.train_images is None or self.train_images >= 1, "train-images", self.train_images, "at least 1"),
            (self.validation_images is None or self.validation_images >= 0, "validation-images",
             self.validation_images, "0 or more"),
            (self.epochs >= 1, "epochs", self.epochs, "at least 1"),
            (self.batch_size >= 1, "batch-size", self.batch_size, "at least 1"),
            (self.report_every >= 1, "report-every", self.report_every, "at least 1"),
            (0 <= self.seed < 2**63, "seed", self.seed, "in [0, 2^63)"),
            *self._ranges(),
        )  # fmt: skip

    @property
    def code(self) -> dict[str, str]:
        """What it names in a person's files, `FILE.py:NAME`, by field."""
        named = {field: getattr(self, field) for field in ("family_file", *self.code_fields)}
        return {field: text for field, text in named.items() if isinstance(text, str) and is_spec(text)}

    @property
    def reading(self) -> "Reading":
        """How its data set is read."""
        from etude.data.reading import Reading  # when it is asked for: data need PyTorch, and recipes do not

        return Reading(image_size=self.image_size, fit=self.fit, skip_broken=self.skip_broken)

    @property
    def examples_per_step(self) -> int:
        """Images that one step of the training loop takes."""
        return self.batch_size

    @property
    def differentiates_twice(self) -> bool:
        """Whether a step takes gradients of gradients: étude's fast kernels cannot give those."""
        return False

    @property
    def num_latents(self) -> int:
        """Numbers that describe an example; 0 where the networks do not encode."""
        return 0

    def scoring(self, binarize: str | None = None) -> tuple[str, ...]:
        """How a pixel is scored, in words, where a number depends on it; `binarize` in place of the recipe's own."""
        return ()

    def _ranges(self) -> Iterator[tuple[bool, str, object, str]]:
        """Of each field of one's own: whether it is in its range, its flag, its value, and what is allowed."""
        yield from ()
