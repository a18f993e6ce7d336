"""One of a person's pictures, of any format, mode and size, as a square of 8-bit colours.

Levels beyond 8 bits (16-bit and 32-bit grey, 16-bit colours, fractions) need a range that becomes 0 to 255. It belongs
to a data set, not to a picture, so that a darker picture stays darker. Without a range, `read_picture` says which
levels a picture holds. `choose_range` chooses one for all pictures, and `read_picture` with it reads them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageFile, ImageOps

from etude.errors import DataError

Fit = Literal["crop", "pad", "stretch"]
Kind = Literal["whole numbers", "fractions"]
Range = tuple[float, float]

# Pillow's other readers are for rare formats, and one of them (EPS) starts another program.
_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_USUAL: dict[Kind, tuple[Range, ...]] = {
    "whole numbers": ((0, 255), (0, 65_535)),
    "fractions": ((0, 1), (0, 255), (0, 65_535)),
}
_16_BITS: Range = (0, 65_535)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture as it was read; final."""

    pixels: np.ndarray | None
    """uint8 (size, size, 3). None if a range is needed first."""
    kept: float
    """Share of its pixels inside the crop; 1 for a square."""
    moves: bool
    """Whether there are more frames or pages than the first. Only the first is read."""
    kind: Kind | None = None
    """The kind of its levels, if they go beyond 8 bits."""
    lowest: float = np.nan
    highest: float = np.nan
    """The lowest and highest of its finite levels beyond 8 bits, NaN without any."""
    not_finite: int = 0
    """How many levels are NaN or infinite."""


class BrokenPicture(DataError):
    """A picture that cannot be read. Its text is the reason alone."""


def read_picture(path: Path, size: int, *, fit: Fit, ranges: Mapping[Kind, Range]) -> Picture:
    """Read a picture, upright, fitted into a square of `size` pixels. `ranges` say which levels become 0 to 255.

    `fit` keeps the central square (crop), keeps everything and adds black bars (pad), or changes the proportions
    (stretch). Transparent parts become white. Raises `BrokenPicture` for what is not a picture.
    """
    with _opened(path) as image:
        image.draft(None, (2 * size, 2 * size))  # lets a large JPEG be decoded at a fraction of its size
        deep = _deep_levels(image, path)
        if deep is None:
            colours = to_rgb(ImageOps.exif_transpose(image))
            return Picture(pixels=_square(colours, size, fit), kept=_kept(colours), moves=_moves(image))
        kind, levels = deep
        colours = levels[..., :3] if levels.ndim == 3 else levels  # transparency has a range of its own
        finite = colours[np.isfinite(colours)] if kind == "fractions" else colours
        lowest, highest = (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)
        return Picture(
            pixels=_square(_scaled(image, levels, ranges[kind]), size, fit) if kind in ranges else None,
            kept=_kept(image),
            moves=_moves(image),
            kind=kind,
            lowest=lowest,
            highest=highest,
            not_finite=colours.size - finite.size,
        )


def choose_range(kind: Kind, lowest: float, highest: float) -> Range:
    """The range of levels that becomes 0 to 255: a usual one if the levels lie in it and fill more than half of it.

    Usual are 0 to 1 (fractions), 0 to 255 and 0 to 65,535. Otherwise it is `lowest` to `highest` itself: 12 bits in a
    16-bit file, degrees, signed numbers. If there is only one level: the first usual range that holds it.
    """
    if np.isnan(lowest):
        return _USUAL[kind][0]
    for low, high in _USUAL[kind]:
        if low <= lowest and highest <= high and (highest - lowest > (high - low) / 2 or highest == lowest):
            return low, high
    return lowest, max(highest, lowest + 1) if highest == lowest else highest


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Open the picture. Any error of Pillow's becomes a `BrokenPicture`."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            yield image
            return
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise BrokenPicture(f"refused, has over {Image.MAX_IMAGE_PIXELS:,} pixels") from None
    except OSError as error:
        if error.errno is not None:
            raise BrokenPicture(f"cannot be read ({error.strerror})") from None
    except MemoryError:
        raise BrokenPicture("does not fit into memory") from None
    except Exception:  # Pillow's readers let every kind of error through on damaged files
        pass
    raise BrokenPicture("not a whole image, or of an unknown format")


