"""What every recipe has: a frozen dataclass, with a range for every number. Each family derives its own.

Every field is a flag of `etude train RECIPE` and a key of a recipe's TOML file.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import Suppress

from etude.errors import UsageError, unknown
from etude.families.ranges import Range, Rule, require
from etude.files import PLAIN_NAME, PLAIN_NAME_RULE
from etude.user_code import is_spec

if TYPE_CHECKING:
    from etude.data.reading import Reading

OptimizerName = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "cosine", "triangular"]
Fit = Literal["crop", "pad", "stretch"]


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What changes from step to step in an optimizer's settings."""

    schedule: float
    """The factor of the learning rate, in [0, 1]."""
    average: float
    """The decay of running averages."""


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The optimizer of every network of a recipe."""

    name: OptimizerName
    """sgd (with momentum), adam (Kingma and Ba 2015) or adamw (decoupled weight decay)."""
    learning_rate: Annotated[float, Range(above=0)]
    """Step size."""
    schedule: Schedule = "constant"
    """The learning rate: constant; cosine, half a wave down to 0; triangular, up from a fifth of it, then down to 0."""
    momentum: Annotated[float, Range(0, below=1)] = 0.0
    """Heavy-ball momentum of sgd."""
    nesterov: bool = False
    """sgd: take the gradient's step ahead of the momentum's, as Nesterov (Sutskever et al. 2013)."""
    beta1: Annotated[float, Range(0, below=1)] = 0.9
    """adam: decay of the gradient's running mean."""
    beta2: Annotated[float, Range(0, below=1)] = 0.999
    """adam: decay of the squared gradient's running mean."""
    weight_decay: Annotated[float, Range(0)] = 0.0
    """L2 penalty (sgd, adam) or decoupled decay (adamw)."""
    clip_norm: Annotated[float, Range(0)] = 0.0
    """Scale gradients down so that a network's have at most this norm (Pascanu et al. 2013); 0: as they are."""
    average: Annotated[float, Range(0, below=1)] = 0.0
    """Decay of the running average of the weights, which a family may use in place of the weights. 0: none."""

    def __post_init__(self) -> None:
        require(self, "--optimizer.")

    def rules(self) -> Iterator[Rule]:
        """What no range can say."""
        fits = not self.nesterov or (self.name == "sgd" and self.momentum > 0)
        yield fits, "nesterov", "for sgd with a momentum above 0; else --optimizer.no-nesterov"

    def rates_at(self, step: int, total_steps: int) -> "Rates":
        """The rates of the step that comes after `step` of `total_steps`.

        The running average starts short, so that it soon forgets the initial weights: its decay is at most (1 + step) /
        (10 + step).
        """
        average = min(self.average, (1 + step) / (10 + step))
        return Rates(schedule=self.schedule_at(step / total_steps), average=average)

    def schedule_at(self, progress: float) -> float:
        """The factor of the learning rate after the fraction `progress` in [0, 1] of the run's steps.

        triangular rises during the first fifth of the steps (Smith 2017).
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
    """What every recipe has. Abstract: each family has its own."""

    family: ClassVar[str]
    """The family's name, and the name of its folder."""
    changed_together: ClassVar[tuple[str, ...]] = ()
    """Fields, in addition to seed and learning rate, that may differ between runs trained as one program. They reach a
    step as tensors."""
    repeated_over: ClassVar[tuple[str, ...]] = ()
    """Fields that repeat an experiment as the seed does, such as the fold that tests: a sweep reports the mean over
    their values."""
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
    """Data set: its name (`etude data` lists them), or your own as folder:PATH, npz:FILE, csv:FILE, text:PATH,
    pairs:FILE or chars:FILE."""
    image_size: Annotated[int | None, Range(16)] = None
    """Resize images of a folder: to squares with this side in pixels. Default: 32."""
    fit: Fit | None = None
    """How to make images of a folder: square: crop to the central square (the default), pad with black bars, or
    stretch."""
    skip_broken: bool = False
    """Leave out images of a folder: that cannot be read. The run records which."""
    train_images: Annotated[int | None, Range(1)] = None
    """Train on at most this many examples: the first ones, or of data that lie class by class the first ones of each
    class. Default: all that are not held out."""
    validation_images: Annotated[int | None, Range(0)] = None
    """Examples held out of the training split for validation. Default: 5,000, or a tenth of a smaller split. If a
    folder: has val/, this many of its images are used; unset or 0 means all."""
    epochs: Annotated[int, Range(1)]
    """Passes over the training examples."""
    batch_size: Annotated[int, Range(1)]
    """Examples per step."""
    optimizer: Optimizer
    """The optimizer's settings."""
    report_every: Annotated[int, Range(1)] = 250
    """Steps between two entries of the metrics file, and between two sample grids of a GAN."""
    family_file: Annotated[str | None, Suppress] = None
    """For a person's family: the file that defines it, `my_family.py:FAMILY`."""
    seed: Annotated[int, Range(0, below=2**63)] = 0
    """Determines every random draw of the run: initial weights, order of the examples, noise."""

    def __post_init__(self) -> None:
        if self.networks and self.network not in self.networks and not is_spec(self.network):
            raise unknown("network", self.network, self.networks, hint="or a file's, as net.py:Net")
        if not PLAIN_NAME.fullmatch(self.name):
            raise UsageError(f"recipe name {self.name!r} (allowed: {PLAIN_NAME_RULE}).")
        require(self, "--")

    def rules(self) -> Iterator[Rule]:
        """What no range can say, of a family's own fields: see `ranges.Rule`."""
        yield from ()

    @property
    def code(self) -> dict[str, str]:
        """What the recipe names in a person's files, `FILE.py:NAME`, by field."""
        named = {field: getattr(self, field) for field in ("family_file", *self.code_fields)}
        return {field: text for field, text in named.items() if isinstance(text, str) and is_spec(text)}

    @property
    def reading(self) -> "Reading":
        """How its data set is read."""
        from etude.data.reading import Reading  # when it is asked for: data need PyTorch, and recipes do not

        return Reading(image_size=self.image_size, fit=self.fit, skip_broken=self.skip_broken)

    @property
    def examples_per_step(self) -> int:
        """Examples that one step of the training loop takes."""
        return self.batch_size

    @property
    def differentiates_twice(self) -> bool:
        """Whether a step needs gradients of gradients, which étude's fast kernels do not have."""
        return False

    @property
    def num_latents(self) -> int:
        """The number of latents per example; 0 if the networks do not encode."""
        return 0

    def scoring(self, binarize: str | None = None) -> tuple[str, ...]:
        """How a pixel is scored, in words, if numbers depend on it. `binarize` replaces the recipe's own."""
        return ()
