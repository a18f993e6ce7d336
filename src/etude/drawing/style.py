"""The one look of all figures: colours, sizes, and how a figure becomes a file's bytes."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

Format = Literal["png", "svg"]

DOTS_PER_INCH = 150

# Okabe and Ito's palette, told apart under every common colour blindness (jfly.uni-koeln.de/color), without its yellow,
# which a white page swallows.
BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
SERIES_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK)
GREY = "#666666"

# That palette ends at eight. Petroff's ten (arXiv:2107.02270) are chosen for the same purpose.
TEN_COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip

_RC: dict[RcKeyType, Any] = {
    "figure.dpi": DOTS_PER_INCH,
    "savefig.dpi": "figure",
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "text.parse_math": False,  # a dollar sign in a name is one
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
    "svg.hashsalt": "etude",  # the same figure gives the same file
}
_lock = threading.RLock()


@contextmanager
def style() -> Iterator[None]:
    """Draw in étude's look; matplotlib's settings are as before afterwards. Also a decorator: `@style()`.

    matplotlib keeps its settings per process, so that two threads draw one after the other.
    """
    with _lock, matplotlib.rc_context(_RC):
        yield


def render(figure: Figure, format: Format) -> bytes:
    """The bytes of a PNG or SVG file of the figure; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=format, metadata={"Date": None} if format == "svg" else None)
    figure.set_layout_engine("none")  # laid out now: the next format takes the same places, in half the time
    return buffer.getvalue()


def fit_around(figure: Figure, axes: Axes, *, width_dots: int, height_dots: int, margin_dots: int = 18) -> None:
    """Give the axes a size in whole dots, and the figure just the room that their labels need around them.

    An image whose pixels are whole multiples of a dot then shows every pixel equally large, with no resampling.
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
    """One colour per class: ten told apart under colour blindness, shades of a rainbow where there are more."""
    if num_classes <= len(TEN_COLOURS):
        return list(TEN_COLOURS[:num_classes])
    rainbow = matplotlib.colormaps["turbo"]
    return [to_hex(rainbow(index / (num_classes - 1))) for index in range(num_classes)]
