"""The latent space of an autoencoder: what its points decode to, and where images lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.patheffects import Normal, Stroke

from etude.drawing.style import class_colours, fit_around, style
from etude.drawing.tiles import as_array, to_bytes

if TYPE_CHECKING:
    from torch import Tensor

PLANE_POINTS = 31
PLANE_EXTENT = 2.0
_MAX_PLANE_DOTS = 1000
_MAX_LEGEND_CLASSES = 20
_NAME_GAP = 4
"""Dots between the names of two clusters."""


def plane_points(*, points: int = PLANE_POINTS, extent: float = PLANE_EXTENT) -> np.ndarray:
    """The grid of `latent_plane`: (points, points, 2) float32, [row, column] = (first latent, second latent).

    The first latent grows with the column, the second with the row; both from −extent to extent.
    """
    values = np.linspace(-extent, extent, points, dtype=np.float32)
    first, second = np.meshgrid(values, values)
    return np.stack([first, second], axis=-1)


@style()
def latent_plane(
    images: Tensor | np.ndarray, *, title: str, axis_names: tuple[str, str], extent: float = PLANE_EXTENT
) -> Figure:
    """The decoded image of each point of a plane: images (P, P, C, H, W) in [0, 1] at the points of `plane_points`.

    The first latent runs to the right, the second upward; an image is centred at its point.
    """
    levels = to_bytes(images)[::-1]  # a picture's first row is on top: the plane's largest second latent
    points, _, channels, height, width = levels.shape
    pixels = levels.transpose(0, 3, 1, 4, 2).reshape(points * height, points * width, channels)
    pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))

    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    edge = extent + extent / (points - 1)  # half a cell beyond the outermost points
    shrink = max(pixels.shape[:2]) > _MAX_PLANE_DOTS
    axes.imshow(
        pixels, interpolation="antialiased" if shrink else "none", extent=(-edge, edge, -edge, edge), aspect="auto"
    )
    ticks = np.linspace(-extent, extent, 5)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    axes.set_title(title)
    ratio = min(1.0, _MAX_PLANE_DOTS / max(pixels.shape[:2]))
    fit_around(figure, axes, width_dots=round(pixels.shape[1] * ratio), height_dots=round(pixels.shape[0] * ratio))
    return figure


def _name_clusters(axes: Axes, medians: np.ndarray, names: Sequence[str]) -> None:
    """Write each name at its median (N, 2), moved aside if names would overlap."""
    halo = [Stroke(linewidth=2.5, foreground="white"), Normal()]
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()  # places the axes: boxes of text are in dots
    texts = [
        axes.text(x, y, name, ha="center", va="center", weight="bold")
        for (x, y), name in zip(medians, names, strict=True)
    ]
    sizes = np.array([[box.width, box.height] for box in (text.get_window_extent() for text in texts)]) + _NAME_GAP
    centres = axes.transData.transform(medians)
    places = apart(centres, sizes)
    for text, size, centre, place in zip(texts, sizes, centres, places, strict=True):
        text.set(position=axes.transData.inverted().transform(place), path_effects=halo)
        if (np.abs(place - centre) > size / 2).any():  # moved from its place
            ends = axes.transData.inverted().transform([centre, place])
            axes.plot(*ends.T, color="black", linewidth=0.8, path_effects=halo)


def apart(centres: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Centres (N, 2) of boxes of `sizes` (N, 2), moved just enough that none overlap.

    Each overlapping pair is pushed apart along the axis with the smaller overlap, each box by half of it, until no
    overlap is left (or for 500 rounds, if names have no room).
    """
    places = centres.astype(float)
    for _ in range(500):
        moved = False
        for i in range(len(places)):
            for j in range(i):
                between = places[i] - places[j]
                overlap = (sizes[i] + sizes[j]) / 2 - np.abs(between)
                if (overlap > 1e-6).all():
                    axis = int(overlap.argmin())
                    push = np.zeros(2)
                    push[axis] = overlap[axis] / 2 * (1 if between[axis] >= 0 else -1)
                    places[i], places[j], moved = places[i] + push, places[j] - push, True
        if not moved:
            break
    return places


@style()
def latent_scatter(
    means: Tensor | np.ndarray,
    labels: Tensor | np.ndarray,
    *,
    class_names: Sequence[str],
    title: str,
    axis_names: tuple[str, str],
    name_clusters: bool = True,
) -> Figure:
    """Where images lie in latent space: posterior means (N, 2), coloured by label (N,) in [0, classes).

    `name_clusters` also writes each class's name at its median, for classes that lie apart.

    Dashed circles hold 39 % (1σ) and 86 % (2σ) of the prior N(0, I), which the decoder is sampled from.
    """
    points, classes = as_array(means), as_array(labels)
    colours = class_colours(len(class_names))
    present = np.unique(classes)
    # Shuffled: if images were sorted by class, the last classes would hide the first.
    order = np.random.default_rng(0).permutation(len(points))

    figure = Figure(figsize=(7.2, 5.8), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(
        points[order, 0],
        points[order, 1],
        s=7,
        c=[colours[index] for index in classes[order]],
        alpha=0.7,
        linewidths=0,
        rasterized=True,
    )
    for sigma in (1, 2):
        axes.add_patch(Circle((0, 0), sigma, fill=False, linestyle="--", linewidth=1.3, edgecolor="black"))
        axes.annotate(
            f"{sigma}σ",
            (sigma * np.cos(np.pi / 4), sigma * np.sin(np.pi / 4)),
            xytext=(2, 2),
            textcoords="offset points",
            fontweight="bold",
        )
    # A square window around the prior and all points, so that σ has the same length in both directions.
    reach = 1.05 * max(2.2, float(np.abs(points).max(initial=0.0)))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.grid(True)
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    axes.set_title(title)

    if name_clusters and 1 < len(present) <= _MAX_LEGEND_CLASSES:
        medians = np.stack([np.median(points[classes == index], axis=0) for index in present])
        _name_clusters(axes, medians, [class_names[int(index)] for index in present])

    shown = present[np.linspace(0, len(present) - 1, min(len(present), _MAX_LEGEND_CLASSES)).round().astype(int)]
    handles = [
        Line2D([], [], linestyle="", marker="o", color=colours[index], label=class_names[index]) for index in shown
    ]
    handles.append(Line2D([], [], linestyle="--", color="black", linewidth=1.3, label="prior 1σ, 2σ"))
    axes.legend(handles=handles, title="class", loc="upper left", bbox_to_anchor=(1.0, 1.0), alignment="left")
    return figure
