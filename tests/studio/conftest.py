"""A folder of briefly trained runs, one for each thing that networks can do, and the studio over it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import etude
from browsing import PORT, TOKEN, Browser
from etude.studio.app import Studio
from etude.studio.guard import Guard
from etude.studio.serving import LOOPBACK
from etude.training import Display

FEW: dict[str, dict[str, Any]] = {
    "lenet": {"train_images": 64, "epochs": 2},
    "cvae": {"train_images": 64},
    "vae": {"train_images": 64},
    "gan": {"train_images": 64, "batch_size": 32},
    "ddpm": {"train_images": 16, "batch_size": 16, "width": 16, "sampling_steps": 2},
    "classifier": {"data": "moons", "train_images": 64},
    "text-classifier": {"data": "opinions", "network": "lstm", "train_images": 64, "batch_size": 32},
    "translate-luong": {"width": 8, "batch_size": 8, "validation_images": 0},
    "char-lstm": {"width": 6, "layers": 1, "batch_size": 4, "bptt": 8},
}
"""What makes the training of each recipe short."""
TEXT = "the cat sat on the mat, and the dog lay on the log. " * 20
PAIRS = [
    (f"the {animal} sees a {thing} .", f"le {animal} voit un {thing} .") for animal in "abcdefgh" for thing in "uvwxyz"
]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each recipe of `FEW`, by its name; not to be written into."""
    folder = tmp_path_factory.mktemp("studio")
    (folder / "text.txt").write_text(TEXT)
    for number, name in enumerate(("here.txt", "there.txt")):
        (folder / name).write_text("".join(f"{pair[number]}\n" for pair in PAIRS))
    own = {"char-lstm": f"chars:{folder}/text.txt", "translate-luong": f"pairs:{folder}/here.txt,{folder}/there.txt"}
    shared = {
        "epochs": 1,
        "threads": 1,
        "precision": "fp32",
        "display": Display(quiet=True),
        "runs_dir": folder / "runs",
    }
    for recipe, changes in FEW.items():
        etude.train(recipe, name=recipe, **{"data": own.get(recipe, "digits"), **shared, **changes})
    return folder / "runs"


@pytest.fixture
def browse() -> Iterator[Callable[[Path], Browser]]:
    """A function of a folder of runs: a browser at a studio over it."""

    def over(runs_dir: Path) -> Browser:
        studio = Studio(runs_dir, None)
        studios.append(studio)
        return Browser(Guard(studio.app(), hosts={*LOOPBACK}, port=PORT, token=TOKEN))

    studios: list[Studio] = []
    yield over
    for studio in studios:
        studio.jobs.close()


@pytest.fixture(scope="session")
def visitor(trained: Path) -> Iterator[Browser]:
    """A browser at a studio over the trained runs."""
    studio = Studio(trained, None)
    yield Browser(Guard(studio.app(), hosts={*LOOPBACK}, port=PORT, token=TOKEN))
    studio.jobs.close()


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Callable[..., Path]:
    """A function of names: copies of these runs, in a folder that may be written into."""

    def copy(*names: str) -> Path:
        for name in names:
            shutil.copytree(trained / name, tmp_path / "runs" / name)
        return tmp_path / "runs"

    return copy