def _deep_levels(image: ImageFile.ImageFile, path: Path) -> tuple[Kind, np.ndarray] | None:
    """The levels of a picture with more than 8 bits per channel, (H, W) or (H, W, 3 or 4); None for others."""
    if image.mode.startswith("I"):
        return "whole numbers", np.asarray(image)
    if image.mode == "F":
        return "fractions", np.asarray(image)
    if rawmode := _deep_rawmode(image):
        return "whole numbers", _deep_colours(image, rawmode, path)
    return None


def _deep_rawmode(image: ImageFile.ImageFile) -> str:
    """How 16-bit colours are packed; "" if there are none."""
    for tile in image.tile:
        rawmode = tile.args if isinstance(tile.args, str) else str(tile.args[0] if tile.args else "")
        return rawmode if rawmode.partition(";")[2] in ("16B", "16L", "16N") else ""
    return ""


def _deep_colours(image: ImageFile.ImageFile, rawmode: str, path: Path) -> np.ndarray:
    """16-bit colours. Pillow reads only the upper 8 bits; the lower come from a second reading in the other byte order.

    Pillow has no other order for grey with transparency, so that is read as its bytes: (level, level, alpha, alpha).
    """
    layout, _, order = rawmode.partition(";")
    upper = np.asarray(image).astype(np.uint16)  # (H, W, 3 or 4)
    with Image.open(path, formats=_FORMATS) as again:
        assert isinstance(again, ImageFile.ImageFile)
        other = {"16B": "16L", "16L": "16B", "16N": "16B"}[order]
        new = "RGBA" if layout == "LA" else f"{layout};{other}"
        again.tile = [
            tile._replace(args=(new, *tile.args[1:]) if isinstance(tile.args, tuple) else new) for tile in again.tile
        ]
        lower = np.asarray(again).astype(np.uint16)
    if layout == "LA":
        grey, alpha = lower[..., 0] << 8 | lower[..., 1], lower[..., 2] << 8 | lower[..., 3]
        return np.stack([grey, grey, grey, alpha], axis=-1)
    return upper << 8 | lower


def _scaled(image: ImageFile.ImageFile, levels: np.ndarray, chosen: Range) -> Image.Image:
    """The levels within a range as 0 to 255, upright, RGB. Levels outside are clipped; NaN is the lowest."""
    low, high = chosen
    if levels.ndim == 3 and chosen == _16_BITS:
        return to_rgb(ImageOps.exif_transpose(image))  # the upper 8 bits
    alpha = levels[..., 3:] if levels.ndim == 3 and levels.shape[2] == 4 else None
    levels = levels[..., :3] if levels.ndim == 3 else levels
    if chosen == _16_BITS and levels.dtype.kind in "iu":
        scaled = levels.clip(0, 65_535) // 257
    else:
        exact = levels if levels.dtype.kind == "f" else levels.astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = np.nan_to_num((exact - low) * (255 / (high - low))).clip(0, 255).round()
    scaled = scaled.astype(np.uint8)
    if alpha is not None:
        scaled = np.concatenate([scaled, (alpha >> 8).astype(np.uint8)], axis=-1)
    made = Image.fromarray(scaled)
    orientation = image.getexif().get(0x0112)
    if orientation:
        made.getexif()[0x0112] = orientation
    return to_rgb(ImageOps.exif_transpose(made))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode with 8 bits as RGB, transparent parts on white."""
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours).convert("RGB")
    return image.convert("RGB")


def _square(image: Image.Image, size: int, fit: Fit) -> np.ndarray:
    width, height = image.size
    if fit == "stretch":
        return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))
    if fit == "pad":
        scale = size / max(width, height)
        inner = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS)
        square = Image.new("RGB", (size, size))
        square.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2))
        return np.asarray(square)
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))


def _moves(image: Image.Image) -> bool:
    with suppress(Exception):  # the later frames may well be damaged
        return bool(getattr(image, "is_animated", False)) and image.format != "MPO"  # a photograph and its previews
    return False


def _kept(image: Image.Image) -> float:
    return min(image.size) / max(image.size)  # side² of side · longer side
