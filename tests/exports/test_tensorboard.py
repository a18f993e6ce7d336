"""Event files: a run's own after training, and those written while it trains."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etude
from etude.cli import main
from etude.drawing.tiles import read_png
from etude.errors import DiskError, Interrupted
from etude.runs import Run
from etude.runs.event_file import EventFile, crc32c
from etude.training import Display
from exports.event_records import events_in
from training.test_resume import StopAfter

SHORT: dict[str, Any] = {
    "data": "digits", "threads": 1, "precision": "fp32", "epochs": 2, "train_images": 160, "batch_size": 16,
    "report_every": 4, "name": "run", "network": "mlp",
}  # fmt: skip


def train(folder: Path, events: Path | None, display: Display | None = None) -> Run:
    display = display or Display(quiet=True)
    return etude.train("classifier", runs_dir=folder, display=display, tensorboard=events, **SHORT)


def scalars(folder: Path) -> list[dict[str, Any]]:
    """The scalars in the files of the folder, with their steps, as metrics.jsonl has them."""
    return [{"step": event["step"], **event["scalars"]} for event in all_events(folder) if "scalars" in event]


def all_events(folder: Path) -> list[dict[str, Any]]:
    return [event for path in sorted(folder.iterdir()) for event in events_in(path)]


def metrics(run: Run) -> list[dict[str, Any]]:
    """The metrics file, rounded as single floats are."""
    rows = map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines())
    kept = [{key: value for key, value in row.items() if key not in ("event", "epoch")} for row in rows]
    return [{key: float(np.float32(v)) if key != "step" else v for key, v in row.items()} for row in kept]


def test_the_checksum_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, B.4 and its check value
    assert crc32c(bytes(32)) == 0x8A9136AA


def test_a_run_becomes_an_event_file(made: Callable[[str], Run], tmp_path: Path) -> None:
    run = made("gan")
    (path,) = etude.export(run, to="tensorboard", path=tmp_path)
    assert path.parent == tmp_path / "gan"
    assert path.name.startswith("events.out.tfevents.")
    events = events_in(path)
    assert events[0]["version"] == "brain.Event:2"
    assert events[1]["session"][1] == 1
    assert scalars(tmp_path / "gan") == metrics(run)
    pictures = {event["step"]: event["pictures"]["samples"] for event in events if "pictures" in event}
    assert list(pictures) == [0, 40]
    shown = run.preview_images()[0][1]
    assert pictures[0][3] == shown.read_bytes()
    height, width, channels, _ = pictures[0]
    assert (height, width) == read_png(shown).shape[:2]
    assert channels == 1
    started = datetime.fromisoformat(run.configuration["created"]).timestamp()
    times = {event["step"]: event["wall_time"] - started for event in events if "scalars" in event}
    assert times == {10: 5.0, 20: 10.0, 30: 15.0}  # 40 steps took 20 seconds


def test_exporting_again_replaces_the_file(made: Callable[[str], Run], tmp_path: Path) -> None:
    run = made("gan")
    other = tmp_path / "gan" / "events.out.tfevents.1.other"
    for _ in range(2):
        etude.export(run, to="tensorboard", path=tmp_path)
    other.write_bytes(b"of another program")
    etude.export(run, to="tensorboard", path=tmp_path)
    assert sorted(each.suffix for each in (tmp_path / "gan").iterdir()) == [".etude", ".other"]


def test_events_are_written_while_it_trains_and_change_nothing(tmp_path: Path) -> None:
    plain, mirrored = train(tmp_path / "a", None), train(tmp_path / "b", tmp_path / "events")
    assert (plain.path / "metrics.jsonl").read_bytes() == (mirrored.path / "metrics.jsonl").read_bytes()
    assert scalars(tmp_path / "events" / "run") == metrics(plain)
    (path,) = (tmp_path / "events" / "run").iterdir()
    times = [event["wall_time"] for event in events_in(path)]
    assert times == sorted(times)


def test_a_resumed_run_has_each_event_once(tmp_path: Path) -> None:
    events = tmp_path / "events"
    with pytest.raises(Interrupted):
        train(tmp_path, events, StopAfter(13))
    stopped = scalars(events / "run")
    before = [event["wall_time"] for event in all_events(events / "run") if "scalars" in event]
    run = etude.resume(tmp_path / "run", display=Display(quiet=True), tensorboard=events)
    assert scalars(events / "run") == metrics(run)
    assert scalars(events / "run")[: len(stopped)] == stopped
    after = [event["wall_time"] for event in all_events(events / "run") if "scalars" in event]
    assert after[: len(before)] == before


def test_what_a_killed_session_wrote_beyond_its_checkpoint_goes(tmp_path: Path) -> None:
    events = tmp_path / "events"
    with pytest.raises(Interrupted):
        train(tmp_path, events, StopAfter(13))
    kept = scalars(events / "run")
    run = etude.load(tmp_path / "run")
    identity = run.configuration["created"]
    file = EventFile(events / "run", identity=identity, num_events=len(kept), step=13)
    file.scalars(16, {"running/loss": 99.0})
    file.picture(16, b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0aaaa")
    file.close()
    file.path.write_bytes(file.path.read_bytes() + b"torn")
    etude.resume(run, display=Display(quiet=True), tensorboard=events)
    assert scalars(events / "run") == metrics(run)
    assert not any("pictures" in event for event in all_events(events / "run"))
    sessions = [event["step"] for event in all_events(events / "run") if "session" in event]
    assert sessions[-1] == 14  # a TensorBoard that has read step 16 forgets it


def test_events_of_another_run_of_that_name_stay(tmp_path: Path) -> None:
    one = EventFile(tmp_path, identity="one")
    one.scalars(1, {"loss": 1.0})
    one.close()
    two = EventFile(tmp_path, identity="two")
    two.close()
    assert sorted(tmp_path.iterdir()) == sorted([one.path, two.path])


def test_odd_numbers_are_written(tmp_path: Path) -> None:
    file = EventFile(tmp_path, identity="")
    file.scalars(2**40, {"a": float("nan"), "b": 1e300, "c": -1e300})
    file.close()
    event = events_in(file.path)[-1]
    assert event["step"] == 2**40
    assert np.isnan(event["scalars"]["a"])
    assert (event["scalars"]["b"], event["scalars"]["c"]) == (np.inf, -np.inf)


def test_a_folder_that_cannot_be_made_is_said_before_there_is_a_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError) as caught:
        train(tmp_path / "runs", tmp_path / "file")
    assert str(caught.value) == (
        f"cannot write {tmp_path / 'file'}: file exists; free some space or choose another folder."
    )
    assert not (tmp_path / "runs").exists()


def test_the_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "classifier", "--data", "digits", "--epochs", "1", "--train-images", "64", "--quiet"]
    words += ["--threads", "1", "--no-figures", "--runs-dir", str(tmp_path), "--name", "run"]
    assert main([*words, "--tensorboard", str(tmp_path / "events")]) == 0
    assert [each.name for each in (tmp_path / "events").iterdir()] == ["run"]
    capsys.readouterr()
    words.remove("--no-figures")
    assert main([*words, "--seeds", "2", "--tensorboard", "x"]) == 2
    assert capsys.readouterr().err == "etude: --tensorboard is for one run: leave it or --seeds out.\n"
