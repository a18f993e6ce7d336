"""Briefly trained runs on the embedded digits, and a cache folder of the tests' own."""

import shutil
from pathlib import Path

import pytest

import etude
from etude.measurement import reference_classifier
from etude.runs import Run
from etude.training import Display


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a few epochs, one a network, with the reference classifier in `cache`; not to be written into."""
    folder = tmp_path_factory.mktemp("measured")
    quiet = Display(quiet=True)
    for name, epochs in (("lenet", 4), ("gan", 2), ("vae", 4), ("cvae", 4)):
        etude.train(name, name=name, data="digits", epochs=epochs, runs_dir=folder, threads=1, display=quiet)
    return folder


@pytest.fixture(scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _quick_classifier(_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training of the reference classifier on few images, once for all tests, in a cache of their own."""
    monkeypatch.setattr(reference_classifier, "IMAGES_SEEN", 12_000)
    monkeypatch.setattr(reference_classifier, "cache_folder", lambda: _cache)


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> dict[str, Run]:
    """Fresh copies of the runs, by recipe."""
    return {
        path.name: Run(Path(shutil.copytree(path, tmp_path / path.name)))
        for path in sorted(trained.iterdir())
    }  # fmt: skip
