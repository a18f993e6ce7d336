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
from etude.metrics.intervals import Interval
from etude.sweeps import Sweep, collect
from etude.sweeps.files import FILES, to_csv, to_markdown, write_files

MakeSweep = Callable[..., Sweep]


def classifier(losses: list[float], accuracies: list[float], test: float) -> list[dict[str, float]]:
    epochs = [
        {"train/loss": loss, "validation/accuracy": accuracy} for loss, accuracy in zip(losses, accuracies, strict=True)
    ]
    return [*epochs[:-1], {**epochs[-1], "test/accuracy": test}]


def interval_of(values: list[float]) -> Interval:
    interval = summarize(np.array(values)).interval
    assert interval
    return interval


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
    three, two = interval_of([0.25, 0.5, 0.75]), interval_of([0.875, 0.625])
    rate = "optimizer.learning_rate=0.1"
    assert to_markdown(collect(sweep)).splitlines() == [
        "# mine: lenet on digits",
        "",
        "| cell | n | test/accuracy, mean | sd | 95 % interval | validation/accuracy, mean |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        f"| epochs=2 {rate} * | 3 | 0.5000 | 0.25 | {three.low:.4f} to {three.high:.4f} | 0.3000 |",
        f"| epochs=3 {rate} | 2 | 0.7500 | 0.18 | {two.low:.4f} to {two.high:.4f} | 0.7000 |",
        "",
        "Reported: test/accuracy (test split, at the end of training). Best cell, by validation/accuracy alone, of the "
        "cells without failed runs: epochs=2 optimizer.learning_rate=0.1.",
        "",
        "n is the number of seeds, sd the standard deviation over them (n - 1); intervals of the mean are by "
        "Student's t.",
        "",
        "Failed: epochs=3 optimizer.learning_rate=0.1 seed 1: the loss is no longer finite.",
    ]


def test_curves_are_means_over_seeds_with_their_intervals(sweep: Sweep) -> None:
    figure = collect(sweep).learning_curves()
    assert figure
    training, validation = figure.axes
    assert (training.get_xlabel(), training.get_ylabel()) == ("epoch", "cross-entropy (nats per image)")
    assert validation.get_ylabel() == "accuracy (share of images)"
    (long, short), (_, validated) = ([line.get_xydata() for line in axes.lines] for axes in figure.axes)
    # The mean of an epoch lies in its middle; the failed run is left out; the shorter curve is drawn last, on top.
    assert long == pytest.approx(np.array([[0.5, 2.2], [1.5, 1.25], [2.5, 0.6]]))
    assert short == pytest.approx(np.array([[0.5, 2.2], [1.5, 1.3]]))
    assert validated == pytest.approx(np.array([[1, 0.2], [2, 0.3]]))
    band = np.asarray(validation.collections[-1].get_paths()[0].vertices)
    for epoch, values in ((1, [0.1, 0.2, 0.3]), (2, [0.2, 0.3, 0.4])):
        interval = interval_of(values)
        heights = band[band[:, 0] == epoch, 1]
        assert (heights.min(), heights.max()) == pytest.approx((interval.low, interval.high))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["epochs=2 optimizer.learning_rate=0.1", "epochs=3 optimizer.learning_rate=0.1"]
    assert figure.legends[0].get_title().get_text() == (
        "mean over 2 to 3 seeds; band: 95 % interval of the mean, by Student's t"
    )


def test_a_band_is_by_the_method_of_the_table(make_sweep: MakeSweep) -> None:
    accuracies = [0.4, 0.5, 0.55, 0.1]
    sweep = make_sweep({}, {"lenet": [classifier([1.0, 2.0], [0.5, each], 0.5) for each in accuracies]})
    figure = collect(sweep, interval="bootstrap-t").learning_curves()
    assert figure
    band = np.asarray(figure.axes[1].collections[-1].get_paths()[0].vertices)
    heights = band[band[:, 0] == 2, 1]
    interval = summarize(np.array(accuracies), method="bootstrap-t").interval
    assert interval
    assert (heights.min(), heights.max()) == pytest.approx((interval.low, interval.high))
    assert (
        figure.legends[0].get_title().get_text() == "mean over 4 seeds; band: 95 % interval of the mean, by bootstrap-t"
    )


def test_one_seed_has_no_band(make_sweep: MakeSweep) -> None:
    figure = collect(make_sweep({}, {"lenet": [classifier([2.0, 1.0], [0.1, 0.2], 0.25)]})).learning_curves()
    assert figure
    assert [len(axes.collections) for axes in figure.axes] == [0, 0]
    assert figure.legends[0].get_title().get_text() == "one seed"


def test_all_files_are_written_and_none_before_a_run_ended_can_be_drawn(sweep: Sweep, make_sweep: MakeSweep) -> None:
    write_files(collect(sweep))
    assert all((sweep.path / name).stat().st_size > 100 for name in FILES)
    with Image.open(sweep.path / "learning-curves.png") as picture:
        assert picture.width > 900
    begun = make_sweep({}, {"lenet": []}, seeds=2)
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
