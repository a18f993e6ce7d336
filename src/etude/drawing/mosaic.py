"""Images in labelled rows and columns: sample grids, evolution, reconstructions, interpolations, styles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from etude.drawing.style import VERMILLION, fit_around, style
from etude.drawing.tiles import GAP_LEVEL, LEGIBLE_PIXELS, as_array, to_bytes

if TYPE_CHECKING:
    from torch import Tensor

_GAP = 1
"""Gap between images, in pixels of the images."""
_GUTTER = 4
"""Wider gap that separates test images from generated ones."""
_DOTS_PER_LETTER = 11
"""Approximate width of a letter of a label; decides whether column labels must be turned."""


def image_grid(images: Tensor | np.ndarray, *, columns: int, title: str, column_labels: Sequence[str] = ()) -> Figure:
    """Images (N, C, H, W) in [0, 1], row by row; the last row may be shorter."""
    pictures = as_array(images)
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    white = np.ones((rows * columns - len(pictures), *pictures.shape[1:]), pictures.dtype)
    cells = np.concatenate([pictures, white]).reshape(rows, columns, *pictures.shape[1:])
    return _mosaic(cells, title=title, column_labels=column_labels)


def evolution_strip(
    images: Tensor | np.ndarray, *, steps: Sequence[int], title: str, column_labels: Sequence[str] = ()
) -> Figure:
    """How samples change in training: images (steps, N, C, H, W) in [0, 1], one row per step, one column per noise."""
    row_labels = [f"step {step:,}" for step in steps]
    return _mosaic(as_array(images), title=title, row_labels=row_labels, column_labels=column_labels)


def reconstructions(
    originals: Tensor | np.ndarray, decoded: Tensor | np.ndarray, *, column_labels: Sequence[str], title: str
) -> Figure:
    """Test images (N, C, H, W) in [0, 1] in the upper row, their decoded means in the lower."""
    return pairs(
        originals, decoded, column_labels=column_labels, row_labels=["original", "reconstruction"], title=title
    )


def pairs(
    upper: Tensor | np.ndarray,
    lower: Tensor | np.ndarray,
    *,
    column_labels: Sequence[str],
    row_labels: Sequence[str],
    title: str,
) -> Figure:
    """Images (N, C, H, W) in [0, 1] in one row, each with its counterpart below."""
    cells = np.stack([as_array(upper), as_array(lower)])  # (2, N, C, H, W)
    return _mosaic(cells, title=title, row_labels=row_labels, column_labels=column_labels)


def interpolation(
    starts: Tensor | np.ndarray,
    decoded: Tensor | np.ndarray,
    ends: Tensor | np.ndarray,
    *,
    mixes: Sequence[float],
    title: str,
) -> Figure:
    """From one test image to another through the latent space, one pair per row.

    `starts` and `ends` (R, C, H, W) are the test images, framed; `decoded` (R, mixes, C, H, W) lies between them: the
    decoded (1 − mix)·start + mix·end. All in [0, 1].
    """
    first, last = as_array(starts)[:, None], as_array(ends)[:, None]
    cells = np.concatenate([first, as_array(decoded), last], axis=1)  # (R, mixes + 2, C, H, W)
    labels = ["test", *(f"{mix:.1f}" for mix in mixes), "test"]
    return _mosaic(
        cells, title=title, column_labels=labels, gutters=(1, cells.shape[1] - 1), framed=(0, cells.shape[1] - 1)
    )


def style_rows(
    originals: Tensor | np.ndarray, decoded: Tensor | np.ndarray, *, class_names: Sequence[str], title: str
) -> Figure:
    """The style of each test image (R, C, H, W), framed, in every class: decoded (R, classes, C, H, W), in [0, 1]."""
    cells = np.concatenate([as_array(originals)[:, None], as_array(decoded)], axis=1)
    return _mosaic(cells, title=title, column_labels=["test", *class_names], gutters=(1,), framed=(0,))


@style()
def _mosaic(
    cells: np.ndarray,
    *,
    title: str,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    gutters: Sequence[int] = (),
    framed: Sequence[int] = (),
) -> Figure:
    """Cells (R, K, C, H, W) in [0, 1]; wide gaps before the columns `gutters`, frames around the columns `framed`."""
    rows, columns, _, height, width = cells.shape
    tops = _GAP + np.arange(rows) * (height + _GAP)
    lefts = _GAP + np.arange(columns) * (width + _GAP)
    for column in gutters:
        lefts[column:] += _GUTTER
    pixels = np.full((tops[-1] + height + _GAP, lefts[-1] + width + _GAP, 3), GAP_LEVEL, np.uint8)
    for column in gutters:
        pixels[:, lefts[column] - _GUTTER : lefts[column] - _GAP] = 255
    levels = to_bytes(cells).transpose(0, 1, 3, 4, 2)  # (R, K, H, W, C): a grey image's one channel fills all three
    for row, top in enumerate(tops):
        for column, left in enumerate(lefts):
            pixels[top : top + height, left : left + width] = levels[row, column]

    scale = max(1, LEGIBLE_PIXELS // max(height, width))
    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(pixels, interpolation="none", extent=(0, pixels.shape[1], pixels.shape[0], 0), aspect="auto")
    for spine in axes.spines.values():
        spine.set_visible(False)
    for column in framed:
        for top in tops:
            corner = (lefts[column] - 0.5, top - 0.5)
            frame = Rectangle(corner, width + 1, height + 1, fill=False, edgecolor=VERMILLION, linewidth=1.5)
            frame.set_clip_on(False)
            axes.add_patch(frame)

    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.set_yticks(tops + height / 2 if len(row_labels) else [], row_labels)
    axes.set_xticks(lefts + width / 2 if len(column_labels) else [], column_labels)
    if max(map(len, column_labels), default=0) * _DOTS_PER_LETTER > (width + _GAP) * scale:
        for text in axes.get_xticklabels():
            text.set(rotation=45, ha="left", va="bottom", rotation_mode="anchor")
    axes.set_title(title)
    fit_around(figure, axes, width_dots=pixels.shape[1] * scale, height_dots=pixels.shape[0] * scale)
    return figure
