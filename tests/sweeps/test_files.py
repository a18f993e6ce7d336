"""The files of a sweep's results: CSV, Markdown, learning curves; and what a notebook shows."""

import csv
import io
import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from etude.metrics import summarize
from etude.sweeps import Sweep, collect
from etude.sweeps.files import FILES, learning_curves, to_csv, to_markdown, write_files

MakeSweep = Callable[..., Sweep]


def classifier(losses: list[float], accuracies: list[float], test: float) -> list[dict[str, float]]:
    epochs = [
        {"train/loss": loss, "validation/accuracy": accuracy} for loss, accuracy in zip(losses, accuracies, strict=True)
    ]
    return [*epochs[:-1], {**epochs[-1], "test/accuracy": test}]


@pytest.fixture
def sweep(make_sweep: MakeSweep) -> Sweep:
    """Two cells, three seeds; one run failed."""
    return make_sweep(
        {"epochs": [2, 3], "optimizer.learning_rate": [0.1]},
        {
            "epochs-2-optimizer.learning_rate-0.1": [
                classifier([2.0, 1.0], [0.1, 0.2], 0.25),
                classifier([2.2, 1.4], [0.2, 0.3], 0.5),
                classifier([2.4, 1.5], [0.3, 0.4], 0.75),
            ],
            "epochs-3-optimizer.learning_rate-0.1": [
                classifier([2.0, 1.0, 0.5], [0.1, 0.2, 0.6], 0.875),
                None,
                classifier([2.4, 1.5, 0.7], [0.3, 0.4, 0.8], 0.625),
            ],
        },
        name="mine",
    )


def test_csv_has_a_row_for_each_run(sweep: Sweep) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(collect(sweep)))))
    assert list(rows[0]) == [
        "cell", "epochs", "optimizer.learning_rate", "seed", "state", "epochs_done", "seconds",
        "train/loss", "validation/accuracy", "test/accuracy",
    ]  # fmt: skip
    assert [(row["epochs"], row["seed"], row["state"], row["epochs_done"]) for row in rows] == [
        ("2", "0", "finished", "2"),
        ("3", "0", "finished", "3"),
        ("2", "1", "finished", "2"),
        ("3", "1", "failed", "0"),
        ("2", "2", "finished", "2"),
        ("3", "2", "finished", "3"),
    ]
    assert [row["test/accuracy"] for row in rows] == ["0.25", "0.875", "0.5", "", "0.75", "0.625"]
    assert rows[1]["validation/accuracy"] == "0.6"  # the last epoch's
    assert rows[1]["cell"] == "epochs-3-optimizer.learning_rate-0.1"


def test_markdown_is_the_table_with_its_sentences(sweep: Sweep) -> None:
    low, high = (getattr(summarize([0.25, 0.5, 0.75]).interval, end) for end in ("low", "high"))
    pair_low, pair_high = (getattr(summarize([0.875, 0.625]).interval, end) for end in ("low", "high"))
    assert to_markdown(collect(sweep)).splitlines() == [
        "# mine: lenet on digits",
        "",
        "| cell | n | test/accuracy, mean | sd | 95 % interval | validation/accuracy, mean |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        f"| epochs=2 optimizer.learning_rate=0.1 * | 3 | 0.5000 | 0.25 | {low:.4f} to {high:.4f} | 0.3000 |",
        f"| epochs=3 optimizer.learning_rate=0.1 | 2 | 0.7500 | 0.18 | {pair_low:.4f} to {pair_high:.4f} | 0.7000 |",
        "",
        "Reported: test/accuracy (test split, at the end of training). Best cell, by validation/accuracy alone, of the "
        "cells without failed runs: epochs=2 optimizer.learning_rate=0.1.",
        "",
        "n is the number of seeds, sd the standard deviation over them (n - 1); intervals of the mean are bootstrap "
        "BCa, too narrow for few seeds.",
        "",
        "Failed: epochs=3 optimizer.learning_rate=0.1 seed 1: the loss is no longer finite.",
    ]


def test_curves_are_means_over_seeds_with_their_intervals(sweep: Sweep) -> None:
    figure = learning_curves(sweep)
    assert figure
    training, validation = figure.axes
    assert (training.get_xlabel(), training.get_ylabel()) == ("epoch", "cross-entropy (nats per image)")
    assert validation.get_ylabel() == "accuracy (share of images)"
    curves = {len(np.asarray(line.get_ydata())): line for line in training.lines}
    np.testing.assert_allclose(curves[2].get_ydata(), [2.2, 1.3])
    np.testing.assert_allclose(curves[3].get_ydata(), [2.2, 1.25, 0.6])  # without the failed run
    np.testing.assert_allclose(curves[3].get_xdata(), [0.5, 1.5, 2.5])  # means over an epoch lie in its middle
    curves = {len(np.asarray(line.get_ydata())): line for line in validation.lines}
    np.testing.assert_allclose(curves[2].get_xdata(), [1, 2])
    np.testing.assert_allclose(curves[2].get_ydata(), [0.2, 0.3])
    # The band of the cell with two epochs is drawn last: shorter curves lie on top.
    band = np.asarray(validation.collections[-1].get_paths()[0].vertices)
    for epoch, values in ((1, [0.1, 0.2, 0.3]), (2, [0.2, 0.3, 0.4])):
        interval = summarize(values).interval
        assert interval
        heights = band[band[:, 0] == epoch, 1]
        assert (heights.min(), heights.max()) == pytest.approx((interval.low, interval.high))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["epochs=2 optimizer.learning_rate=0.1", "epochs=3 optimizer.learning_rate=0.1"]
    assert figure.legends[0].get_title().get_text() == (
        "mean over 2 to 3 seeds; band: 95 % bootstrap interval of the mean"
    )


def test_one_seed_has_no_band(make_sweep: MakeSweep) -> None:
    figure = learning_curves(make_sweep({}, {"lenet": [classifier([2.0, 1.0], [0.1, 0.2], 0.25)]}))
    assert figure
    assert [len(axes.collections) for axes in figure.axes] == [0, 0]
    assert figure.legends[0].get_title().get_text() == "one seed"


def test_all_files_are_written_and_none_before_a_run_ended_can_be_drawn(sweep: Sweep, make_sweep: MakeSweep) -> None:
    write_files(collect(sweep))
    assert all((sweep.path / name).stat().st_size > 100 for name in FILES)
    with Image.open(sweep.path / "learning-curves.png") as picture:
        assert picture.width > 900
    begun = make_sweep({}, {"lenet": []}, num_seeds=2)
    write_files(collect(begun))
    assert [name for name in FILES if (begun.path / name).exists()] == ["results.csv", "results.md"]


def test_a_notebook_shows_table_sentences_and_curves(sweep: Sweep) -> None:
    html = collect(sweep)._repr_html_()
    tree = ElementTree.fromstring("<div>" + re.sub("(<img [^>]*)>", r"\1/>", html) + "</div>")
    cells = [cell.text for cell in tree.iter("td")]
    assert cells[:4] == ["epochs=2 optimizer.learning_rate=0.1 *", "3", "0.5000", "0.25"]
    assert "Reported: test/accuracy" in str([each.text for each in tree.iter("p")])
    (image,) = tree.iter("img")
    assert image.get("src", "").startswith("data:image/png;base64,")
