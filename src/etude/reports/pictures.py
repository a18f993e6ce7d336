"""Pictures inside a page: each in the smaller of two formats, and all of them together within a number of bytes."""

import io
import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from etude.drawing.style import Format, render
from etude.errors import RunError
from etude.files import read_whole
from etude.reports.markup import Html, element, html

MOST_BYTES = 2_300_000
"""Of all pictures of a page, as text in it: the page stays below 3 MB."""
MOST_FILE_BYTES, MOST_PIXELS = 20_000_000, 16_000_000
"""Of a picture in a run's folder that is looked at."""
SHRINK, LEAST_PIXELS = 0.75, 120
PIXELS_PER_INCH = 108
"""Of a chart: its letters of 9 points are 13.5 pixels."""


@dataclass
class Picture:
    """A picture with what it shows. Its content may become smaller, see `fit`."""

    content: bytes
    format: Format
    alt: str
    """What it shows, for those who cannot see it."""
    is_chart: bool = True
    """Whether it is lines and texts on white, which may be shown on black as well."""
    figure: Figure | None = None
    """What it was drawn from."""
    width: int | None = None
    """Of a chart on the page, in CSS pixels, so that all have letters of one size. Images keep their own pixels."""

    @property
    def num_bytes(self) -> int:
        """Bytes of its text in the page."""
        return math.ceil(len(self.content) / 3) * 4

    def html(self) -> Html:
        """The picture inside the page."""
        kind = "svg+xml" if self.format == "svg" else "png"
        source = f"data:image/{kind};base64,{b64encode(self.content).decode()}"
        width = f' width="{self.width}"' if self.width else ""
        return Html(f'<img alt="{html(self.alt)}"{width} src="{source}">')


@dataclass(frozen=True)
class Shown:
    """One picture or several of one kind, with a caption: a figure of the page."""

    pictures: Sequence[Picture]
    caption: str
    labels: Sequence[str] = ()
    """Below each of several pictures."""

    def html(self) -> Html:
        """The figure."""
        kind = "chart" if all(picture.is_chart for picture in self.pictures) else "picture"
        if len(self.pictures) == 1:
            inside = self.pictures[0].html()
        else:
            each = zip(self.pictures, self.labels, strict=True)
            made = (element("div", one.html(), element("span", label)) for one, label in each)
            inside = element("div", *made, class_="gallery")
        return element("figure", inside, element("figcaption", self.caption), class_=kind)


def drawn(figure: Figure, alt: str, *, is_chart: bool = True) -> Picture:
    """A figure: a chart as PNG or as SVG, whichever is smaller; images, which SVG would only wrap, as PNG."""
    formats: tuple[Format, ...] = ("png", "svg") if is_chart else ("png",)
    contents = {format: render(figure, format) for format in formats}
    smallest: Format = min(formats, key=lambda format: len(contents[format]))
    width = round(figure.get_size_inches()[0] * PIXELS_PER_INCH) if is_chart else None
    return Picture(contents[smallest], smallest, alt, is_chart, figure, width)


def read(path: Path, alt: str) -> Picture:
    """A PNG file of a run's folder as pixels alone, whatever else the file holds. `RunError` if it is no such file."""
    try:
        content = read_whole(path)
        if len(content) > MOST_FILE_BYTES:
            raise ValueError("it is too large")
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError("it is too large")
            pixels = image.convert("L" if image.mode in ("1", "L") else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RunError(f"damaged picture {path}: delete it.") from error
    return Picture(_png(pixels), "png", alt, is_chart=False)


def fit(pictures: Sequence[Picture], most_bytes: int = MOST_BYTES) -> bool:
    """Make the largest pictures smaller until all fit. Returns whether one was."""
    shrunk = False
    while sum(picture.num_bytes for picture in pictures) > most_bytes:
        candidates = [picture for picture in pictures if _can_shrink(picture)]
        if not candidates:
            break
        _shrink(max(candidates, key=lambda picture: picture.num_bytes))
        shrunk = True
    return shrunk


def _can_shrink(picture: Picture) -> bool:
    return picture.format == "svg" or min(_open(picture).size) > LEAST_PIXELS


def _shrink(picture: Picture) -> None:
    if picture.format == "svg":
        assert picture.figure
        picture.content, picture.format = render(picture.figure, "png"), "png"
    image = _open(picture)
    size = (max(1, round(image.width * SHRINK)), max(1, round(image.height * SHRINK)))
    smaller = image.convert("L" if image.mode == "L" else "RGB").resize(size, Image.Resampling.LANCZOS)
    picture.content = _png(smaller)


def _open(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.content))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
