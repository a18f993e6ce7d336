"""What is reported of a sweep, against scipy; and that the choice of a cell never sees what is reported."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from etude.metrics import bootstrap_t_interval
from etude.sweeps import Sweep, collect
from etude.sweeps.files import write_files

SPREAD = [0.61, 0.58, 0.64, 0.35, 0.60, 0.62, 0.57, 0.63]
GRID = {"epochs": [1, 2]}
MakeSweep = Callable[..., Sweep]


def test_mean_deviation_and_interval_of_a_cell_agree_with_scipy(make_sweep: MakeSweep) -> None:
    (cell,) = collect(make_sweep({}, {"lenet": SPREAD})).cells
    assert cell.values == dict(enumerate(SPREAD))
    assert cell.summary
    assert cell.summary.mean == pytest.approx(np.mean(SPREAD), rel=1e-12)
    assert cell.summary.standard_deviation == pytest.approx(np.std(SPREAD, ddof=1), rel=1e-12)
    reference = scipy.stats.t.interval(0.95, 7, np.mean(SPREAD), scipy.stats.sem(SPREAD))
    interval = cell.summary.interval
    assert interval
    assert interval.confidence == 0.95
    assert (interval.low, interval.high) == pytest.approx(reference, rel=1e-12)


def test_the_bootstrap_t_is_an_option_and_follows_the_skew(make_sweep: MakeSweep) -> None:
    results = collect(make_sweep({}, {"lenet": SPREAD}), interval="bootstrap-t")
    (cell,) = results.cells
    assert cell.summary
    interval = cell.summary.interval
    assert interval
    assert interval == bootstrap_t_interval(np.array(SPREAD))
    # The outlier is below.
    assert cell.summary.mean - interval.low > 1.5 * (interval.high - cell.summary.mean)
    assert results.sentences()[1] == (
        "n is the number of seeds, sd the standard deviation over them (n - 1); intervals of the mean are by "
        "bootstrap-t."
    )
    assert results.to_dict()["interval_method"] == "bootstrap-t"


def test_too_few_seeds_for_the_bootstrap_t_have_no_interval(make_sweep: MakeSweep) -> None:
    results = collect(make_sweep(GRID, {"epochs-1": SPREAD[:3], "epochs-2": SPREAD[:4]}), interval="bootstrap-t")
    assert [row[4] == "-" for row in results.table_rows()[1]] == [True, False]
    assert results.sentences()[1] == (
        "n is the number of seeds, sd the standard deviation over them (n - 1); intervals of the mean are by "
        "bootstrap-t, from 4 seeds on."
    )


def test_validation_chooses_and_test_reports(make_sweep: MakeSweep) -> None:
    sweep = make_sweep(
        GRID,
        {"epochs-1": [(0.8, 0.5), (0.9, 0.5)], "epochs-2": [(0.7, 0.9), (0.7, 0.9)]},
    )
    results = collect(sweep)
    assert results.best
    assert results.best.cell.name == "epochs-1"  # the test split would have said epochs-2
    assert [cell.summary.mean for cell in results.cells if cell.summary] == [0.5, 0.9]
    assert results.splits_sentence() == (
        "Reported: test/accuracy (test split, at the end of training). "
        "Best cell, by validation/accuracy alone: epochs=1."
    )
    written = json.loads(json.dumps(results.to_dict()))
    assert written["reported"] == {"metric": "test/accuracy", "split": "test"}
    assert written["selection"] == {"metric": "validation/accuracy", "split": "validation", "best": "epochs-1"}
    assert [cell["validation_mean"] for cell in written["cells"]] == pytest.approx([0.85, 0.7])
    assert results.table_rows()[1] == [
        ["epochs=1 *", "2", "0.5000", "0", "0.5000 to 0.5000", "0.8500"],
        ["epochs=2", "2", "0.9000", "0", "0.9000 to 0.9000", "0.7000"],
    ]


def test_a_bound_is_better_when_it_is_lower_and_leaves_beta_out(make_sweep: MakeSweep) -> None:
    def epochs(reconstruction: float, kl: float) -> list[list[dict[str, float]]]:
        parts = {"reconstruction_nats": reconstruction, "kl_nats": kl}
        splits = {f"{split}/{key}": value for split in ("validation", "test") for key, value in parts.items()}
        return [[{"test/loss_nats": 1e6, **splits}]]

    sweep = make_sweep(
        {"beta": [1.0, 4.0]}, {"beta-1.0": epochs(150, 8), "beta-4.0": epochs(160, 3)}, recipe="vae", epochs=1
    )
    results = collect(sweep)
    assert results.metric == "test/negative_elbo_nats"
    assert [cell.values for cell in results.cells] == [{0: 158.0}, {0: 163.0}]
    assert results.best
    assert results.best.cell.name == "beta-1.0"


@pytest.mark.parametrize(
    ("runs", "grid", "reason"),
    [
        (
            {"epochs-1": [[{"test/accuracy": 0.5}]], "epochs-2": [[{"test/accuracy": 0.6}]]},
            GRID,
            "No best cell is chosen: that takes a validation split in every cell (--validation-images).",
        ),
        (
            {"epochs-1": [0.5, 0.6], "epochs-2": [(0.6, 0.9), (0.5, 0.9)]},
            GRID,
            "No best cell is chosen: epochs=1, epochs=2 tie on the validation split.",
        ),
        (
            {"epochs-1": [0.5, 0.5], "epochs-2": [0.9]},
            GRID,
            "No best cell is chosen before all runs have ended.",
        ),
        (
            {"epochs-1": [None, None], "epochs-2": [0.9, None]},
            GRID,
            "No best cell is chosen: every cell has failed runs.",
        ),
        (
            {"data-digits": [0.5], "data-mnist": [0.9]},
            {"data": ["digits", "mnist"]},
            "No best cell is chosen: the cells are of different images, or score pixels differently.",
        ),
    ],
)
def test_where_no_cell_can_be_chosen_it_says_why(
    make_sweep: MakeSweep, runs: dict, grid: dict[str, list], reason: str
) -> None:
    results = collect(make_sweep(grid, runs))
    assert results.best is None
    assert results.splits_sentence() == f"Reported: test/accuracy (test split, at the end of training). {reason}"
    assert results.to_dict()["selection"]["best"] is None


def test_one_cell_is_no_choice(make_sweep: MakeSweep) -> None:
    results = collect(make_sweep({}, {"lenet": [0.5, 0.6]}))
    assert results.best is None
    assert results.splits_sentence() == "Reported: test/accuracy (test split, at the end of training)."
    assert results.table_rows()[1][0][0] == "lenet"


def test_the_loss_of_a_gan_chooses_nothing(make_sweep: MakeSweep) -> None:
    runs = {f"epochs-{n}": [[{"train/generator_loss": 0.1 * n}]] for n in (1, 2)}
    results = collect(make_sweep(GRID, runs, recipe="gan"))
    assert results.best is None
    assert results.splits_sentence() == (
        "Reported: train/generator_loss (training images, last epoch). "
        "A GAN's loss does not say how good its images are, so it chooses no cell; `etude measure SWEEP` measures them."
    )


def test_survivors_of_a_cell_with_failed_runs_do_not_make_it_the_best(make_sweep: MakeSweep) -> None:
    sweep = make_sweep(GRID, {"epochs-1": [0.5, 0.6], "epochs-2": [0.9, None]})
    results = collect(sweep)
    assert results.best
    assert results.best.cell.name == "epochs-1"
    assert results.failures == {"epochs=2 seed 1": "the loss is no longer finite."}
    assert results.sentences()[0].endswith(
        "Best cell, by validation/accuracy alone, of the cells without failed runs: epochs=1."
    )
    assert "Failed: epochs=2 seed 1: the loss is no longer finite." in results.sentences()
    assert results.table_rows()[1][1] == ["epochs=2", "1", "0.9000", "-", "-", "0.9000"]


@pytest.mark.parametrize("name", ["recipe.json", "state.json", "metrics.jsonl"])
def test_a_damaged_run_is_reported_and_the_others_count(make_sweep: MakeSweep, name: str) -> None:
    sweep = make_sweep(GRID, {"epochs-1": [0.5, 0.6], "epochs-2": [0.9, 0.8]})
    damaged = sweep.path / "epochs-2-seed-1"
    (damaged / name).write_text("{not json}\n")
    results = collect(sweep)
    assert [cell.values for cell in results.cells] == [{0: 0.5, 1: 0.6}, {0: 0.9}]
    assert list(results.failures) == ["epochs=2 seed 1"]
    assert results.failures["epochs=2 seed 1"].startswith(f"damaged run {damaged}: ")
    assert name in results.failures["epochs=2 seed 1"]
    assert results.best
    assert results.best.cell.name == "epochs-1"  # the only one that is whole
    write_files(results)
    rows = (sweep.path / "results.csv").read_text().splitlines()
    assert [line.split(",")[3] for line in rows] == ["state", "finished", "finished", "finished", "failed"]


def test_runs_to_come_are_counted(make_sweep: MakeSweep) -> None:
    sweep = make_sweep({}, {"lenet": [0.5, 0.6]}, seeds=5)
    results = collect(sweep)
    assert results.unfinished == ["lenet seed 2", "lenet seed 3", "lenet seed 4"]
    assert results.sentences()[-1] == f"Unfinished: 3 runs; continue with `etude resume {sweep.path}`."
    assert repr(results) == f"<Results of {sweep.name}: 1 cells, 2 runs finished>"
