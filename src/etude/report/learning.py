"""Figures of how a run learned and what it learned to do: losses, samples, confusion."""

from collections.abc import Iterator
from math import log

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.classification import confusion_matrix, per_class_accuracy
from etude.drawing.curves import Panel, Reference, Series, loss_curves
from etude.drawing.mosaic import evolution_strip, image_grid
from etude.drawing.style import BLUE, GREEN, VERMILLION
from etude.drawing.tiles import read_png, untile
from etude.errors import RunError
from etude.recipes import Adversarial, Recipe
from etude.report.material import MAX_CLASSES, Material
from etude.runs.events import Table

_PREVIEW_IMAGES, _PREVIEW_COLUMNS = 64, 8
_STRIP_ROWS, _STRIP_COLUMNS = 10, 10
_SAMPLE_ROWS = 8

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


def losses(material: Material) -> Figure:
    """Losses (and accuracy) against the training step."""
    run = material.run
    table = run.metrics()
    panels = list(
        _adversarial_panel(run.recipe, table) if isinstance(run.recipe, Adversarial) else _panels(run.recipe, table)
    )
    if not panels:
        raise RunError(f"run {run.name} has no losses yet: let it train through its first epoch.")
    return loss_curves(panels, steps_per_epoch=table.steps_per_epoch, title=material.title("Losses"))


def samples(material: Material) -> Figure:
    """New images from the trained network; of a conditional one a column per class, or all of one class."""
    run, names = material.run, material.run.class_names
    by_class = material.conditional and material.label is None and len(names) <= MAX_CLASSES
    columns = len(names) if by_class else _PREVIEW_COLUMNS
    images = run.sample(_SAMPLE_ROWS * columns, labels=material.label)
    return image_grid(images, columns=columns, title=material.title("Samples"), column_labels=names if by_class else ())


def evolution(material: Material) -> Figure:
    """What the same noise became in the course of training."""
    run = material.run
    previews = run.preview_images()
    if not previews:
        raise RunError(f"run {run.name} has no sample grids yet: let it train through its first epoch.")
    chosen = [previews[index] for index in _spread(len(previews), _STRIP_ROWS)]
    rows = []
    for _, path in chosen:
        try:
            grid = untile(read_png(path), image_shape=run.image_shape, columns=_PREVIEW_COLUMNS, count=_PREVIEW_IMAGES)
        except (OSError, ValueError) as error:
            raise RunError(f"damaged sample grid {path}: delete it and draw again.") from error
        rows.append(grid[:_STRIP_COLUMNS])
    names = run.class_names  # the previews of a conditional autoencoder take the classes in turn
    return evolution_strip(
        np.stack(rows),
        steps=[step for step, _ in chosen],
        title=material.title("Samples in the course of training"),
        column_labels=[names[index % len(names)] for index in range(_STRIP_COLUMNS)] if material.conditional else (),
    )


def confusion(material: Material) -> Figure:
    """Test images by true and predicted class."""
    return confusion_matrix(
        material.confusion, class_names=material.run.class_names, title=material.title("Confusion on the test images")
    )


def accuracy_of_classes(material: Material) -> Figure:
    """Test accuracy of each class with its uncertainty."""
    return per_class_accuracy(
        material.confusion, class_names=material.run.class_names, title=material.title("Accuracy per class")
    )


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


def _spread(available: int, wanted: int) -> list[int]:
    """At most `wanted` of the indices below `available`, evenly spread, the first and the last among them."""
    return np.linspace(0, available - 1, min(available, wanted)).round().astype(int).tolist()
