"""Figures of translators: what is drawn is what was translated."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from etude.errors import UsageError
from etude.figures import translation
from etude.figures.catalogue import available, draw_all
from etude.figures.material import Material
from etude.metrics import bleu
from etude.runs import Run
from made_up import translator


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: translator(folder, attention=name) for name in ("dot", "none")}


def material(run: Run) -> Material:
    return Material(run, data_dir=None)


def labels(figure: Figure) -> list[tuple[list[str], list[str]]]:
    maps = [axes for axes in figure.axes if axes.images and axes.get_xticklabels()]
    return [
        ([text.get_text() for text in axes.get_xticklabels()], [text.get_text() for text in axes.get_yticklabels()])
        for axes in maps
    ]


def test_alignments_of_the_first_short_test_sentences(runs: dict[str, Run]) -> None:
    run = runs["dot"]
    test = run.dataset().test
    short = [row for row in range(len(test)) if int((test["source"][row] != 0).sum()) <= 20][:4]
    written = run.translate([test.texts["source"][row] for row in short])
    figure = translation.alignment(material(run))
    assert labels(figure) == [(list(each.source_tokens), list(each.tokens)) for each in written]
    for axes, each in zip(figure.axes, written, strict=False):
        assert each.alignment is not None
        np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), each.alignment.numpy())
    assert figure.get_suptitle() == f"Attention · {run.name}"


def test_without_attention_there_is_nothing_to_draw(runs: dict[str, Run]) -> None:
    run = runs["none"]
    with pytest.raises(UsageError) as caught:
        translation.alignment(material(run))
    assert str(caught.value) == (
        f"run {run.name} has no attention to draw: train it with one, as --attention bilinear."
    )


def test_bleu_against_length(runs: dict[str, Run]) -> None:
    run = runs["none"]
    figure = translation.lengths(material(run))
    (axes,) = figure.axes
    test = run.dataset().test
    names, counts = zip(*(label.get_text().split("\n") for label in axes.get_xticklabels()), strict=True)
    assert sum(int(count) for count in counts) == len(test)
    written = [each.translation for each in run.translate(test.texts["source"])]
    lengths = (test["source"] != 0).sum(1) - 1
    points = axes.lines[0].get_ydata()
    for name, value in zip(names, np.asarray(points), strict=True):
        low, high = map(int, name.split(" – "))
        rows = ((lengths >= low) & (lengths <= high)).nonzero()[:, 0].tolist()
        assert value == pytest.approx(bleu([written[r] for r in rows], [test.texts["target"][r] for r in rows]).value)


def test_all_figures_of_a_translator(runs: dict[str, Run], tmp_path: Path) -> None:
    assert available(runs["dot"]) == ["losses", "alignment", "lengths"]
    assert {path.name for path in draw_all(runs["dot"], formats=("png",))} == {
        "losses.png", "alignment.png", "lengths.png",
    }  # fmt: skip
