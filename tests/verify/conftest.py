"""Learners' files: `answers/CONTRACT_right_N.py` and `answers/CONTRACT_learner_N.py`."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ANSWERS = Path(__file__).parent / "answers"


@pytest.fixture
def answers() -> Path:
    return ANSWERS


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports one of the answers by name."""
    monkeypatch.setattr(sys, "path", [str(ANSWERS), *sys.path])
    return importlib.import_module
