"""The latent space of an autoencoder: what its points decode to, and where images lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
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
_MAX_PLANE_DOTS = 1100
_MAX_LEGEND_CLASSES = 20


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
    """What each point of a plane decodes to: images (P, P, C, H, W) in [0, 1] at the points of `plane_points`.

    The first latent runs to the right, the second upward; the centre of an image lies at its point.
    """
    levels = to_bytes(images)[::-1]  # pictures have their first row on top, the plane its largest second latent
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
    # In an order of its own: images sorted by class would hide the first classes below the last.
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
    # A square window around the prior and all points, so that a σ is equally long in both directions.
    reach = 1.05 * max(2.2, float(np.abs(points).max(initial=0.0)))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.grid(True)
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    axes.set_title(title)

    if name_clusters and 1 < len(present) <= _MAX_LEGEND_CLASSES:
        halo = [Stroke(linewidth=2.5, foreground="white"), Normal()]
        for index in present.tolist():
            x, y = np.median(points[classes == index], axis=0)
            axes.text(x, y, class_names[int(index)], ha="center", va="center", weight="bold", path_effects=halo)

    shown = present[np.linspace(0, len(present) - 1, min(len(present), _MAX_LEGEND_CLASSES)).round().astype(int)]
    handles = [
        Line2D([], [], linestyle="", marker="o", color=colours[index], label=class_names[index]) for index in shown
    ]
    handles.append(Line2D([], [], linestyle="--", color="black", linewidth=1.3, label="prior 1σ, 2σ"))
    axes.legend(handles=handles, title="class", loc="upper left", bbox_to_anchor=(1.0, 1.0), alignment="left")
    return figure
