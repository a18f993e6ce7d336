"""Points in the plane: generated ones over real ones, and where a classifier draws its boundaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from etude.drawing.style import GREY, VERMILLION, class_colours, style
from etude.drawing.tiles import as_array

if TYPE_CHECKING:
    from torch import Tensor

MOST_POINTS = 2_000
"""The most points drawn per set: more would hide each other."""
GRID = 200
"""Points per axis at which a classifier is evaluated."""
MARGIN = 0.15
"""Margin around the points, as a share of their extent."""


@style()
def real_and_generated(
    real: Tensor | np.ndarray, generated: Tensor | np.ndarray, feature_names: Sequence[str] = (), *, title: str
) -> Figure:
    """Rows (N, F) by their first two features, or a single feature against the row number; real rows are grey."""
    figure = Figure(figsize=(4.2, 4.0), layout="constrained")
    axes = figure.subplots()
    shown = [_plane(each) for each in (real, generated)]
    for points, name, colour in zip(shown, ("real", "generated"), (GREY, VERMILLION), strict=True):
        axes.scatter(*points.T, s=6, color=colour, alpha=0.5, linewidths=0, label=name)
    _frame(axes, shown[0])
    axes.set_xlabel(_name(feature_names, 0))
    axes.set_ylabel(_name(feature_names, 1))
    axes.set_title(title)
    axes.legend(loc="upper right", markerscale=2.5, frameon=True, framealpha=0.8, edgecolor="none")
    return figure


@style()
def decision_regions(
    classify: Callable[[np.ndarray], np.ndarray],
    points: Tensor | np.ndarray,
    labels: Tensor | np.ndarray,
    class_names: Sequence[str],
    feature_names: Sequence[str] = (),
    *,
    title: str,
) -> Figure:
    """The plane in the colour of the predicted class, paler where the classifier is less sure.

    `classify` gives class probabilities (n, classes) of points (n, 2); `points` (N, 2) with `labels` (N,) lie over it.
    """
    points, labels = as_array(points)[:MOST_POINTS], as_array(labels)[:MOST_POINTS]
    figure = Figure(figsize=(5.4, 4.2), layout="constrained")
    axes = figure.subplots()
    _frame(axes, points)
    across, up = (np.linspace(*limits, GRID) for limits in (axes.get_xlim(), axes.get_ylim()))
    mesh = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2).astype(np.float32)
    probabilities = classify(mesh)  # (GRID², classes)
    colours = np.array([_rgb(colour) for colour in class_colours(len(class_names))])
    winner, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)[:, None]
    strength = 0.15 + 0.45 * (sure - 1 / len(class_names)) / (1 - 1 / len(class_names))
    shades = (1 - strength) + strength * colours[winner]
    extent = (*axes.get_xlim(), *axes.get_ylim())
    axes.imshow(
        shades.reshape(GRID, GRID, 3), origin="lower", extent=extent, aspect="auto", interpolation="nearest", zorder=0
    )
    if len(np.unique(winner)) > 1:
        axes.contour(
            across, up, winner.reshape(GRID, GRID), levels=np.arange(len(class_names)) + 0.5, colors="black",
            linewidths=0.8,
        )  # fmt: skip
    axes.scatter(*points.T, s=9, color=colours[labels], edgecolors="white", linewidths=0.3, zorder=3)
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=5, color=colour, label=name)
        for colour, name in zip(colours, class_names, strict=True)
    ]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
    axes.set_xlabel(_name(feature_names, 0))
    axes.set_ylabel(_name(feature_names, 1))
    axes.set_title(title)
    return figure


def _plane(rows: Tensor | np.ndarray) -> np.ndarray:
    """The first two features of at most `MOST_POINTS` rows, (n, 2)."""
    values = as_array(rows)[:MOST_POINTS]
    if values.shape[1] == 1:
        return np.column_stack([values[:, 0], np.arange(len(values)) / len(values)])
    return values[:, :2]


def _frame(axes: Axes, points: np.ndarray) -> None:
    """The limits of the axes: the points with a margin, no matter what else is drawn."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = MARGIN * np.maximum(high - low, 1e-6)
    axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
    axes.set_ylim(low[1] - margin[1], high[1] + margin[1])


def _name(names: Sequence[str], index: int) -> str:
    return names[index] if index < len(names) else ("first feature", "second feature")[index]


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
