"""Means over a running text, whose symbols are not independent of each other."""

import numpy as np

from etude.metrics.arguments import Array, Seed, check_values
from etude.metrics.bootstrap import bootstrap_t_limits
from etude.metrics.intervals import Interval

BLOCK, FEWEST_BLOCKS, NUM_RESAMPLES = 1_000, 20, 9_999


def mean_over_text(
    values: Array, lengths: Array, *, seed: Seed = 0, confidence: float = 0.95
) -> tuple[float, Interval]:
    """Σ values / Σ lengths over the symbols of a text, (N,) each, and its interval.

    Blocks of 1,000 symbols, or 20 blocks of a shorter text, are drawn by the bootstrap-t (Carlstein 1986 for blocks
    that do not overlap). The ratio is linearised in the sums of each block.
    """
    values, lengths = check_values("values", values), check_values("lengths", lengths)
    mean = float(values.sum() / lengths.sum())
    num_blocks = min(len(values), max(FEWEST_BLOCKS, len(values) // BLOCK))
    residuals = np.array([part.sum() for part in np.array_split(values - mean * lengths, num_blocks)])
    blocks = mean + residuals * num_blocks / lengths.sum()  # their mean is `mean`
    return mean, Interval(*bootstrap_t_limits(blocks, confidence, NUM_RESAMPLES, seed), confidence)
