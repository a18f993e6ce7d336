"""Figures of how a run learned and what it learned to do: losses, samples, confusion."""

from typing import cast

import numpy as np
import torch
from matplotlib.figure import Figure

from etude.drawing.calibration import reliability_diagram
from etude.drawing.classification import confusion_matrix, per_class_accuracy
from etude.drawing.curves import loss_curves
from etude.drawing.mosaic import evolution_strip, image_grid, pairs
from etude.drawing.tiles import read_png, untile
from etude.errors import RunError
from etude.families.abilities import Denoises
from etude.figures.material import MAX_CLASSES, Material
from etude.metrics import nearest_training_images
from etude.metrics import reliability as measure_reliability
from etude.runs.curves import loss_panels
from etude.runs.splits import make_splits
from etude.streams import stream

_PREVIEW_IMAGES, _PREVIEW_COLUMNS = 64, 8
_STRIP_ROWS, _STRIP_COLUMNS = 10, 10
_SAMPLE_ROWS = 8
_SEARCHED_IMAGES, _SHOWN_PAIRS = 2000, 12


def losses(material: Material) -> Figure:
    """Losses (and accuracy) against the training step."""
    run = material.run
    table = run.metrics()
    panels = loss_panels(run.recipe, table)
    if not panels:
        raise RunError(f"run {run.name} has no losses yet: let it train through its first epoch.")
    return loss_curves(panels, steps_per_epoch=table.steps_per_epoch, title=material.title("Losses"))


def samples(material: Material) -> Figure:
    """New images from the trained network; for a conditional one, a column per class, or all of one class."""
    run, names = material.run, material.class_names
    by_class = material.conditional and material.label is None and len(names) <= MAX_CLASSES
    columns = len(names) if by_class else _PREVIEW_COLUMNS
    images = run.sample(_SAMPLE_ROWS * columns, labels=material.label)
    title = material.title("Samples", with_names=by_class)
    return image_grid(images, columns=columns, title=title, column_labels=names if by_class else ())


def evolution(material: Material) -> Figure:
    """The images from the same noise during training."""
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
    names = material.class_names  # the previews of a conditional autoencoder take the classes in turn
    return evolution_strip(
        np.stack(rows),
        steps=[step for step, _ in chosen],
        title=material.title("Samples during training", with_names=material.conditional),
        column_labels=[names[index % len(names)] for index in range(_STRIP_COLUMNS)] if material.conditional else (),
    )


@torch.no_grad()
def denoising(material: Material) -> Figure:
    """New images on their way from noise, one per column; if conditional, the classes in turn, or only one class."""
    run, names = material.run, material.class_names
    by_class = material.conditional and material.label is None
    classes = (
        torch.arange(_STRIP_COLUMNS) % len(names) if by_class else torch.full((_STRIP_COLUMNS,), material.label or 0)
    )
    labels = classes if material.conditional else None
    with run.sampling_precision():
        way = cast(Denoises, run.trained).way(_STRIP_COLUMNS, labels=labels, generator=stream(0, "sample"))
    chosen = _spread(len(way), _STRIP_ROWS)
    return evolution_strip(
        way[chosen],
        steps=chosen,
        title=material.title("From noise to new images", with_names=by_class),
        column_labels=[names[index] for index in classes.tolist()] if by_class else (),
    )


def copies(material: Material) -> Figure:
    """The new images that are nearest to a training image, each above that image, nearest first."""
    run = material.run
    training = make_splits(run.recipe, material.dataset).train.images
    images = run.sample(_SEARCHED_IMAGES)
    nearest = nearest_training_images(training, images)
    shown = nearest.distance.argsort(kind="stable")[:_SHOWN_PAIRS]
    return pairs(
        images[shown],
        training[nearest.index[shown]].float() / 255,
        column_labels=[f"{distance:.2f}" for distance in nearest.distance[shown]],
        row_labels=["new image", "nearest training"],
        title=material.title(f"Nearest of {_SEARCHED_IMAGES:,} new images to training images"),
    )


def confusion(material: Material) -> Figure:
    """Test images by true and predicted class."""
    title = material.title(f"Confusion on the test {material.examples}", with_names=True)
    return confusion_matrix(material.confusion, class_names=material.class_names, title=title)


def accuracy_of_classes(material: Material) -> Figure:
    """Test accuracy of each class with its uncertainty."""
    title = material.title("Accuracy per class", with_names=True)
    return per_class_accuracy(material.confusion, class_names=material.class_names, title=title)


def reliability(material: Material) -> Figure:
    """Whether a classifier is right as often as its confidence says, on the test images."""
    test = material.dataset.test
    result = measure_reliability(material.run.logits(test[material.run.kind.column]), test.labels)
    return reliability_diagram(
        result.edges, result.count, result.confidence, result.accuracy,
        error=result.expected_calibration_error, title=material.title(f"Reliability on the test {material.examples}"),
    )  # fmt: skip


def _spread(available: int, wanted: int) -> list[int]:
    """At most `wanted` of the indices below `available`, evenly spread, including the first and the last."""
    return np.linspace(0, available - 1, min(available, wanted)).round().astype(int).tolist()
