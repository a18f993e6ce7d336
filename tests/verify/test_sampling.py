"""The statistics of random draws: the bound is a bound, the distribution function is SciPy's."""

import pytest
import torch
from scipy import stats

from etude.verify.sampling import GRID, all_differ, distribution, tolerance


def test_tolerance_is_the_closed_form():
    # 2 exp(−2nε²) = α/2 on each side
    epsilon = tolerance(1000, 0.01) / 2
    assert 2 * torch.tensor(-2 * 1000 * epsilon**2).exp().item() == pytest.approx(0.005)


def test_distribution_is_the_empirical_distribution_function():
    numbers = torch.randn(500, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = stats.ecdf(numbers.numpy()).cdf.evaluate(GRID.numpy())
    assert torch.allclose(distribution(numbers), torch.from_numpy(expected))
    assert distribution(torch.full((3,), -1e9)).eq(1).all()
    assert distribution(torch.full((3,), 1e9)).eq(0).all()


def test_false_alarms_stay_below_the_stated_rate():
    """At a rate of 5 %, 400 comparisons of the same law: the bound is loose, so far fewer than 20 exceed it."""
    random, alarms = torch.Generator().manual_seed(0), 0
    for _ in range(400):
        one, other = (distribution(torch.rand(300, generator=random)) for _ in range(2))
        alarms += int((one - other).abs().max() > tolerance(300, 0.05))
    assert alarms <= 20


def test_a_shifted_law_exceeds_the_tolerance():
    random = torch.Generator().manual_seed(0)
    numbers = torch.randn(20_000, generator=random)
    assert (distribution(numbers) - distribution(numbers + 0.2)).abs().max() > tolerance()


def test_repeated_rows_are_found():
    rows = torch.rand(50, 3, generator=torch.Generator().manual_seed(0))
    assert all_differ(rows) == 1
    assert all_differ(torch.cat([rows, rows[7:8]])) == 0
    assert all_differ(torch.cat([rows, rows[7:8].flip(1)])) == 1
