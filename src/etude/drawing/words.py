"""Sentences whose words are coloured by how much each of them moved a decision."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from etude.drawing.lettering import is_written
from etude.drawing.style import BLUE, DOTS_PER_INCH, GREY, ORANGE, style

AGAINST_AND_FOR = LinearSegmentedColormap.from_list("against and for", [ORANGE, "white", BLUE])
"""Orange below 0, blue above it: distinct under every common colour blindness."""

WIDTH_INCHES = 8.0
LONGEST_WORD = 40
UNKNOWN = "not in the vocabulary"
_MARGIN, _GAP = 0.15, 0.07
"""Inches around the figure, and between words."""
_HEADING, _LINE, _SPACE, _BAR = 0.28, 0.46, 0.16, 0.5
"""Heights in inches: of a sentence's heading, a line of words, the space after a sentence, the colour bar."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence, its words and their scores; final."""

    heading: str
    words: Sequence[str]
    known: Sequence[bool]
    """Whether the network knows each word; the others are written in grey."""
    scores: Sequence[float]
    """Blue above 0, orange below it."""


@dataclass(frozen=True)
class _Word:
    text: str
    known: bool
    score: float
    left: float
    """Inches from the left edge."""
    width: float


@style()
def coloured_sentences(sentences: Sequence[Sentence], *, title: str, axis: str, ends: tuple[str, str]) -> Figure:
    """Sentences one below the other, each word on its colour with its score below it; one colour scale for all.

    `axis` says what the scores are, and `ends` what orange and blue speak for.
    """
    laid_out = [list(_lines(sentence)) for sentence in sentences]
    body = sum(_HEADING + _LINE * len(lines) + _SPACE for lines in laid_out)
    height = 1.3 * _HEADING + body + _BAR + 2 * _MARGIN
    figure = Figure(figsize=(WIDTH_INCHES, height))
    most = max((abs(score) for sentence in sentences for score in sentence.scores), default=0.0) or 1.0
    norm = Normalize(-most, most)

    def write(x: float, y: float, text: str, **how: object) -> None:
        figure.text(x / WIDTH_INCHES, 1 - y / height, text, va="top", **how)  # pyright: ignore[reportArgumentType]

    y = _MARGIN
    write(_MARGIN, y, title, fontsize=11)
    y += 1.3 * _HEADING
    for sentence, lines in zip(sentences, laid_out, strict=True):
        write(_MARGIN, y, sentence.heading, fontsize=8.5, color=GREY)
        y += _HEADING
        for line in lines:
            for word in line:
                dark = abs(word.score) > 0.75 * most and word.score > 0  # white on orange is hard to read
                box = {"boxstyle": "square,pad=0.15", "facecolor": AGAINST_AND_FOR(norm(word.score)), "linewidth": 0}
                colour = "white" if dark else "black" if word.known else GREY
                how = {"style": "normal" if word.known else "italic", "color": colour, "bbox": box}
                middle = word.left + (word.width - _GAP) / 2
                write(middle, y, word.text, fontsize=10, ha="center", **how)
                number = f"{round(word.score, 1) + 0.0:+.1f}"  # + 0.0: no "-0.0"
                write(middle, y + 0.21, number, fontsize=6.5, ha="center", color=GREY)
            y += _LINE
        y += _SPACE
    axes = figure.add_axes((0.3, 0.42 / height, 0.4, 0.13 / height))
    bar = figure.colorbar(ScalarMappable(norm, AGAINST_AND_FOR), cax=axes, orientation="horizontal")
    bar.set_label(axis, fontsize=8)
    for at, text, align in ((0.285, f"← {ends[0]}", "right"), (0.715, f"{ends[1]} →", "left")):
        figure.text(at, 0.48 / height, text, ha=align, va="center", fontsize=8.5)
    if not all(known for sentence in sentences for known in sentence.known):
        figure.text(_MARGIN / WIDTH_INCHES, 0.1 / height, UNKNOWN, fontsize=7.5, style="italic", color=GREY)
    return figure


def _lines(sentence: Sentence) -> Iterator[list[_Word]]:
    """The words of a sentence in lines that fit the width."""
    line: list[_Word] = []
    left, right = _MARGIN + 0.05, WIDTH_INCHES - _MARGIN
    for text, known, score in zip(sentence.words, sentence.known, sentence.scores, strict=True):
        shown = "".join(letter if letter.isprintable() else " " for letter in text).strip() or "␣"
        shown = shown if len(shown) <= LONGEST_WORD else f"{shown[: LONGEST_WORD - 1]}…"
        shown = shown if is_written(shown) else "#"
        width = max(_width_of(shown), _width_of("+0.0") * 0.65) + _GAP
        if line and left + width > right:
            yield line
            line, left = [], _MARGIN + 0.05
        line.append(_Word(shown, known, score, left, width))
        left += width
    if line:
        yield line


def _width_of(text: str) -> float:
    """The width of a text of 10 points, in inches."""
    canvas = FigureCanvasAgg(Figure(dpi=DOTS_PER_INCH))
    width, _, _ = canvas.get_renderer().get_text_width_height_descent(text, FontProperties(size=10), ismath=False)
    return width / DOTS_PER_INCH
