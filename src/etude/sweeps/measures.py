"""The numbers that stand for a run: what its training recorded, or a metric of `etude measure`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from etude.measurement import Settings
from etude.measurement.catalogue import Better, chosen
from etude.measurement.settings import Binarize
from etude.recipes import Recipe, Variational
from etude.runs import Run

Read = Callable[[Run, str], float | None]
"""From a run and a split to a number; None where the run has none."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """The number that stands for a run."""

    name: str
    read: Read = field(compare=False, repr=False)
    about: str = ""
    """What it is, where the name alone does not say."""
    split: str = "test"
    when: str = "test split, at the end of training"
    better: Better = "lower"
    scores_pixels: bool = False
    """Whether it depends on how a pixel is scored."""
    binarize: Binarize | None = None
    """How the scored pixels become 0 or 1; as in training when None."""
    note: str = ""
    """Why no cell is chosen by it."""

    @property
    def title(self) -> str:
        """What is reported: test/accuracy, say."""
        return f"{self.split}/{self.name}"


def _last_sum(terms: tuple[str, ...], run: Run, split: str) -> float | None:
    last = run.metrics().last()
    values = [last.get(f"{split}/{term}") for term in terms]
    found = [value for value in values if value is not None]
    return sum(found) if len(found) == len(values) else None


MEASURES = {
    "classifier": Measure(name="accuracy", read=partial(_last_sum, ("accuracy",)), better="higher"),
    # The bound itself, not the loss: cells with another beta or free bits stay comparable.
    "variational": Measure(
        name="negative_elbo_nats", read=partial(_last_sum, ("reconstruction_nats", "kl_nats")), scores_pixels=True
    ),
    "adversarial": Measure(
        name="generator_loss",
        read=partial(_last_sum, ("generator_loss",)),
        split="train",
        when="training images, last epoch",
        note="A GAN's loss does not say how well it draws: no cell is chosen by it; `etude measure SWEEP` says.",
    ),
}
"""What training records of a run of each family."""


def measured(name: str, run: Run, settings: Settings, read: Read) -> Measure:
    """A metric of `etude measure` as the number of runs like this one; `UsageError` where it does not fit them."""
    (metric,) = chosen(run, Settings(metrics=(name,)))
    return Measure(
        name=name,
        read=read,
        about=metric.about,
        when="test split, as `etude measure` does",
        better=metric.better,
        scores_pixels="binarize" in metric.depends_on,
        binarize=settings.binarize,
        note="" if metric.better else "Neither high nor low is better: no cell is chosen by it.",
    )


def measure_of(recipe: Recipe) -> Measure:
    """What training records for a run of this recipe."""
    return MEASURES[recipe.family]


def subject_of(recipe: Recipe, measure: Measure) -> str:
    """What two recipes must share for their numbers to be comparable: the images, and how a pixel is scored."""
    parts = [recipe.data]
    if recipe.image_size:
        parts.append(f"{recipe.image_size} pixels")
    if recipe.fit and recipe.fit != "crop":
        parts.append(f"fitted by {recipe.fit}")
    if measure.scores_pixels and isinstance(recipe, Variational):
        parts.append(f"{recipe.reconstruction} reconstruction")
        binarize = measure.binarize or recipe.binarize
        parts += [] if binarize == "none" else [f"{binarize} binarisation"]
    return ", ".join(parts)
