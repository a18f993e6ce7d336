"""`etude sweep`, `etude train --seeds`, `etude compare` as a person uses them; and the other commands on a sweep."""

import json
import shutil
from inspect import signature
from pathlib import Path

import pytest

from etude.cli import main
from etude.cli.sweep import SweepOptions
from etude.sweeps import sweep
from etude.sweeps.start import DEFAULT_SEEDS

SMALL = ["--data", "digits", "--train-images", "200", "--validation-images", "50", "--epochs", "1", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep `grid` of two cells and a sweep `seeds` of one."""
    folder = tmp_path_factory.mktemp("runs")
    place = ["--runs-dir", str(folder)]
    assert main(["sweep", "lenet", *SMALL, *place, "--grid", "batch_size=4,10", "--seeds", "2", "--name", "grid"]) == 0
    assert main(["train", "lenet", *SMALL, *place, "--seeds", "2", "--name", "seeds"]) == 0
    return folder


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ETUDE_RUNS", raising=False)


def test_the_table_says_what_was_reported_and_what_chose(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "grid", "--runs-dir", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{folder / 'grid'}: lenet on digits"
    assert [line.split() for line in lines[2:5]] == [
        ["test/", "validation/"], ["accuracy", "accuracy"], ["cell", "n", "mean", "sd", "95", "%", "interval", "mean"],
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[5:7]] == ["batch_size=4", "batch_size=10"]
    assert lines[8].startswith(
        "Reported: test/accuracy (test split, at the end of training). Best cell, by validation/accuracy alone: batch_"
    )
    names = ("results.csv", "results.md", "learning-curves.png", "learning-curves.svg")
    assert lines[-1] == f"Files: {', '.join(str(folder / 'grid' / name) for name in names)}"


def test_the_table_fits_80_columns(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["show", "grid", "--runs-dir", str(folder)]) == 0
    assert "…" not in capsys.readouterr().out


def test_json_is_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "seeds", "--runs-dir", str(folder), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert set(shown) == {
        "sweep", "recipe", "data", "grid", "seeds", "interval_method", "reported", "selection", "cells", "failed",
        "unfinished", "files",
    }  # fmt: skip
    (cell,) = shown["cells"]
    assert set(cell["values"]) == {"0", "1"}
    assert cell["mean"] == pytest.approx(sum(cell["values"].values()) / 2)
    assert main(["resume", str(folder / "seeds"), "--quiet", "--json"]) == 0  # nothing is left to do
    assert json.loads(capsys.readouterr().out) == shown


def test_runs_lists_sweeps_beside_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--runs-dir", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"sweep grid: lenet on digits, 4 of 4 runs finished; `etude show {folder / 'grid'}`",
        f"sweep seeds: lenet on digits, 2 of 2 runs finished; `etude show {folder / 'seeds'}`",
    ]
    assert main(["runs", "--runs-dir", str(folder), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(each["sweep"], each["runs"], each["failed"]) for each in listed["sweeps"]] == [
        ("grid", 4, 0), ("seeds", 2, 0),
    ]  # fmt: skip


def test_a_run_of_a_sweep_is_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(folder / "grid" / "batch_size-4-seed-1"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["test/accuracy"] > 0


def test_compare_says_it_in_words_and_in_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "grid:batch_size=4", "grid:batch_size=10", "--runs-dir", str(folder)]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("test/accuracy: batch_size=10 minus batch_size=4 is ")
    assert lines[0].endswith(
        " on average over 2 pairs; no significance can be claimed with fewer than 6 pairs (p cannot go below 0.5)."
    )
    assert lines[3] == "Paired by seed (0, 1). Compared: test/accuracy, of the test split. Higher is better."
    assert main([*words, "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert (compared["num_pairs"], compared["is_significant"], compared["interval"]) == (2, False, None)
    assert compared["sentence"] == lines[0]


def test_compare_takes_several_and_the_median(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "compare",
        "seeds",
        "grid:batch_size=4",
        "grid:batch_size=10",
        "--runs-dir",
        str(folder),
        "--test",
        "median",
    ]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith(
        " in the median of 2 pairs; no significance can be claimed in 2 comparisons with fewer than 7 pairs "
        "(p cannot go below 1 after Holm's correction)."
    )
    assert lines[-1].startswith("Corrected for 2 comparisons by Holm's method")
    assert main([*words, "--json"]) == 0
    assert [each["num_pairs"] for each in json.loads(capsys.readouterr().out)["comparisons"]] == [2, 2]


def test_the_method_of_the_intervals_is_an_option(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["show", "seeds", "--runs-dir", str(folder)]
    for option, sentence in (([], "by Student's t."), (["--interval", "bootstrap-t"], None)):
        assert main([*words, *option]) == 0
        about = [line for line in capsys.readouterr().out.splitlines() if line.startswith("n is the number of seeds")]
        assert [line.endswith(f"intervals of the mean are {sentence}") for line in about] == [True] * bool(sentence)


def test_a_sweep_has_eight_seeds_unless_told_otherwise() -> None:
    assert SweepOptions().seeds is signature(sweep).parameters["seeds"].default is None
    assert DEFAULT_SEEDS == 8


def test_seeds_share_the_machine_as_they_are_told_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in SMALL if word != "--quiet"]
    for command in ("train", "sweep"):
        assert main([command, "lenet", *words, "--seeds", "2", "--jobs", "1", "--name", f"by-{command}"]) == 0
        first = capsys.readouterr().err.splitlines()[0]
        assert first == f"by-{command}: 2 runs on cpu, one after another in 1 process"
    for member in Path("runs/by-train").glob("*-seed-*"):
        shutil.rmtree(member)
    assert main(["resume", "by-train", "--jobs", "1"]) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "by-train: 2 runs on cpu, one after another in 1 process"


def test_each_command_has_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep"]) == 0
    assert capsys.readouterr().out.startswith("usage: etude sweep RECIPE --grid FIELD=VALUE,VALUE [--grid …]")
    for words, flag in ((["sweep", "lenet"], "--grid"), (["train", "lenet"], "--seeds"), (["compare"], "A B")):
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        assert flag in capsys.readouterr().out


MISTAKES = {
    "sweep --grid epochs=1,2": "the recipe comes first: `etude sweep RECIPE --grid …`; `etude recipes` lists them.",
    "sweep lenet --data digits --jobs 0": "--jobs 0 (allowed: at least 1).",
    "sweep lenet --data digits --grid epochs": "--grid epochs (allowed: FIELD=VALUE,VALUE,… as in --grid "
    "batch_size=4,16).",
    "sweep lenet --data digits --name seeds --seeds 2 --runs-dir RUNS": "sweep RUNS/seeds has another epochs (1; asked "
    "for: 3): choose another --name, or continue the sweep as it is with `etude resume seeds`.",
    "sweep lenet --data digits --grid batch_size=4 --name seeds --runs-dir RUNS": "sweep RUNS/seeds has another grid "
    "(none; asked for: batch_size=4): choose another --name, or continue the sweep as it is with `etude resume seeds`.",
    "train lenet --data digits --seeds 2 --print-losses": "--print-losses is for one run: leave it or --seeds out.",
    "train lenet --data digits --seeds 2 --no-figures": "--no-figures is for one run: leave it or --seeds out.",
    "train lenet --data digits --seeds 2 --jobs 0": "--jobs 0 (allowed: at least 1).",
    "train lenet --data digits --jobs 2": "--jobs 2 is for several runs: give --seeds too, or leave it out.",
    "train lenet --data digits --seeds 0": "--seeds 0 (allowed: 1 to 10,000).",
    "resume RUNS/seeds --print-losses": "--print-losses is for one run, and RUNS/seeds is a sweep: leave it out.",
    "resume RUNS/seeds --jobs 0": "--jobs 0 (allowed: at least 1).",
    "resume RUNS/grid/batch_size-4-seed-1 --jobs 2": "--jobs 2 is for a sweep, and RUNS/grid/batch_size-4-seed-1 is "
    "none: leave it out.",
    "figure RUNS/seeds losses": "RUNS/seeds is a sweep: name one of the runs in it, RUNS/seeds/CELL-seed-NUMBER.",
    "compare RUNS/seeds RUNS/grid": "sweep grid has 2 cells: compare one of grid:batch_size-4, grid:batch_size-10.",
    "compare RUNS/seeds RUNS/grid:batch_size=5": "sweep RUNS/grid has no cell batch_size=5: did you mean "
    "batch_size-4? Choose from batch_size-4, batch_size-10.",
    "compare RUNS/seeds nothing:epochs=1": "no sweep 'nothing' here or in runs: `etude runs` lists 0.",
    "compare RUNS/seeds RUNS/seeds RUNS/grid": "sweep grid has 2 cells: compare one of grid:batch_size-4, "
    "grid:batch_size-10.",
    "show RUNS/grid/batch_size-4-seed-1 --interval bootstrap-t": "--interval bootstrap-t is for sweeps, and "
    "RUNS/grid/batch_size-4-seed-1 is a run: leave it out.",
    "measure RUNS/grid/batch_size-4-seed-1 --interval bootstrap-t": "--interval bootstrap-t is for sweeps, and "
    "RUNS/grid/batch_size-4-seed-1 is a run: leave it out.",
    "compare RUNS/seeds nothing": "no run 'nothing' here or in runs: `etude runs` lists 0.",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_gets_one_line_and_exit_code_2(words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.replace("RUNS", str(folder)).split()) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"etude: {MISTAKES[words].replace('RUNS', str(folder))}\n")
