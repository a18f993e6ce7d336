"""Whenever a run is killed, nothing is lost: `kill_every_operation.py` beside this file tries every file operation."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import etude
from etude.errors import Interrupted
from etude.runs import checkpoint
from etude.training import Display

SCRIPT = Path(__file__).with_name("kill_every_operation.py")
PLAN: dict[str, Any] = {
    "data": "digits", "train_images": 60, "validation_images": 10, "batch_size": 20, "epochs": 3, "report_every": 2,
    "threads": 1, "precision": "fp32", "compile": "off",
}  # fmt: skip


def test_a_run_killed_before_a_file_operation_resumes_to_the_same_bits() -> None:
    words = [sys.executable, str(SCRIPT), "--every", "37", "--recipes", "lenet", "vae"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    *trials, verdict = [line for line in done.stdout.splitlines() if line]
    assert (done.returncode, verdict) == (0, "0 ended differently"), done.stdout + done.stderr
    assert len(trials) == 2 * 5  # families, ways
    assert all(int(line.split(": ")[1].split()[2]) > 90 for line in trials), trials  # operations there are


class Signal(Display):
    """Sends this process a signal after some steps, counted from where it goes on."""

    def __init__(self, steps: int, number: signal.Signals) -> None:
        super().__init__(quiet=True)
        self.left, self.number = steps, number

    def step(self, step: int, losses: object) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)


def test_killed_then_stopped_before_the_next_report(tmp_path: Path) -> None:
    """The metrics file holds lines beyond the last checkpoint: what the next checkpoint says of its size is without."""
    whole = etude.train("lenet", name="whole", runs_dir=tmp_path, display=Display(quiet=True), **PLAN)
    for name, sittings in {
        "later": [(5, signal.SIGKILL), (1, signal.SIGINT)],
        "first epoch, twice": [(2, signal.SIGKILL), (2, signal.SIGKILL), (1, signal.SIGINT), (2, signal.SIGKILL)],
    }.items():
        folder = tmp_path / name
        for steps, number in sittings:
            if (child := os.fork()) == 0:
                sitting(folder, Signal(steps, number))
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == (-9 if number == signal.SIGKILL else 130)
        run = etude.resume(etude.load(folder / "run"), display=Display(quiet=True))
        assert (run.path / "metrics.jsonl").read_bytes() == (whole.path / "metrics.jsonl").read_bytes()
        assert [row["event"] for row in run.metrics().rows] == list(range(len(run.metrics())))


def sitting(folder: Path, display: Display) -> None:
    """Train or resume, in a forked process, which ends."""
    try:
        if (folder / "run").exists():
            etude.resume(etude.load(folder / "run"), display=display)
        else:
            etude.train("lenet", name="run", runs_dir=folder, display=display, **PLAN)
    except Interrupted:
        os._exit(130)
    finally:
        os._exit(1)


def test_stopped_at_an_epochs_end_the_checkpoint_there_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = checkpoint._write
    monkeypatch.setattr(checkpoint, "_write", lambda final, files: (written.append(final.name), write(final, files)))

    class AtTheEnd(Display):
        def epoch(self, **_: object) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        etude.train("lenet", name="run", runs_dir=tmp_path, display=AtTheEnd(quiet=True), **PLAN)
    assert written == ["step-0", "step-3"]
    assert etude.load(tmp_path / "run").state.status == "interrupted"


@pytest.mark.parametrize("harm", ["flip", "half", "gone"])
def test_a_damaged_checkpoint_is_passed_over_and_said(
    harm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = etude.train("lenet", name="whole", runs_dir=tmp_path, display=Display(quiet=True), **PLAN)
    with pytest.raises(Interrupted):
        etude.train("lenet", name="run", runs_dir=tmp_path, display=Signal(7, signal.SIGINT), **PLAN)
    run = etude.load(tmp_path / "run")
    file = run.checkpoint_path() / "model.safetensors"
    assert file.parent.name == "step-7"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content if harm == "flip" else content[: len(content) // 2])
    reason = "its content has changed since it was written"
    if harm == "gone":
        file.unlink()
        reason = "no such file or directory"
    etude.resume(run, display=Display(quiet=True))
    assert capsys.readouterr().err == (
        f"damaged checkpoint {file}: {reason}; going on from step 6, the last whole one.\n"
    )
    for name in ("metrics.jsonl", "checkpoints/step-9/model.safetensors", "checkpoints/step-9/trainer.safetensors"):
        assert (run.path / name).read_bytes() == (whole.path / name).read_bytes()
    assert sorted(path.name for path in (run.path / "checkpoints").iterdir()) == sorted(
        path.name for path in (whole.path / "checkpoints").iterdir()
    )
