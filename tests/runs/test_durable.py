"""What is written stays as it was written, or is said to have changed; several processes, full disks, old folders."""

import errno
import fcntl
import io
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

import etude
from etude.cli import main
from etude.errors import DiskError, EtudeError, Interrupted, RunError
from etude.files import (
    DISK_FAILURES,
    checked_json,
    checksum,
    is_temporary,
    locked,
    parse_checked_json,
    remove_leftovers,
    temporary_path,
    write_atomically,
)
from etude.runs import Run
from etude.runs.events import EventWriter
from etude.runs.lock import is_training, training_lock
from etude.training import Display
from made_up import make_run

PLAN: dict[str, Any] = {
    "data": "digits", "train_images": 60, "validation_images": 10, "batch_size": 20, "epochs": 2, "report_every": 2,
    "threads": 1, "precision": "fp32", "compile": "off", "name": "run",
}  # fmt: skip


class StopAfterFour(Display):
    def step(self, step: int, losses: object) -> None:
        if step == 4:
            os.kill(os.getpid(), 2)


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run that Ctrl-C stopped after four of six steps."""
    with pytest.raises(Interrupted):
        etude.train("lenet", runs_dir=tmp_path, display=StopAfterFour(quiet=True), **PLAN)
    return tmp_path / "run"


# A bit that has flipped -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["recipe.json", "state.json", "metrics.jsonl"])
def test_a_flipped_bit_is_noticed_wherever_it_is(name: str, tmp_path: Path) -> None:
    file = make_run(tmp_path, "run").path / name
    whole = file.read_bytes()
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        file.write_bytes(content)
        with pytest.raises(RunError) as caught:
            Run(tmp_path / "run").metrics()
        assert name in str(caught.value), place
    file.write_bytes(whole)
    assert Run(tmp_path / "run").metrics().last()["test/accuracy"] == 0.5


def test_a_flipped_learning_rate_is_not_trained_on(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = stopped / "recipe.json"
    file.write_bytes(file.read_bytes().replace(b'"learning_rate": 0.001', b'"learning_rate": 0.003'))
    for words in (["resume", str(stopped)], ["show", str(stopped)], ["measure", str(stopped)]):
        assert main(words) == 2
        assert capsys.readouterr().err == (
            f"etude: damaged run {stopped}: recipe.json cannot be read (its content has changed since it was written); "
            "put the file back, or train the run again.\n"
        )


def test_a_flipped_digit_of_the_metrics_is_not_trained_on(stopped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = stopped / "metrics.jsonl"
    content = file.read_bytes()
    at = content.index(b'"running/loss": ') + 18
    file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    for command in ("resume", "show"):
        assert main([command, str(stopped)]) == 2
        assert capsys.readouterr().err == (
            f"etude: damaged run {stopped}: metrics.jsonl has changed since it was written; "
            "put the file back, or train the run again.\n"
        )


# Runs of étude 0.1 ----------------------------------------------------------------------------------------------------


def test_a_run_without_checksums_opens_and_resumes(stopped: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(stopped, tmp_path / "copy"))
    whole = etude.resume(Run(copy), display=Display(quiet=True))
    as_by_the_first_version(stopped)
    assert parse_checked_json((stopped / "recipe.json").read_bytes())[1] is False
    assert Run(stopped).state.status == "interrupted"
    run = etude.resume(Run(stopped), display=Display(quiet=True))
    for name in ("metrics.jsonl", "checkpoints/step-6/model.safetensors", "checkpoints/step-6/trainer.safetensors"):
        assert (run.path / name).read_bytes() == (whole.path / name).read_bytes()
    assert (
        etude.measure(run, metrics=("accuracy",))["accuracy"] == etude.measure(whole, metrics=("accuracy",))["accuracy"]
    )


def as_by_the_first_version(run: Path) -> None:
    """Take from the files of a run what étude 0.1 did not write."""
    recipe, _ = parse_checked_json((run / "recipe.json").read_bytes())
    (run / "recipe.json").write_text(json.dumps({**recipe, "format": 1}, indent=1))
    state, _ = parse_checked_json((run / "state.json").read_bytes())
    (run / "state.json").write_text(json.dumps({k: v for k, v in state.items() if not k.startswith("metrics")}))
    for checkpoint in (run / "checkpoints").iterdir():
        progress = json.loads((checkpoint / "trainer.json").read_bytes())
        del progress["metrics_checksum"]
        content = json.dumps(progress, indent=1)
        (checkpoint / "trainer.json").write_text(content)
        checksums = json.loads((checkpoint / "checksums.json").read_bytes())
        checksums["trainer.json"] = checksum(content.encode())
        (checkpoint / "checksums.json").write_text(json.dumps(checksums))


# A disk that refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", DISK_FAILURES)
@pytest.mark.parametrize("name", ["metrics.jsonl", "model.safetensors", ".state.json."])
def test_a_disk_that_refuses_ends_in_a_line_and_the_run_goes_on(
    code: int, name: str, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    whole = etude.resume(Run(Path(shutil.copytree(stopped, tmp_path / "copy"))), display=Display(quiet=True))
    opened = io.open

    def refusing(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        made = opened(file, mode, *args, **options)
        return Refusing(made, code) if name in str(file) and mode not in ("r", "rb") else made

    with monkeypatch.context() as patch:
        patch.setattr(io, "open", refusing)
        assert main(["resume", str(stopped), "--quiet", "--no-figures"]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"etude: cannot write {stopped}/")
        assert error.endswith(f": {os.strerror(code).lower()}; free some space or choose another folder.\n")
        assert error.count("\n") == 1
    run = etude.resume(Run(stopped), display=Display(quiet=True))
    assert (run.path / "metrics.jsonl").read_bytes() == (whole.path / "metrics.jsonl").read_bytes()


class Refusing:
    """A file whose writes the disk refuses; final."""

    def __init__(self, file: Any, code: int) -> None:
        self._file, self._code = file, code

    def write(self, content: bytes) -> int:
        self._file.close()
        raise OSError(self._code, os.strerror(self._code))

    def __enter__(self) -> "Refusing":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_half_a_line_written_before_the_disk_is_full_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with EventWriter(path, size_bytes=0) as events:
        events.write(step=1, epoch=1, values={"train/loss": 1.0})
        size, found = events.flush()
    with path.open("ab") as file:
        file.write(b'{"event": 1, "st')
    with EventWriter(path, size_bytes=size, checksum=found) as events:
        assert (events.num_events, events.flush()) == (1, (size, found))
        events.write(step=2, epoch=1, values={"train/loss": 2.0})
        size, found = events.flush()
    assert (path.stat().st_size, checksum(path.read_bytes())) == (size, found)


# Several processes ----------------------------------------------------------------------------------------------------


def test_of_five_that_resume_a_run_one_does(stopped: Path) -> None:
    children = []
    for _ in range(5):
        if (child := os.fork()) == 0:
            try:
                etude.resume(Run(stopped), display=Display(quiet=True))
                os._exit(0)
            except RunError as error:
                os._exit(2 if "is finished" in str(error) or "by another process" in str(error) else 3)
            finally:
                os._exit(1)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert sorted(codes) == [0, 2, 2, 2, 2]
    assert [row["event"] for row in Run(stopped).metrics().rows] == list(range(len(Run(stopped).metrics())))


def test_who_comes_second_waits(tmp_path: Path) -> None:
    waited = []
    lock = tmp_path / "cache" / ".lock"
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        with locked(lock):
            os.write(writing, b"x")
            time.sleep(0.3)
        os._exit(0)
    os.read(reading, 1)
    with locked(lock, waiting=lambda: waited.append(True)):
        assert waited == [True]
    os.waitpid(child, 0)


def test_a_disk_that_knows_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, "run")
    (run.path / ".lock").touch()

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not is_training(run.path)
    for lock, path in ((training_lock, run.path), (locked, tmp_path / ".lock")):
        with pytest.raises(DiskError) as caught, lock(path):
            pass
        file = path if path.name == ".lock" else path / ".lock"
        assert str(caught.value) == f"cannot lock {file}: no locks available; choose a folder on another disk."


# What a kill leaves ---------------------------------------------------------------------------------------------------


def test_what_a_kill_left_is_removed_a_day_later_and_nothing_else(stopped: Path) -> None:
    old, young = temporary_path(stopped / "state.json"), temporary_path(stopped / "state.json")
    folder = temporary_path(stopped / "checkpoints" / "step-9")
    first_version = stopped.parent / ".new-0123abcd"
    foreign = [stopped.parent / name for name in (".film.mkv.part", "mine.part", ".new-year", ".a.0123abcd.part.txt")]
    for path in (old, young, *foreign):
        path.write_text("half")
    for path in (folder, first_version):
        path.mkdir()
    yesterday = time.time() - 25 * 60 * 60
    for path in (old, folder, first_version, *foreign):
        os.utime(path, (yesterday, yesterday))
    etude.resume(Run(stopped), display=Display(quiet=True))
    make_run(stopped.parent, "next")
    assert [path.exists() for path in (old, folder, first_version)] == [False] * 3
    assert all(path.exists() for path in (young, *foreign))


def test_temporary_names() -> None:
    assert is_temporary(temporary_path(Path("/x/" + "y" * 250)))
    assert len(temporary_path(Path("/x/" + "y" * 250)).name) < 255
    assert not is_temporary(Path("/x/.film.part"))
    remove_leftovers(Path("/no/such/folder"))


def test_checked_json_comes_back() -> None:
    content = {"a": [1, 2.5, None, True], "b": {"c": "é\n"}}
    text = checked_json(content)
    assert parse_checked_json(text.encode()) == (content, True)
    assert json.loads(text) == {**content, "checksum": text[-35:-3]}
    assert parse_checked_json(json.dumps(content).encode()) == (content, False)
    with pytest.raises(ValueError, match="its content has changed since it was written"):
        parse_checked_json(text.replace("2.5", "2.7").encode())


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")

    def refuse(descriptor: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(EtudeError, match="disk quota exceeded; free some space"):
        write_atomically(path, "new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"
