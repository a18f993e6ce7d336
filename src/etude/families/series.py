"""The numbers that a family records: the one that stands for a run, and what is drawn of them in which units."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from etude.families.recipe import Recipe

R = TypeVar("R", bound=Recipe)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What a metric would be in a case that is known, drawn as a dashed line."""

    metric: str
    text: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes of a run's losses: metrics that share a unit.

    Of one metric, the lines are its values in training, on the validation examples and on the test examples.
    """

    title: str
    axis: str
    """The unit: "nats per image"."""
    metrics: tuple[str, ...]
    """One, or several that are drawn in training only, each under its own name."""
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """The number by which runs of the family are compared, as training records it."""

    name: str
    terms: tuple[str, ...]
    """Recorded metrics whose sum it is, without their split."""
    better: Literal["higher", "lower"] | None = "lower"
    """Which way is better; None where neither is."""
    split: str = "test"
    when: str = "test split, at the end of training"
    scores_pixels: bool = False
    """Whether it depends on how a pixel is scored."""
    note: str = ""
    """Why no cell of a sweep is chosen by it."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One recorded metric epoch by epoch, as a sweep draws it with its interval."""

    metric: str
    """With its split: `train/loss`."""
    title: str
    axis: str


@dataclass(frozen=True, kw_only=True)
class Series(Generic[R]):
    """Everything that tables and figures need to know of what a family records."""

    headline: tuple[str, ...]
    """The metric that stands for a run in a list: the first that it has."""
    quantity: Quantity
    curves: tuple[Curve, ...]
    panels: Callable[[R], Sequence[Panel]]
    """Of a run's losses."""


def of_losses(names: tuple[str, ...]) -> Series[Any]:
    """The series of a family that has none of its own: its losses in training, by name, the first of them first."""
    return Series(
        headline=(f"train/{names[0]}",),
        quantity=Quantity(name=names[0], terms=names[:1], split="train", when="training examples, last epoch"),
        curves=tuple(Curve(metric=f"train/{name}", title="Training", axis=name) for name in names),
        panels=lambda recipe: tuple(Panel(title="", axis=name, metrics=(name,)) for name in names),
    )
