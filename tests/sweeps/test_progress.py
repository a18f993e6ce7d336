"""What a person sees while a sweep trains: the live table, the lines where there is no terminal, the time left."""

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from etude.files import checked_json, parse_checked_json
from etude.runs import Run, RunStatus
from etude.sweeps import Sweep
from etude.sweeps.progress import SweepDisplay, duration, seconds_left

MakeSweep = Callable[..., Sweep]


@pytest.fixture
def sweep(make_sweep: MakeSweep) -> Sweep:
    """Two cells of four seeds: finished, failed, interrupted, to come; and one in progress."""
    epochs = [{"train/loss": 1.0}] * 2
    sweep = make_sweep({"epochs": [2, 4]}, {"epochs-2": [epochs, None, epochs], "epochs-4": [epochs, epochs]}, seeds=4)
    for name in ("epochs-2-seed-2", "epochs-4-seed-1"):
        run = Run(sweep.path / name)
        run.write_state(replace(run.state, status="interrupted", epoch=1))
    return sweep


def test_the_table_has_a_mark_for_each_run(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    display = SweepDisplay(sweep, num_jobs=2)  # each epoch took 1 s, and 14 are left
    running = next(member for member in sweep.members() if member.path.name == "epochs-4-seed-1")
    monkeypatch.setattr("etude.runs.run.is_training", lambda _path: True)
    Run(running.path).write_state(RunStatus(status="running", epoch=1, seconds=1.5))
    to_come = next(member for member in sweep.members() if member.path.name == "epochs-4-seed-2")
    display.refresh([running, to_come])
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as capture:
        console.print(display.table())
    assert [line.rstrip() for line in capture.get().splitlines()] == [
        "2 of 8 runs finished, 1 failed, about 7 s left",
        "✓ finished  3/5 epochs of a run in progress  ‖ saved  ✗ failed  · to come",
        "cell      done  seeds 0 to 3",
        "epochs=2   1/4  ✓ ✗ ‖ ·",
        "epochs=4   1/4  ✓ 1/4 0/4 ·",
    ]


def test_without_a_terminal_each_run_is_a_line(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    members = {member.path.name: member for member in sweep.members()}
    with SweepDisplay(sweep, num_jobs=2) as display:
        display.ended(members["epochs-2-seed-0"], None)
        display.ended(members["epochs-2-seed-2"], None)
        display.ended(members["epochs-4-seed-2"], "the disk is full.")
        display.ended(members["epochs-4-seed-3"], None)  # stopped before it began: nothing to say
    assert capsys.readouterr().err.splitlines() == [
        f"{sweep.name}: computed on cpu, 1 thread, fp32",
        "epochs=2 seed 0  finished, 2 epochs in 1.5 s  (2 of 8 runs finished, 1 failed, about 7 s left)",
        "epochs=2 seed 2  interrupted, 1 epoch in 1.5 s  (2 of 8 runs finished, 1 failed, about 7 s left)",
        "epochs=4 seed 2  failed: the disk is full.  (2 of 8 runs finished, 2 failed, about 5 s left)",
    ]
    with SweepDisplay(sweep, num_jobs=2, quiet=True) as display:
        display.ended(members["epochs-2-seed-0"], None)
    assert capsys.readouterr().err == ""


def test_a_cell_that_is_computed_otherwise_is_said_once(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    members = {member.path.name: member for member in sweep.members()}
    for name in ("epochs-4-seed-0", "epochs-4-seed-1"):
        file = members[name].path / "recipe.json"
        content, _ = parse_checked_json(file.read_bytes())
        content["execution"]["compiled"] = True
        file.write_text(checked_json(content))
    (members["epochs-2-seed-0"].path / "recipe.json").write_text("{")  # damaged: reported as failed, and not said
    with SweepDisplay(sweep, num_jobs=2) as display:
        for name in ("epochs-2-seed-0", "epochs-2-seed-2", "epochs-4-seed-0", "epochs-4-seed-1"):
            display.ended(members[name], None)
    lines = [line for line in capsys.readouterr().err.splitlines() if "computed" in line]
    assert lines == [
        f"{sweep.name}: computed on cpu, 1 thread, fp32",
        "epochs=4: computed on cpu, 1 thread, fp32, compiled",
    ]


def test_time_left_is_that_of_the_epochs_to_come(make_sweep: MakeSweep) -> None:
    sweep = make_sweep({"batch_size": [10, 20]}, {"batch_size-10": [], "batch_size-20": []}, seeds=2, epochs=4)
    members = list(sweep.members())
    states = {member.label: RunStatus(status="waiting") for member in members}
    assert seconds_left(members, states, 2) is None  # nothing is known yet
    states["batch_size=10 seed 0"] = RunStatus(status="running", epoch=2, seconds=20.0)
    # 2 epochs of 10 s, 4 of 10 s, and twice 4 of 5 s, for a batch of 20 has half the steps: 100 s on two processes.
    assert seconds_left(members, states, 2) == pytest.approx(50)
    assert seconds_left(members, states, 8) == pytest.approx(40)  # no sooner than the longest run
    assert (
        seconds_left(members, {label: RunStatus(status="finished", epoch=4, seconds=1) for label in states}, 2) is None
    )


def test_durations_are_in_the_unit_that_people_use() -> None:
    assert [duration(seconds) for seconds in (4.2, 89, 90, 5399, 9000)] == ["4 s", "89 s", "2 min", "90 min", "2.5 h"]
