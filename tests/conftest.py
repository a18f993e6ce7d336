"""One thread per process, for test workers side by side would fight over the cores; no deadlines; two gears.

And the reference implementations that tests compare with.
"""

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest
from hypothesis import settings

pytest_plugins = ["browser"]

os.environ["OMP_NUM_THREADS"] = "1"
settings.register_profile("etude", deadline=None)
settings.load_profile("etude")

TESTS = Path(__file__).parent
SLOW = (TESTS / "slow.txt").read_text("utf-8").split()
"""Folders, files and tests (FILE::TEST) that train, or take long: `make quick` leaves them out."""
SLOW_PATHS = {TESTS / name for name in SLOW if "::" not in name}
SLOW_TESTS = {name for name in SLOW if "::" in name}

if missing := [name for name in SLOW if not (TESTS / name.partition("::")[0]).exists()]:
    raise pytest.UsageError(f"tests/slow.txt names what is not there: {', '.join(missing)}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave slow files out before they are imported, which takes longer than many a test."""
    return True if config.option.markexpr == "not slow" and collection_path in SLOW_PATHS else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name = f"{item.path.relative_to(TESTS).as_posix()}::{item.name.partition('[')[0]}"
        if name in SLOW_TESTS or not SLOW_PATHS.isdisjoint([item.path, *item.path.parents]):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def reference() -> Callable[[str], ModuleType]:
    """Import a module of torch-fidelity, torchmetrics or prdc by its name."""

    def load(name: str) -> ModuleType:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs, not ours
            with _stand_in_for_torchvision():
                importlib.import_module("torch_fidelity")  # torchmetrics imports it too
            return importlib.import_module(name)

    return load


@contextmanager
def _stand_in_for_torchvision() -> Iterator[None]:
    """torch-fidelity imports torchvision at its top, which not every PyTorch has; its arithmetic needs none."""
    names = ["torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional"]
    missing = [name for name in names if name not in sys.modules]
    sys.modules.update({name: MagicMock(__spec__=None) for name in missing})
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]
