"""The metrics of a run as curves to draw: which series share a panel, in which units, beside which reference."""

from collections.abc import Iterator
from math import log

from etude.drawing.curves import Panel, Reference, Series
from etude.drawing.style import BLUE, GREEN, VERMILLION
from etude.recipes import Adversarial, Recipe
from etude.runs.events import Table

# Each adversarial loss once the discriminator can no longer tell: D = ½ everywhere, as (text, value).
_EQUILIBRIUM: dict[str, dict[str, tuple[str, float]]] = {
    "nonsaturating": {"discriminator": ("log 4 at D = ½", log(4)), "generator": ("log 2 at D = ½", log(2))},
    "minimax": {"discriminator": ("log 4 at D = ½", log(4)), "generator": ("−log 2 at D = ½", -log(2))},
    "least_squares": {"discriminator": ("¼ at D = ½", 1 / 4), "generator": ("⅛ at D = ½", 1 / 8)},
}
_ADVERSARIAL_UNITS = {
    "nonsaturating": "non-saturating loss (nats)",
    "minimax": "minimax loss (nats)",
    "least_squares": "least-squares loss",
    "wasserstein": "Wasserstein loss (score)",
    "hinge": "hinge loss (score)",
}
_NETWORK_COLOURS = {"discriminator": BLUE, "generator": VERMILLION}
_PANELS = {
    "loss": ("Cross-entropy", "nats per image"),
    "accuracy": ("Accuracy", "share of images"),
    "loss_nats": ("Loss", "nats per image"),
    "reconstruction_nats": ("Reconstruction", "nats per image"),
    "kl_nats": ("KL to the prior", "nats per image"),
}


def loss_panels(recipe: Recipe, table: Table) -> list[Panel]:
    """The panels of a run's losses (and accuracy) against the training step; none before its first epoch."""
    return list(_adversarial_panel(recipe, table) if isinstance(recipe, Adversarial) else _panels(recipe, table))


def _adversarial_panel(recipe: Adversarial, table: Table) -> Iterator[Panel]:
    """Both networks' losses, and what they would be if the discriminator could not tell real from generated."""
    series, references = [], []
    for name, colour in _NETWORK_COLOURS.items():
        line = _training(recipe, table, f"{name}_loss", name, colour)
        if len(line.steps):
            series.append(line)
            if name in _EQUILIBRIUM.get(recipe.loss, {}):
                text, value = _EQUILIBRIUM[recipe.loss][name]
                references.append(Reference(text=text, value=value, colour=colour))
    if series:
        yield Panel(title="", y_label=_ADVERSARIAL_UNITS[recipe.loss], series=series, references=references)


def _panels(recipe: Recipe, table: Table) -> Iterator[Panel]:
    """One panel a metric: in training, on the validation images, on the test images."""
    for key, (title, y_label) in _PANELS.items():
        lines = [
            _training(recipe, table, key, "training", BLUE),
            _means(table, f"validation/{key}", "validation", VERMILLION),
            _means(table, f"test/{key}", "test", GREEN),
        ]
        series = [line for line in lines if len(line.steps)]
        if series:
            yield Panel(title=title, y_label=y_label, series=series)


def _training(recipe: Recipe, table: Table, key: str, name: str, colour: str) -> Series:
    """A training loss by epoch or by report, whichever is finer."""
    epochs = _means(table, f"train/{key}", name, colour, over_steps=table.steps_per_epoch)
    reports = _means(table, f"running/{key}", name, colour, over_steps=recipe.report_every)
    return max(epochs, reports, key=lambda series: len(series.steps))


def _means(table: Table, column: str, name: str, colour: str, *, over_steps: int = 0) -> Series:
    """A column of means over the last `over_steps` steps, each at their middle: no mean is drawn later than it was."""
    steps, values = table.series(column)
    return Series(name=name, steps=steps - over_steps / 2, values=values, colour=colour, smooth=over_steps > 0)
