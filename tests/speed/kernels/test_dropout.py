"""The dropout that draws 16 bits a number: its share, its scale, its draws, and where it is used."""

import pytest
import torch
from torch import nn

from etude.speed.kernels import use_kernels
from etude.speed.kernels.dropout import Dropout


def dropout(share: float) -> nn.Dropout:
    network = nn.Sequential(nn.Dropout(share))
    use_kernels(network, torch.float32, compiled=False, eager=True)
    layer = network[0]
    assert type(layer) is Dropout
    return layer


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_that_share_is_dropped_and_the_rest_scaled(share: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    ones = torch.ones(333, 3001, dtype=dtype, requires_grad=True)  # not a multiple of four numbers
    made = dropout(share)(ones)
    dropped = (made == 0).float().mean().item()
    assert dropped == pytest.approx(share, abs=5 * (share * (1 - share) / ones.numel()) ** 0.5)  # five standard errors
    assert made.dtype == dtype
    torch.testing.assert_close(
        made[made != 0].unique(), torch.tensor([1 / (1 - share)], dtype=dtype), rtol=2e-4, atol=0
    )
    made.sum().backward()
    assert ones.grad is not None
    assert ones.grad.equal(made)


def test_neighbours_are_independent() -> None:
    torch.manual_seed(0)
    kept = (dropout(0.3)(torch.ones(2**20)) != 0).float() - 0.7
    for lag in (1, 2, 3, 4, 8):
        correlation = (kept[lag:] * kept[:-lag]).mean().item() / 0.21
        assert abs(correlation) < 5 / 2**10


def test_the_generators_seed_decides() -> None:
    layer, numbers = dropout(0.5), torch.ones(1000)
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append(layer(numbers))
    assert made[0].equal(made[1])
    assert not made[0].equal(made[2])


def test_in_evaluation_nothing_changes() -> None:
    numbers = torch.randn(10)
    assert dropout(0.5).eval()(numbers).equal(numbers)


@pytest.mark.parametrize("layer", [nn.Dropout(0.0), nn.Dropout(1.0), nn.Dropout(0.5, inplace=True), nn.Dropout2d(0.5)])
def test_what_it_does_not_suit_stays(layer: nn.Module) -> None:
    network, before = nn.Sequential(layer), type(layer)
    use_kernels(network, torch.float32, compiled=False, eager=True)
    assert type(network[0]) is before


def test_a_step_that_is_one_function_keeps_pytorchs() -> None:
    network = nn.Sequential(nn.Dropout(0.5))
    use_kernels(network, torch.float32, compiled=True)
    assert type(network[0]) is nn.Dropout
