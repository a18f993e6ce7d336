"""The numbers by which runs are compared: what their training recorded, or a metric of `etude measure`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from etude.families.book import family_of
from etude.measurement import Settings
from etude.measurement.metric import Better, Metric
from etude.measurement.settings import Binarize
from etude.recipes import Recipe
from etude.runs import Run

Read = Callable[[Run, str], float | None]
"""From a run and a split to a number; None if the run has none."""


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """The number by which runs are compared: what it is, how it is read, which way is better."""

    name: str
    read: Read = field(compare=False, repr=False)
    about: str = ""
    """What it is, if the name alone does not say."""
    split: str = "test"
    when: str = "test split, at the end of training"
    better: Better = "lower"
    scores_pixels: bool = False
    """Whether it depends on how a pixel is scored."""
    binarize: Binarize | None = None
    """How the scored pixels become 0 or 1; None means as in training."""
    note: str = ""
    """Why it chooses no cell."""

    @property
    def title(self) -> str:
        """What is reported, such as test/accuracy."""
        return f"{self.split}/{self.name}"


def _last_sum(terms: tuple[str, ...], run: Run, split: str) -> float | None:
    last = run.metrics().last()
    values = [last.get(f"{split}/{term}") for term in terms]
    found = [value for value in values if value is not None]
    return sum(found) if len(found) == len(values) else None


def measured(metric: Metric, settings: Settings, read: Read) -> Yardstick:
    """A metric of `etude measure` as the number that stands for a run."""
    return Yardstick(
        name=metric.name,
        read=read,
        about=metric.about,
        when="test split, as `etude measure` does",
        better=metric.better,
        scores_pixels="binarize" in metric.depends_on,
        binarize=settings.binarize,
        note="" if metric.better else "Neither high nor low is better, so it chooses no cell.",
    )


def yardstick_of(recipe: Recipe) -> Yardstick:
    """What training records for a run of this recipe."""
    quantity = family_of(recipe).series.quantity
    return Yardstick(
        name=quantity.name,
        read=partial(_last_sum, quantity.terms),
        split=quantity.split,
        when=quantity.when,
        better=quantity.better,
        scores_pixels=quantity.scores_pixels,
        note=quantity.note,
    )


def basis_of(recipe: Recipe, yardstick: Yardstick) -> str:
    """What two recipes must share for their numbers to be comparable: the images, and how a pixel is scored."""
    parts = [recipe.data]
    if recipe.image_size:
        parts.append(f"{recipe.image_size} pixels")
    if recipe.fit and recipe.fit != "crop":
        parts.append(f"fitted by {recipe.fit}")
    parts += [f"{field} {value}" for field in recipe.repeated_over if (value := getattr(recipe, field)) is not None]
    if yardstick.scores_pixels:
        parts += recipe.scoring(yardstick.binarize)
    return ", ".join(parts)
