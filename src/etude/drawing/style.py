"""The common look of all figures: colours, sizes, and how a figure becomes the bytes of a file."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from etude.drawing.lettering import families

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

Format = Literal["png", "svg"]

DOTS_PER_INCH = 150

# Okabe and Ito's palette, distinct under every common colour blindness (jfly.uni-koeln.de/color), without its yellow,
# which is hard to see on a white page.
BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
SERIES_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK)
GREY = "#666666"

# Ten classes need more than that palette's eight. These ten lie far apart in Oklab: 22 (of 100) to normal sight, 13.6
# to protanopes, 13.9 to deuteranopes, 12.3 to tritanopes (Machado et al. 2009); Petroff's ten 9.0, 6.1, 8.4, 7.3.
TEN_COLOURS = (
    "#132077", "#fa7919", "#3f9298", "#d26ffe", "#5a1101", "#81d4f7", "#be0613", "#e2d628", "#0c26fc", "#8041a4",
)  # fmt: skip

_RC: dict[RcKeyType, Any] = {
    "figure.dpi": DOTS_PER_INCH,
    "savefig.dpi": "figure",
    "figure.facecolor": "white",
    "text.parse_math": False,  # a class may be called $1
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "etude",  # equal figures give equal files
}
_lock = threading.RLock()
_FONT_LOG = logging.getLogger("matplotlib.font_manager")


@contextmanager
def style() -> Iterator[None]:
    """Draw in étude's look and restore matplotlib's settings afterwards. Also a decorator: `@style()`.

    matplotlib keeps its settings per process, so two threads draw one after the other.
    """
    with _lock, matplotlib.rc_context({**_RC, "font.family": families()}):
        level = _FONT_LOG.level
        _FONT_LOG.setLevel(logging.ERROR)  # a font for Chinese without a bold face is no reason to warn
        try:
            yield
        finally:
            _FONT_LOG.setLevel(level)


def render(figure: Figure, format: Format) -> bytes:
    """The bytes of a PNG or SVG file of the figure; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=format, metadata={"Date": None} if format == "svg" else None)
    figure.set_layout_engine("none")  # laid out now: the next format takes the same places, in half the time
    return buffer.getvalue()


def fit_around(figure: Figure, axes: Axes, *, width_dots: int, height_dots: int, margin_dots: int = 18) -> None:
    """Give the axes a size in whole dots, and the figure just enough room for their labels.

    If the pixels of an image are whole multiples of a dot, all are then equally large, without resampling.
    """
    figure.set_size_inches(width_dots / figure.dpi, height_dots / figure.dpi)
    axes.set_position((0, 0, 1, 1))
    box = axes.get_tightbbox()
    assert box is not None
    left, below = (margin_dots + round(max(0.0, -start)) for start in (box.x0, box.y0))
    right, above = (
        margin_dots + round(max(0.0, box.x1 - width_dots)),
        margin_dots + round(max(0.0, box.y1 - height_dots)),
    )
    width, height = left + width_dots + right, below + height_dots + above
    figure.set_size_inches(width / figure.dpi, height / figure.dpi)
    axes.set_position((left / width, below / height, width_dots / width, height_dots / height))


def class_colours(num_classes: int) -> list[str]:
    """One colour per class: ten that are distinct under colour blindness, or shades of a rainbow for more classes."""
    if num_classes <= len(TEN_COLOURS):
        return list(TEN_COLOURS[:num_classes])
    rainbow = matplotlib.colormaps["turbo"]
    return [to_hex(rainbow(index / (num_classes - 1))) for index in range(num_classes)]
