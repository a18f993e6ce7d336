"""A batch of images as one picture of tiles, and back: the sample grids of training."""

from __future__ import annotations

import io
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from etude.files import cannot_write, write_atomically

if TYPE_CHECKING:
    from torch import Tensor

GAP_PIXELS = 2
GAP_LEVEL = 224
"""Light grey: separates tiles with a black background from each other and from a white page."""
LEGIBLE_PIXELS = 64
"""Images below this size are enlarged by the largest whole factor that keeps them within it."""


def as_array(values: Tensor | np.ndarray) -> np.ndarray:
    """The values as a NumPy array, from any device; bfloat16, which NumPy lacks, becomes float32."""
    if isinstance(values, np.ndarray):
        return values
    values = values.detach().cpu()
    return (values.float() if values.is_floating_point() else values).numpy()


def to_bytes(images: Tensor | np.ndarray) -> np.ndarray:
    """Levels 0..255 of values in [0, 1]; values outside are clipped, and NaN becomes 0."""
    return np.rint(np.clip(np.nan_to_num(as_array(images)), 0, 1) * 255).astype(np.uint8)


def tile(images: Tensor | np.ndarray, *, columns: int) -> np.ndarray:
    """Lay images (N, C, H, W) in [0, 1] out row by row with a thin light gap between and around them.

    Returns uint8 pixels, (height, width, 3) for colour and (height, width) for grey images. Images smaller than
    `LEGIBLE_PIXELS` are enlarged by a whole factor, each pixel a square. Fewer images than columns make one full row.
    """
    levels = to_bytes(images)
    count, channels, height, width = levels.shape
    assert channels in (1, 3), levels.shape
    assert min(count, columns) >= 1, (count, columns)
    scale = _scale(height, width)
    levels = levels.repeat(scale, axis=2).repeat(scale, axis=3)  # (N, C, sH, sW)

    columns = min(columns, count)
    rows = ceil(count / columns)
    empty = rows * columns - count
    step_down, step_right = scale * height + GAP_PIXELS, scale * width + GAP_PIXELS
    # Each cell is an image with a gap below and to its right.
    cells = np.pad(levels, ((0, empty), (0, 0), (0, GAP_PIXELS), (0, GAP_PIXELS)), constant_values=GAP_LEVEL)
    cells[count:] = GAP_LEVEL
    grid = cells.reshape(rows, columns, channels, step_down, step_right)
    grid = grid.transpose(0, 3, 1, 4, 2).reshape(rows * step_down, columns * step_right, channels)
    grid = np.pad(grid, ((GAP_PIXELS, 0), (GAP_PIXELS, 0), (0, 0)), constant_values=GAP_LEVEL)
    return grid[:, :, 0] if channels == 1 else grid


def untile(pixels: np.ndarray, *, image_shape: tuple[int, int, int], columns: int, count: int) -> np.ndarray:
    """The images that `tile` laid out, (count, C, H, W) float32 in [0, 1], exact to 8 bits.

    Raises `ValueError` when the picture is not one of `count` such images in that number of columns.
    """
    channels, height, width = image_shape
    scale = _scale(height, width)
    columns = min(columns, count)
    rows = ceil(count / columns)
    step_down, step_right = scale * height + GAP_PIXELS, scale * width + GAP_PIXELS
    expected = (rows * step_down + GAP_PIXELS, columns * step_right + GAP_PIXELS)
    if pixels.shape != (expected if channels == 1 else (*expected, channels)):
        raise ValueError(f"{pixels.shape} pixels are not {count} tiles of {image_shape} in {columns} columns")
    grid = pixels.reshape(*expected, channels)[GAP_PIXELS:, GAP_PIXELS:]
    cells = grid.reshape(rows, step_down, columns, step_right, channels).transpose(0, 2, 4, 1, 3)
    cells = cells.reshape(rows * columns, channels, step_down, step_right)[:count]
    return cells[:, :, : scale * height : scale, : scale * width : scale].astype(np.float32) / 255


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write uint8 pixels, (height, width) or (height, width, 3), as a PNG file, whole or not at all.

    Makes the folder if it is missing. Raises `DiskError` if the disk is full or the folder not writable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    write_atomically(path, png_of(pixels))


def png_of(pixels: np.ndarray) -> bytes:
    """The content of a PNG file with these uint8 pixels, (height, width) or (height, width, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def read_png(path: Path) -> np.ndarray:
    """The uint8 pixels that `write_png` wrote, (height, width) or (height, width, 3).

    Raises `OSError` or `ValueError` if they have changed since they were written.
    """
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.verify()  # the checksums of its parts, which reading passes over
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image)
    except SyntaxError as error:  # so Pillow calls a wrong checksum
        raise ValueError(str(error)) from error


def _scale(height: int, width: int) -> int:
    return max(1, LEGIBLE_PIXELS // max(height, width))
