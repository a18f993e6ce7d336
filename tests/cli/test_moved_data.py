"""A run whose folder of images has moved: drawn, measured and resumed from where they are now, if they are the same."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import etude
from etude.cli import main
from etude.errors import Interrupted
from etude.training import Display


def write_pictures(folder: Path, *, seed: int) -> Path:
    """Two classes of noise, a bright and a dark one."""
    draw = np.random.default_rng(seed)
    for label, most in (("bright", 255), ("dark", 90)):
        (folder / label).mkdir(parents=True)
        for number in range(40):
            pixels = (draw.random((16, 16)) * most).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


class StopAfterTwo(Display):
    def step(self, step: int, losses: object) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """Runs `done` and `begun` of pictures that have moved to `new`; `other` has other pictures."""
    old = write_pictures(tmp_path / "old", seed=0)
    plan = {
        "data": f"folder:{old}",
        "image_size": 16,
        "batch_size": 16,
        "epochs": 1,
        "runs_dir": tmp_path,
        "threads": 1,
    }
    quiet = Display(quiet=True)
    etude.train("lenet", name="done", display=quiet, precision="fp32", **plan)
    with pytest.raises(Interrupted):
        etude.train("lenet", name="begun", display=StopAfterTwo(quiet=True), precision="fp32", **plan)
    old.rename(tmp_path / "new")
    write_pictures(tmp_path / "other", seed=1)
    return tmp_path


def test_a_run_finds_its_pictures_where_they_are_now(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for where in (["--data", f"folder:{moved / 'new'}"], ["--data-dir", str(moved / "new")]):
        assert main(["figure", str(moved / "done"), "confusion", *where]) == 0
        assert main(["measure", str(moved / "done"), "--metrics", "accuracy", *where]) == 0
        assert "done at step" in capsys.readouterr().out
    assert main(["resume", str(moved / "begun"), "--data", f"folder:{moved / 'new'}", "--quiet"]) == 0
    assert (moved / "begun" / "metrics.jsonl").read_bytes() == (moved / "done" / "metrics.jsonl").read_bytes()
    assert (moved / "begun" / "figures" / "confusion.png").is_file()


def test_other_pictures_are_refused(moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["figure", "done", "confusion"], ["measure", "done"], ["resume", "begun", "--quiet"]):
        command, name, *rest = words
        run = str(moved / name)
        for where in (["--data", f"folder:{moved / 'other'}"], ["--data-dir", str(moved / "other")]):
            assert main([command, run, *rest, *where]) == 2
            assert capsys.readouterr().err == (
                f"etude: the images of folder:{moved / 'other'} are not those that run {run} began with, "
                f"folder:{moved / 'old'}: name the folder where these are now.\n"
            )
        assert main([command, run, *rest]) == 2
        assert capsys.readouterr().err == (
            f"etude: {moved / 'old'}: no such folder any more, where run {run} found its images; "
            "give --data folder:PATH, where they are now.\n"
        )
