"""Class names as figures write them."""

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib import font_manager

from etude.drawing import lettering
from etude.drawing.class_samples import class_samples
from etude.drawing.classification import confusion_matrix
from etude.drawing.latent import latent_scatter
from etude.drawing.lettering import NUMBERED, OWN_FONT, explain, families, legible
from etude.drawing.style import render


@pytest.fixture(autouse=True)
def only_the_fonts_of_matplotlib(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What fonts a machine has is not for a test to depend on."""
    own = [font for font in font_manager.fontManager.ttflist if "mpl-data" in font.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(lettering, "_families", [OWN_FONT])
    lettering._family_with.cache_clear()
    yield
    lettering._family_with.cache_clear()


def test_names_that_no_font_writes_are_numbers() -> None:
    names = ["cat", "猫", "кот", "γάτα", "日本", "قطة", "Ångström", "a\nb"]
    shown = legible(names)
    assert shown == ["cat", "#1", "кот", "γάτα", "#4", "قطة", "Ångström", "a b"]
    assert legible(shown) == shown
    assert explain("Samples", shown) == f"Samples\n{NUMBERED}"
    assert explain("Samples", ["cat", "#tag"]) == "Samples"


def test_a_long_name_is_shortened() -> None:
    assert legible(["x" * 300]) == ["x" * 23 + "…"]


def test_a_font_that_has_the_letters_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """STIX is the machine's font here: it has a letter that DejaVu lacks."""
    stix = frozenset(font_manager.get_font(font_manager.findfont("STIXGeneral")).get_charmap())
    letter = chr(min(stix - lettering._letters_of(OWN_FONT)))
    assert legible([f"a{letter}"]) == [f"a{letter}"]
    assert families() == [OWN_FONT, "STIXGeneral"]
    figure = class_samples(np.zeros((1, 1, 8, 8), np.uint8), np.zeros(1, int), [f"a{letter}"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        render(figure, "png")


def test_every_figure_with_names_draws_without_a_warning(capfd: pytest.CaptureFixture[str]) -> None:
    names = legible(["猫", "$\\frac{", "$x$", "ко т", "日本"])
    labels = np.arange(5)
    figures = (
        class_samples(np.zeros((5, 1, 8, 8), np.uint8), labels, names, title=explain("x", names)),
        confusion_matrix(np.eye(5, dtype=int), class_names=names, title=explain("x", names)),
        latent_scatter(np.eye(5)[:, :2], labels, class_names=names, title="x", axis_names=("a", "b")),
    )
    for figure in figures:
        render(figure, "png")
        render(figure, "svg")
    assert capfd.readouterr().err == ""
