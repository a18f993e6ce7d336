"""The embedding: equal to PyTorch's in values and gradients, for any index shape, padding row or none."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from etude.errors import UsageError
from etude.models import Embedding


@pytest.mark.parametrize("shape", [(), (7,), (2, 3), (2, 3, 4), (0,), (2, 0)])
@pytest.mark.parametrize("padding_idx", [None, 0, 3])
def test_it_is_pytorchs_in_values_and_gradients(shape: tuple[int, ...], padding_idx: int | None) -> None:
    ours, theirs = Embedding(5, 4, padding_idx).double(), nn.Embedding(5, 4, padding_idx, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())
    symbols = torch.randint(5, shape)
    found, expected = ours(symbols), theirs(symbols)
    assert found.shape == (*shape, 4)
    assert torch.equal(found, expected)
    factors = torch.randn_like(expected)
    (found * factors).sum().backward()
    (expected * factors).sum().backward()
    assert ours.weight.grad is not None
    assert theirs.weight.grad is not None
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


def test_the_padding_row_stays_zero_in_training() -> None:
    embedding = Embedding(3, 2, padding_idx=0)
    optimizer = torch.optim.SGD(embedding.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (embedding(torch.tensor([[0, 1, 1], [2, 0, 0]])) - 1).square().sum().backward()
        optimizer.step()
    assert torch.equal(embedding.weight[0], torch.zeros(2))
    assert not torch.allclose(embedding.weight[1], embedding.weight[2])


def test_it_is_a_linear_layer_on_one_hot_rows() -> None:
    embedding = Embedding(6, 3).double()
    symbols = torch.randint(6, (4, 5))
    torch.testing.assert_close(embedding(symbols), F.one_hot(symbols, 6).double() @ embedding.weight)


@pytest.mark.parametrize("symbol", [-1, 5])
def test_a_symbol_outside_the_table_is_refused(symbol: int) -> None:
    with pytest.raises(IndexError):
        Embedding(5, 2)(torch.tensor([0, symbol]))


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^num_embeddings 0 is not allowed: give a whole number of at least 1\.$"):
        Embedding(0, 2)
