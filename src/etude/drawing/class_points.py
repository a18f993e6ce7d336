"""The rows of a table as points of the plane, coloured by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from etude.drawing.style import class_colours, style
from etude.drawing.tiles import as_array

if TYPE_CHECKING:
    from torch import Tensor

MOST_POINTS = 5_000
_MOST_IN_LEGEND = 20


def plane(features: Tensor | np.ndarray, feature_names: Sequence[str]) -> tuple[np.ndarray, tuple[str, str]]:
    """Rows (N, F) as points (N, 2), and what the two axes are: the features themselves, or two principal components.

    `features` have mean 0 and standard deviation 1 if F is above 2. A single feature is drawn against its row number.
    """
    values = as_array(features).astype(np.float64)
    names = list(feature_names) or [f"feature {index}" for index in range(values.shape[1])]
    if values.shape[1] == 1:
        return np.stack([values[:, 0], np.arange(len(values))], axis=1), (names[0], "number of the row")
    if values.shape[1] == 2:
        return values, (names[0], names[1])
    centred = values - values.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)  # ascending
    # A direction's sign is arbitrary: its largest part points up.
    chosen = directions[:, [-1, -2]]
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(axis=0), [0, 1]])
    shares = 100 * variances[[-1, -2]] / max(variances.sum(), 1e-30)
    first, second = (f"principal component {number} ({share:.0f} % of the variance)" for number, share in
                     enumerate(shares, start=1))  # fmt: skip
    return centred @ chosen, (first, second)


@style()
def class_points(
    points: Tensor | np.ndarray,
    labels: Tensor | np.ndarray,
    class_names: Sequence[str],
    *,
    axis_names: tuple[str, str],
    title: str = "",
) -> Figure:
    """Points (N, 2) in the colours of their `labels` (N,), indices of `class_names`. Draws at most the first 5,000."""
    places, classes = as_array(points)[:MOST_POINTS], as_array(labels)[:MOST_POINTS]
    colours = class_colours(len(class_names))
    # Shuffled, because rows sorted by class would hide the first classes below the last.
    order = np.random.default_rng(0).permutation(len(places))
    figure = Figure(figsize=(7.2, 5.8), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(
        *places[order].T, s=12, c=[colours[index] for index in classes[order]], alpha=0.7, linewidths=0, rasterized=True
    )
    axes.grid(True)
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    axes.set_title(title)
    spans = np.ptp(places, axis=0)
    if 0.2 < spans[0] / max(spans[1], 1e-30) < 5:  # probably the same unit
        axes.set_aspect("equal", adjustable="datalim")
    shown = np.linspace(0, len(class_names) - 1, min(len(class_names), _MOST_IN_LEGEND)).round().astype(int)
    handles = [
        Line2D([], [], linestyle="", marker="o", color=colours[index], label=class_names[index]) for index in shown
    ]
    axes.legend(handles=handles, title="class", loc="upper left", bbox_to_anchor=(1.0, 1.0), alignment="left")
    return figure
