"""Statistics of random draws with a stated false-alarm rate, for functions whose output no formula predicts.

The empirical distribution function of n draws lies further than ε from the true one with probability at most
2 exp(−2nε²), for every n and every law (Dvoretzky, Kiefer and Wolfowitz 1956; constant by Massart 1990). The learner's
n draws are compared with n draws of the right answer, so each side gets half of the false-alarm rate, and the
tolerance is twice ε. A check that fails is drawn again and fails only if the second draw fails too.
"""

import math

import torch
from torch import Tensor

FALSE_ALARM = 1e-6
"""Probability at most that one comparison calls a right sampler wrong, before the retest."""
DRAWS = 20_000
"""Numbers drawn for each comparison."""
GRID = torch.linspace(-6.0, 6.0, 121, dtype=torch.float64)
"""The points at which distribution functions are compared."""


def tolerance(draws: int = DRAWS, false_alarm: float = FALSE_ALARM) -> float:
    """Largest difference allowed between two empirical distribution functions of `draws` numbers each.

    >>> round(tolerance(20_000, 1e-6), 4)
    0.039
    """
    epsilon = math.sqrt(math.log(4 / false_alarm) / (2 * draws))  # 2 exp(−2nε²) = false_alarm / 2
    return 2 * epsilon


def distribution(numbers: Tensor) -> Tensor:
    """Empirical distribution function on `GRID`: for each point the share of `numbers` at or below it."""
    ordered = numbers.detach().double().flatten().sort().values
    return torch.searchsorted(ordered, GRID, right=True).double() / max(1, len(ordered))


def fact(holds: object) -> Tensor:
    """A yes or no as a part of an observation. Its name is what must hold."""
    return torch.tensor(bool(holds))


def all_differ(draws: Tensor) -> Tensor:
    """Whether no two of `draws`, (n, …), are the same: draws that repeat are not draws."""
    rows = draws.detach().double().reshape(len(draws) if draws.ndim else 1, -1) if draws.numel() else torch.zeros(2, 1)
    # Different rows have different products with random weights, and numbers sort faster than rows.
    weights = torch.rand(rows.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return fact(len((rows * weights).sum(1).unique()) == len(rows))
