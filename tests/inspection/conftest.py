"""Makes `architectures` importable, and keeps every test on one thread."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    torch.manual_seed(0)
