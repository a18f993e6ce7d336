"""The same weights in every test."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    torch.manual_seed(0)
