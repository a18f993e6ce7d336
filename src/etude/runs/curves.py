"""The metrics of a run as curves to draw: its family's panels, filled with what the run recorded."""

from etude.drawing import curves
from etude.drawing.curves import Series
from etude.drawing.style import BLUE, GREEN, VERMILLION
from etude.families.book import family_of
from etude.families.series import Panel
from etude.recipes import Recipe
from etude.runs.events import Table

COLOURS = (BLUE, VERMILLION, GREEN)


def loss_panels(recipe: Recipe, table: Table) -> list[curves.Panel]:
    """The panels of a run's losses (and accuracy) against the training step; none before its first epoch."""
    panels = [_panel(panel, recipe, table) for panel in family_of(recipe).series.panels(recipe)]
    return [panel for panel in panels if panel.series]


def _panel(panel: Panel, recipe: Recipe, table: Table) -> curves.Panel:
    """One metric in training, on the validation and on the test examples; or several in training."""
    if len(panel.metrics) == 1:
        (key,) = panel.metrics
        lines = [
            _training(recipe, table, key, "training", BLUE),
            _means(table, f"validation/{key}", "validation", VERMILLION),
            _means(table, f"test/{key}", "test", GREEN),
        ]
    else:
        lines = [
            _training(recipe, table, key, key.removesuffix("_loss"), colour)
            for key, colour in zip(panel.metrics, COLOURS, strict=False)
        ]
    colours = dict(zip(panel.metrics, COLOURS, strict=False))
    drawn = [line for line in lines if len(line.steps)]
    references = [
        curves.Reference(text=each.text, value=each.value, colour=colours[each.metric])
        for each in panel.references
        if any(line.name == each.metric.removesuffix("_loss") for line in drawn)
    ]
    return curves.Panel(title=panel.title, y_label=panel.axis, series=drawn, references=references)


def _training(recipe: Recipe, table: Table, key: str, name: str, colour: str) -> Series:
    """A training loss by epoch or by report, whichever is finer."""
    epochs = _means(table, f"train/{key}", name, colour, over_steps=table.steps_per_epoch)
    reports = _means(table, f"running/{key}", name, colour, over_steps=recipe.report_every)
    return max(epochs, reports, key=lambda series: len(series.steps))


def _means(table: Table, column: str, name: str, colour: str, *, over_steps: int = 0) -> Series:
    """A column of means over the last `over_steps` steps, each at their middle: no mean is drawn later than it was."""
    steps, values = table.series(column)
    return Series(name=name, steps=steps - over_steps / 2, values=values, colour=colour, smooth=over_steps > 0)
