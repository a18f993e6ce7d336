"""Sweeps over folds: the mean is over the folds, cells are chosen and compared by it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from etude import recipes
from etude.errors import UsageError
from etude.sweeps import Sweep, collect, compare, make_cells, parse_grid
from etude.sweeps.files import to_csv
from etude.sweeps.yardsticks import basis_of, yardstick_of

MakeSweep = Callable[..., Sweep]
TEST = [0.76, 0.78, 0.75, 0.79, 0.77, 0.80]


def over_folds(make_sweep: MakeSweep, width: int, values: list[float], name: str) -> Sweep:
    """A sweep over six folds with the accuracies on the validation and on the test split."""
    runs = {f"fold-{fold}": [(value - 0.1, value)] for fold, value in enumerate(values)}
    return make_sweep({"fold": list(range(6))}, runs, recipe="text-classifier", name=name, width=width)


def test_the_mean_is_over_the_folds(make_sweep: MakeSweep) -> None:
    results = collect(over_folds(make_sweep, 8, TEST, "one"))
    (cell,) = results.cells
    assert cell.values == dict(enumerate(TEST))
    assert cell.summary
    assert cell.summary.interval
    reference = scipy.stats.t.interval(0.95, 5, np.mean(TEST), scipy.stats.sem(TEST))
    assert (cell.summary.interval.low, cell.summary.interval.high) == pytest.approx(reference, rel=1e-12)
    assert results.best is None
    assert results.table_rows()[1] == [["text-classifier", "6", "0.7750", "0.019", "0.7554 to 0.7946", "0.6750"]]
    assert results.sentences() == [
        "Reported: test/accuracy (test split, at the end of training).",
        "n is the number of folds, sd the standard deviation over them (n - 1); intervals of the mean are by Student's "
        "t.",
    ]
    (written,) = json.loads(json.dumps(results.to_dict()))["cells"]
    assert written["num_runs"] == 6
    assert written["values"] == {str(fold): value for fold, value in enumerate(TEST)}
    rows = to_csv(results).splitlines()
    assert rows[0].startswith("cell,fold,seed,state,")
    assert [row.split(",")[:4] for row in rows[1:]] == [[f"fold-{n}", str(n), "0", "finished"] for n in range(6)]


def test_seeds_are_averaged_within_a_fold(make_sweep: MakeSweep) -> None:
    runs = {"fold-0": [0.7, 0.8], "fold-1": [0.6, 0.62], "fold-2": [0.9, 0.7]}
    results = collect(make_sweep({"fold": [0, 1, 2]}, runs, recipe="text-classifier"))
    (cell,) = results.cells
    assert cell.values == pytest.approx({0: 0.75, 1: 0.61, 2: 0.8})
    assert cell.summary
    assert cell.summary.num_values == 3
    assert cell.whole
    assert repr(results).endswith("1 cells, 6 runs finished>")


def test_a_cell_is_chosen_by_its_mean_over_the_folds(make_sweep: MakeSweep) -> None:
    runs = {
        "width-4-fold-0": [(0.9, 0.1)], "width-4-fold-1": [(0.5, 0.2)],
        "width-8-fold-0": [(0.8, 0.3)], "width-8-fold-1": [(0.7, 0.4)],
    }  # fmt: skip
    results = collect(make_sweep({"width": [4, 8], "fold": [0, 1]}, runs, recipe="text-classifier"))
    assert [cell.cell.name for cell in results.cells] == ["width-4", "width-8"]
    assert results.best
    assert results.best.cell.label == "width=8"
    assert [row[0] for row in results.table_rows()[1]] == ["width=4", "width=8 *"]


def test_a_cell_with_a_failed_fold_is_not_chosen(make_sweep: MakeSweep) -> None:
    runs = {
        "width-4-fold-0": [0.5], "width-4-fold-1": [0.5], "width-8-fold-0": [0.9], "width-8-fold-1": [None],
    }  # fmt: skip
    results = collect(make_sweep({"width": [4, 8], "fold": [0, 1]}, runs, recipe="text-classifier"))
    assert [cell.whole for cell in results.cells] == [True, False]
    assert results.best
    assert results.best.cell.name == "width-4"
    assert list(results.failures) == ["width=8 fold=1 seed 0"]


def test_two_sweeps_are_compared_fold_by_fold(make_sweep: MakeSweep) -> None:
    other = [0.77, 0.79, 0.77, 0.8, 0.78, 0.81]
    first, second = over_folds(make_sweep, 8, TEST, "one"), over_folds(make_sweep, 9, other, "two")
    comparison = compare(first, second)
    assert comparison.paired.difference == pytest.approx(np.mean(other) - np.mean(TEST))
    assert comparison.paired.num_pairs == 6
    assert str(comparison).splitlines()[-1] == (
        "Paired by fold (0, 1, 2, 3, 4, 5). Compared: test/accuracy, of the test split. Higher is better."
    )
    runs = ",".join(str(member.path) for member in first.members())
    assert compare(runs, second).paired.p_value == comparison.paired.p_value
    seeds = make_sweep({}, {"text-classifier": TEST}, recipe="text-classifier", name="seeds")
    with pytest.raises(UsageError) as error:
        compare(first, seeds)
    assert str(error.value) == (
        "the folds do not match: one has 0, 1, 2, 3, 4, 5, seeds has 0, 1, 2, 3, 4, 5; train the missing ones, or name "
        "runs of equal folds, RUN,RUN,…"
    )


def test_runs_of_different_folds_are_of_different_sentences() -> None:
    recipe = recipes.get("sentiment-lstm")
    one, two = (basis_of(recipes.change(recipe, fold=fold), yardstick_of(recipe)) for fold in (1, 2))
    assert (one, two) == ("rt-polarity, fold 1", "rt-polarity, fold 2")
    assert basis_of(recipe, yardstick_of(recipe)) == "rt-polarity"


def test_a_range_of_whole_numbers() -> None:
    assert parse_grid(["fold=0..3,7", "width=-1..0"]) == {"fold": [0, 1, 2, 3, 7], "width": [-1, 0]}
    assert parse_grid(["data=folder:../x"]) == {"data": ["folder:../x"]}
    for text in ("9..0", "0..999999999"):
        with pytest.raises(UsageError) as error:
            parse_grid([f"fold={text}"])
        assert str(error.value) == (
            f"--grid {text} (allowed: FIRST..LAST, the larger number last, as in --grid fold=0..9)."
        )
    cells = make_cells(recipes.get("sentiment-lstm"), parse_grid(["fold=0..9"]))
    assert [cell.name for cell in cells] == [f"fold-{fold}" for fold in range(10)]


def test_a_sweep_over_folds_trains_each_once_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from etude.sweeps import start

    asked: list[int] = []

    def stop(*given: object, seeds: int, **more: object) -> None:
        asked.append(seeds)
        raise UsageError("stop")

    monkeypatch.setattr(start, "prepare", stop)
    monkeypatch.setattr(start, "_check_data", lambda cells, data_dir: [])
    for grid in ({"fold": [0, 1]}, {"width": [8]}, None):
        with pytest.raises(UsageError, match="stop"):
            start.sweep("sentiment-lstm", grid=grid, runs_dir=tmp_path)
    assert asked == [1, 8, 8]
