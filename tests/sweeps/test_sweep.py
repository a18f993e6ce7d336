"""Sweeps that train: equal to single runs, whole after a failure, a kill, Ctrl-C."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import etude
from etude.cli import main
from etude.errors import RunError, TrainingError, UsageError
from etude.runs.lock import training_lock
from etude.sweeps import Results, Sweep, load, start, worker
from etude.sweeps.processes import make_jobs

SMALL: dict[str, Any] = {"data": "digits", "train_images": 200, "validation_images": 50}
LONG = [
    "--data", "digits", "--train-images", "400", "--grid", "batch_size=4,8", "--epochs", "6", "--seeds", "2",
    "--name", "sweep",
]  # fmt: skip


def sweep(folder: Path, **changes: Any) -> Results:
    return etude.sweep("lenet", **{**SMALL, "runs_dir": folder, "name": "sweep", "quiet": True, **changes})


def contents(folder: Path) -> dict[str, bytes]:
    """All files of runs that hold no times."""
    names = ("metrics.jsonl", "checkpoints/*/*.safetensors")
    return {str(path.relative_to(folder)): path.read_bytes() for name in names for path in folder.glob(f"*/{name}")}


def result_rows(folder: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def command(*words: str) -> subprocess.Popen[str]:
    """`etude …` in a process of its own."""
    arguments = [sys.executable, "-m", "etude", *words]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_an_epoch(folder: Path) -> None:
    """Wait until a run has trained for an epoch."""
    until = time.monotonic() + 120
    while not any("train/loss" in path.read_text() for path in folder.glob("*/metrics.jsonl")):
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep of LONG that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    assert main(["sweep", "lenet", *LONG, "--quiet", "--runs-dir", str(folder)]) == 0
    return folder / "sweep"


def test_a_run_of_a_sweep_equals_the_same_run_alone(tmp_path: Path) -> None:
    results = sweep(tmp_path, grid={"batch_size": [4, 8]}, seeds=2, epochs=2)
    alone = etude.train("lenet", **SMALL, runs_dir=tmp_path / "alone", batch_size=8, epochs=2, seed=1, threads=1)
    of_the_sweep = etude.load(tmp_path / "sweep" / "batch_size-8-seed-1")
    for name in ("metrics.jsonl", "checkpoints/step-50/model.safetensors"):
        assert (of_the_sweep.path / name).read_bytes() == (alone.path / name).read_bytes()
    assert results.cells[1].values[1] == alone.metrics().last()["test/accuracy"]
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir() if path.is_dir()) == [
        "batch_size-4-seed-0", "batch_size-4-seed-1", "batch_size-8-seed-0", "batch_size-8-seed-1",
    ]  # fmt: skip

    # The same call again trains nothing; more seeds are added to those there.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("sweep/*/state.json")}
    assert sweep(tmp_path, grid={"batch_size": [4, 8]}, seeds=2, epochs=2).to_dict() == results.to_dict()
    more = sweep(tmp_path, grid={"batch_size": [4, 8]}, seeds=3, epochs=2)
    assert [sorted(cell.values) for cell in more.cells] == [[0, 1, 2], [0, 1, 2]]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    # Another plan is another sweep.
    with pytest.raises(RunError) as caught:
        sweep(tmp_path, grid={"batch_size": [4, 8]}, seeds=3, epochs=3)
    assert str(caught.value) == (
        f"sweep {tmp_path / 'sweep'} has another epochs (2; asked for: 3): choose another --name, "
        "or continue the sweep as it is with `etude resume sweep`."
    )


def test_a_failing_cell_is_reported_and_the_others_finish(tmp_path: Path) -> None:
    results = sweep(tmp_path, grid={"optimizer.learning_rate": [1e30, 1e-3]}, seeds=2, epochs=1, report_every=5)
    wild, tame = results.cells
    assert (wild.values, wild.summary, sorted(tame.values)) == ({}, None, [0, 1])
    run = tmp_path / "sweep" / "optimizer.learning_rate-1e-30-seed-0"
    assert results.failures["optimizer.learning_rate=1e+30 seed 0"] == (
        f"the loss is no longer finite after step 5 of {run}: train again with a lower --optimizer.learning-rate "
        "(now 1e+30); the last good checkpoint, step 0, is kept."
    )
    assert len(results.failures) == 2
    assert load(tmp_path / "sweep").cells[0].name == "optimizer.learning_rate-1e-30"
    assert etude.load(run).state.status == "failed"
    assert etude.sweeps.resume(tmp_path / "sweep", quiet=True).failures == results.failures  # and are not tried again
    assert "Failed: optimizer.learning_rate=1e+30 seed 1: " in (tmp_path / "sweep" / "results.md").read_text()


def test_where_all_runs_fail_the_first_reason_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as caught:
        sweep(tmp_path, grid={"optimizer.learning_rate": [1e30]}, seeds=1, epochs=1, report_every=5)
    assert str(caught.value).startswith(
        f"all 1 runs of {tmp_path / 'sweep'} failed. The first reason: the loss is no longer finite after step 5 of "
    )


def test_a_mistake_is_said_before_anything_is_made(tmp_path: Path) -> None:
    for changes, message in (
        ({"grid": {"batch_size": [4, 5000]}}, "--batch-size 5000 needs 5000 images a step"),
        ({"grid": {"data": ["digits", "mnits"]}}, "unknown data set 'mnits': did you mean 'mnist'?"),
        ({"jobs": 0}, "--jobs 0 (allowed: at least 1)."),
        ({"seeds": 0}, "--seeds 0 (allowed: 1 to 10,000)."),
        ({"seeds": [1, 2]}, "--seeds [1, 2] (allowed: 1 to 10,000)."),
        ({"jobs": "two"}, "--jobs 'two' (allowed: at least 1)."),
        ({"name": "a/b"}, "--name 'a/b' (allowed: letters, digits"),
    ):
        with pytest.raises(UsageError) as caught:
            sweep(tmp_path, **changes)
        assert str(caught.value).startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_killed_in_the_middle_resumes_to_the_same_bits(whole: Path, tmp_path: Path) -> None:
    process = command("sweep", "lenet", *LONG, "--runs-dir", str(tmp_path))
    wait_for_an_epoch(tmp_path / "sweep")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(contents(tmp_path / "sweep")) < len(contents(whole))
    # At once: the processes of the killed sweep may still be saving.
    assert main(["resume", str(tmp_path / "sweep"), "--quiet"]) == 0
    assert contents(tmp_path / "sweep") == contents(whole)
    assert result_rows(tmp_path / "sweep") == result_rows(whole)
    for name in ("results.md", "learning-curves.svg"):
        assert (tmp_path / "sweep" / name).read_bytes() == (whole / name).read_bytes()


def test_ctrl_c_saves_and_says_how_to_go_on(whole: Path, tmp_path: Path) -> None:
    process = command("sweep", "lenet", *LONG, "--runs-dir", str(tmp_path))
    wait_for_an_epoch(tmp_path / "sweep")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    states = [member.state.status for member in load(tmp_path / "sweep").members()]
    assert "interrupted" in states
    assert set(states) <= {"interrupted", "waiting", "finished"}
    assert err.splitlines()[-1] == (
        f"etude: stopped with {states.count('finished')} of 4 runs finished, all is saved: "
        f"continue with `etude resume {tmp_path / 'sweep'}`."
    )
    # The command itself, once more, is another way to go on.
    assert main(["sweep", "lenet", *LONG, "--quiet", "--runs-dir", str(tmp_path)]) == 0
    assert contents(tmp_path / "sweep") == contents(whole)


def test_a_process_that_dies_costs_its_run_alone(whole: Path, tmp_path: Path) -> None:
    process = command("sweep", "lenet", *LONG, "--jobs", "1", "--json", "--runs-dir", str(tmp_path))
    wait_for_an_epoch(tmp_path / "sweep")
    (worker,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(worker), signal.SIGKILL)
    out, err = process.communicate()
    assert process.returncode == 0, err
    reason = (
        "the process was killed (by a person, or for lack of memory: fewer --jobs need less); `etude resume` continues"
    )
    assert f"batch_size=4 seed 0  failed: {reason}  (0 of 4 runs finished, 1 failed" in err
    assert f'"failed": {{"batch_size=4 seed 0": "{reason}"}}' in out
    states = [member.state.status for member in load(tmp_path / "sweep").members()]
    assert states == ["interrupted", "finished", "finished", "finished"]
    assert main(["resume", str(tmp_path / "sweep"), "--quiet"]) == 0
    assert contents(tmp_path / "sweep") == contents(whole)


def test_two_processes_never_train_one_sweep(whole: Path) -> None:
    with training_lock(whole), pytest.raises(RunError) as caught:
        start.resume(Sweep(whole))
    assert str(caught.value) == f"run {whole} is being trained by another process: wait for it, or stop it first."


def test_a_run_that_another_process_keeps_is_named(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "ORPHAN_SECONDS", 0.3)
    run = next(load(whole).members()).path
    with training_lock(run), pytest.raises(RunError) as caught:
        start.resume(whole)
    assert str(caught.value) == f"run {run} is being trained by another process: wait for it, or stop it first."


def test_modules_in_the_current_folder_are_not_mistaken_for_pythons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('not me')")
    monkeypatch.chdir(tmp_path)
    assert sorted(sweep(tmp_path / "runs", seeds=1, epochs=1).cells[0].values) == [0]


def test_on_a_gpu_runs_that_differ_in_seed_and_learning_rate_are_one_program(make_sweep: Callable[..., Sweep]) -> None:
    grid = {"optimizer.learning_rate": [1e-3, 3e-3], "batch_size": [4, 8]}
    made = make_sweep(grid, {}, seeds=40)
    made.compute = replace(made.compute, device="cuda")
    members = list(made.members())
    jobs = make_jobs(made, members)
    assert [len(job) for job in jobs] == [64, 16, 64, 16]
    assert [{member.recipe.batch_size for member in job} for job in jobs] == [{4}, {4}, {8}, {8}]
    assert sorted(member.label for job in jobs for member in job) == sorted(member.label for member in members)
    assert (
        start.how_trained(made, jobs, 1) == f"{made.name}: 160 runs on cuda, vectorised: 4 programs, one after another"
    )
    made.compute = replace(made.compute, device="cpu")
    assert make_jobs(made, members) == [[member] for member in members]
    jobs = make_jobs(made, members[:3])
    assert start.how_trained(made, jobs, 2) == f"{made.name}: 3 runs on cpu, side by side in 2 processes"


def test_on_a_gpu_runs_go_on_with_those_that_stand_where_they_do(make_sweep: Callable[..., Sweep]) -> None:
    made = make_sweep({}, {}, seeds=5)
    made.compute = replace(made.compute, device="cuda")
    members = list(made.members())
    steps_of_begun: list[list[int]] = [[0, 100], [0, 100], [0], []]
    for member, steps in zip(members, steps_of_begun, strict=False):
        member.path.mkdir()
        (member.path / "recipe.json").touch()
        for step in steps:
            (member.path / "checkpoints" / f"step-{step}").mkdir(parents=True)
    assert [[member.seed for member in job] for job in make_jobs(made, members)] == [[0, 1], [2], [3], [4]]


def test_a_job_of_several_runs_trains_them_as_one_program(tmp_path: Path) -> None:
    recipe = etude.recipes.change(etude.recipes.get("lenet"), **SMALL, epochs=1, report_every=5, batch_size=10)
    members = [
        recipe,
        replace(recipe, seed=1),
        replace(recipe, optimizer=replace(recipe.optimizer, learning_rate=1e30)),
    ]
    job = {
        "paths": [str(tmp_path / name) for name in "abc"],
        "recipes": [etude.recipes.to_dict(each) for each in members],
        "data_dir": None,
        "compute": {"device": "cpu", "threads": 1, "precision": "auto", "compile": "off"},
        "trusted": False,
    }
    (failed,) = worker.work(job).items()
    assert failed[0] == str(tmp_path / "c")
    assert failed[1].startswith("the loss is no longer finite after step 5 of ")
    assert [etude.load(tmp_path / name).state.status for name in "abc"] == ["finished", "finished", "failed"]
    assert etude.load(tmp_path / "b").recipe == members[1]
    # A second time there is nothing to go on with; each run says its own reason.
    answers = worker.work(job)
    assert "is finished" in answers[str(tmp_path / "a")]
    assert answers[str(tmp_path / "c")] == failed[1]
