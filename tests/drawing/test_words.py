"""Coloured sentences: every word, its number and its colour; lines that fit."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from etude.drawing.style import BLUE, DOTS_PER_INCH, ORANGE, render
from etude.drawing.words import UNKNOWN, WIDTH_INCHES, Sentence, coloured_sentences

SHORT = Sentence(heading="one", words=["not", "so", "bad"], known=[True, False, True], scores=[0.5, -0.04, -2.0])
LONG = Sentence(
    heading="two", words=["wonderful"] * 40, known=[True] * 40, scores=np.linspace(-1, 1, 40).tolist()
)  # fmt: skip


def drawn(*sentences: Sentence) -> Figure:
    return coloured_sentences(list(sentences), title="Words", axis="nats", ends=("against", "for"))


def texts(figure: Figure) -> list[Text]:
    return [each for each in figure.texts if isinstance(each, Text)]


def colour_of(text: Text) -> tuple[float, ...]:
    box = text.get_bbox_patch()
    assert box is not None
    return to_rgb(box.get_facecolor())


def test_each_word_has_its_colour_and_its_number() -> None:
    figure = drawn(SHORT)
    found = {text.get_text(): text for text in texts(figure)}
    assert [text.get_text() for text in texts(figure)] == [
        "Words", "one", "not", "+0.5", "so", "+0.0", "bad", "-2.0", "← against", "for →", UNKNOWN
    ]  # fmt: skip
    assert colour_of(found["bad"]) == pytest.approx(to_rgb(ORANGE), abs=0.01)  # the largest of all is as dark as can be
    faint = np.array(to_rgb("white")) * 0.75 + np.array(to_rgb(BLUE)) * 0.25
    assert colour_of(found["not"]) == pytest.approx(tuple(faint), abs=0.01)
    assert found["so"].get_fontstyle() == "italic"
    assert found["not"].get_fontstyle() == "normal"
    bar = figure.axes[0]
    assert bar.get_xlim() == pytest.approx((-2, 2))
    assert bar.get_xlabel() == "nats"


def test_words_of_a_long_sentence_are_in_lines_that_fit_and_do_not_overlap() -> None:
    figure = drawn(LONG)
    render(figure, "png")
    boxes = [text.get_window_extent() for text in texts(figure) if text.get_text() == "wonderful"]
    assert len(boxes) == 40
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= WIDTH_INCHES * DOTS_PER_INCH
    assert len({round(box.y0) for box in boxes}) == 4
    for index, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])
    assert UNKNOWN not in [text.get_text() for text in texts(figure)]


def test_the_figure_grows_with_its_sentences_and_is_the_same_each_time() -> None:
    one, two = drawn(SHORT), drawn(SHORT, LONG)
    assert two.get_figheight() > one.get_figheight() + 2
    assert render(drawn(SHORT), "svg") == render(drawn(SHORT), "svg")


def test_odd_words_are_drawn_without_a_warning() -> None:
    words = ["a\nb", "\t", "$x$", "日本", "\U000e0001", "é" * 300]
    sentence = Sentence(heading="h", words=words, known=[True] * 6, scores=[0.0] * 6)
    figure = drawn(sentence)
    assert render(figure, "png").startswith(b"\x89PNG")
    shown = [text.get_text() for text in texts(figure)]
    assert "a b" in shown
    assert "␣" in shown
    assert "$x$" in shown
    assert "é" * 39 + "…" in shown
