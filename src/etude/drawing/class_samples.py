"""What a data set looks like: some images of each class, one row per class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.style import fit_around, style
from etude.drawing.tiles import GAP_LEVEL, LEGIBLE_PIXELS, as_array

if TYPE_CHECKING:
    from torch import Tensor

SAMPLES_PER_CLASS = 10
_GAP = 1
"""Gap between images, in pixels of the images."""


@style()
def class_samples(
    images: Tensor | np.ndarray, labels: Tensor | np.ndarray, class_names: Sequence[str], *, title: str = ""
) -> Figure:
    """The first ten images of each class, one row per class, with its name on the left.

    `images` are uint8 (N, C, H, W) with one or three channels, `labels` (N,) index `class_names`. A class with fewer
    images has a shorter row.
    """
    levels, classes = as_array(images), as_array(labels)
    height, width = levels.shape[2:]
    firsts = [np.flatnonzero(classes == label)[:SAMPLES_PER_CLASS] for label in range(len(class_names))]
    columns = max(1, *map(len, firsts))

    step_down, step_right = height + _GAP, width + _GAP
    pixels = np.full((len(firsts) * step_down + _GAP, columns * step_right + _GAP, 3), GAP_LEVEL, np.uint8)
    for row, chosen in enumerate(firsts):
        for column, index in enumerate(chosen):
            top, left = _GAP + row * step_down, _GAP + column * step_right
            # (C, H, W) to (H, W, C): a grey image's one channel fills all three
            pixels[top : top + height, left : left + width] = levels[index].transpose(1, 2, 0)

    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(pixels, interpolation="none", extent=(0, pixels.shape[1], pixels.shape[0], 0), aspect="auto")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.set_yticks(_GAP + np.arange(len(firsts)) * step_down + height / 2, class_names)
    axes.set_title(title)
    scale = max(1, LEGIBLE_PIXELS // max(height, width))
    fit_around(figure, axes, width_dots=pixels.shape[1] * scale, height_dots=pixels.shape[0] * scale)
    return figure
