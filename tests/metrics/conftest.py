"""The reference implementations that these tests compare with."""

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from unittest.mock import MagicMock

import pytest


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
