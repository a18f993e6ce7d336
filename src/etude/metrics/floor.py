"""The floor of a score: its value when there is nothing to find, for two random halves of the real data."""

from collections.abc import Callable
from typing import TypeVar

import torch

from etude.errors import UsageError
from etude.metrics.arguments import Array, Seed, generator_of

Score = TypeVar("Score")


def real_floor(
    score: Callable[[Array, Array], Score], real: Array, *, seed: Seed, num_samples: int | None = None
) -> Score:
    """`score(part, other_part)` for two disjoint random parts of `real`, `num_samples` rows each (default: half).

    Use the sample size of the comparison that the floor is for: a score of few samples has a worse floor. Shuffling
    matters, because the files of some data sets are in order of difficulty or class.
    """
    largest = len(real) // 2
    num_samples = largest if num_samples is None else num_samples
    if not 1 <= num_samples <= largest:
        raise UsageError(
            f"the floor at {num_samples:,} samples needs {2 * num_samples:,} real ones, there are {len(real):,}; "
            f"compare at most {largest:,}."
        )
    order = torch.randperm(len(real), generator=generator_of(seed))
    rows = order if isinstance(real, torch.Tensor) else order.numpy()
    return score(real[rows[:num_samples]], real[rows[num_samples : 2 * num_samples]])
