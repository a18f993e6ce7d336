"""The numbers that a family records: the one that stands for a run, and the curves to draw, with their units."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from etude.families.recipe import Recipe

R = TypeVar("R", bound=Recipe)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The value of a metric in a known case, drawn as a dashed line."""

    metric: str
    text: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes for a run's losses: metrics that share a unit.

    For one metric, the lines are its values in training, on the validation examples and on the test examples.
    """

    title: str
    axis: str
    """The unit: "nats per image"."""
    metrics: tuple[str, ...]
    """One metric, or several that are drawn in training only, each under its own name."""
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """The number by which runs of the family are compared, as training records it."""

    name: str
    terms: tuple[str, ...]
    """The recorded metrics that it is the sum of, without their split."""
    better: Literal["higher", "lower"] | None = "lower"
    """Which way is better; None where neither is."""
    split: str = "test"
    when: str = "test split, at the end of training"
    scores_pixels: bool = False
    """Whether it depends on how a pixel is scored."""
    note: str = ""
    """Why it does not choose the best cell of a sweep. Empty if it does."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One recorded metric per epoch, as a sweep draws it with its interval."""

    metric: str
    """With its split: `train/loss`."""
    title: str
    axis: str


@dataclass(frozen=True, kw_only=True)
class Series(Generic[R]):
    """Everything that tables and figures need to know of what a family records."""

    headline: tuple[str, ...]
    """The metrics that may stand for a run in a list. The first that the run has is used."""
    quantity: Quantity
    curves: tuple[Curve, ...]
    panels: Callable[[R], Sequence[Panel]]
    """The panels of a run's losses."""


def of_losses(names: tuple[str, ...]) -> Series[Any]:
    """The series of a family that defines none: its losses in training, by name, in their order."""
    return Series(
        headline=(f"train/{names[0]}",),
        quantity=Quantity(name=names[0], terms=names[:1], split="train", when="training examples, last epoch"),
        curves=tuple(Curve(metric=f"train/{name}", title="Training", axis=name) for name in names),
        panels=lambda recipe: tuple(Panel(title="", axis=name, metrics=(name,)) for name in names),
    )
