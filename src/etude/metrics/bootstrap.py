"""The bootstrap: the distribution of a statistic over resamples of a few values, and the limits read from it.

Up to eight values every resample is counted; beyond that random ones are drawn. Values are sorted first and ties are
decided with a tolerance, so the order of the values never changes a result.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr, ndtri

from etude.errors import UsageError
from etude.metrics.arguments import Seed, generator_of

MOST_ENUMERATED = 8
RESAMPLED_BYTES = 64 * 2**20
ROUNDING = 64 * float(np.finfo(np.float64).eps)
Statistic = Callable[[np.ndarray], Any]
"""From values (n,) to one number; or over the last axis, (..., n) to (...), which is faster."""


def resamples(num_values: int, num_resamples: int, seed: Seed) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Resamples as indices (num_rows, num_values), in blocks, each with the weights (num_rows,) of its rows.

    Up to eight values it lists all of them: a row is a multiset, its weight the number of orders that give it.
    """
    if num_values <= MOST_ENUMERATED:
        yield _all_resamples(num_values)
        return
    generator = generator_of(seed)
    rows_per_block = max(1, RESAMPLED_BYTES // (8 * num_values))
    for start in range(0, num_resamples, rows_per_block):
        num_rows = min(rows_per_block, num_resamples - start)
        picks = torch.randint(num_values, (num_rows, num_values), generator=generator).numpy()
        yield picks, np.ones(num_rows, dtype=np.int64)


@cache
def _all_resamples(num_values: int) -> tuple[np.ndarray, np.ndarray]:
    picks = np.array(list(combinations_with_replacement(range(num_values), num_values)))
    counts = (picks[:, :, None] == np.arange(num_values)).sum(axis=1)  # how often each value is in each multiset
    factorials = np.array([math.factorial(count) for count in range(num_values + 1)])
    return picks, math.factorial(num_values) // factorials[counts].prod(axis=1)


def bca_limits_of(
    values: np.ndarray, statistic: Statistic, confidence: float, num_resamples: int, seed: Seed
) -> tuple[float, float]:
    """The BCa limits of a statistic of values (num_values,)."""
    values = np.sort(values)
    of_rows = _by_rows(statistic, values)
    blocks = list(resamples(len(values), num_resamples, seed))
    resampled = np.concatenate([of_rows(values[picks]) for picks, _ in blocks])
    weights = np.concatenate([weights for _, weights in blocks])
    observed = float(of_rows(values[None])[0])
    jackknife = np.concatenate([of_rows(np.delete(values, left_out)[None]) for left_out in range(len(values))])
    for name, found in (("the values", observed), ("resamples", resampled), ("the values less one", jackknife)):
        if not np.isfinite(found).all():
            raise UsageError(f"statistic is NaN or infinite for {name}; allowed: one that is finite for all.")
    return bca_limits(observed, resampled, jackknife, confidence, weights=weights)


def bca_limits(
    observed: float,
    resampled: np.ndarray,
    jackknife: np.ndarray,
    confidence: float,
    *,
    weights: np.ndarray | None = None,
) -> tuple[float, float]:
    """The percentiles of `resampled` that correct its bias and skewness (Efron and Tibshirani 1993, eq. 14.9-14.15).

    `jackknife` holds the statistic with each value left out in turn, `weights` how often each resample counts.
    """
    weights = np.ones(len(resampled), dtype=np.int64) if weights is None else weights
    rounding = ROUNDING * float(np.abs(resampled).max())
    width = float(np.ptp(resampled))
    if width <= rounding:
        return observed, observed
    tie, total = 1e-10 * width + rounding, int(weights.sum())
    num_below = weights[resampled < observed - tie].sum() + weights[resampled <= observed + tie].sum()
    bias = ndtri(np.clip(num_below / 2, 0.5, total - 0.5) / total)
    spread = jackknife.mean() - jackknife
    acceleration, largest = 0.0, np.abs(spread).max()
    if largest > ROUNDING * np.abs(jackknife).max():
        spread /= largest  # so that no cube overflows
        acceleration = (spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
    shares = []
    tail = ndtri((1 - confidence) / 2)
    for shifted in (bias + tail, bias - tail):
        scale = 1 - acceleration * shifted
        # Past the pole of the correction, nothing of this side of the distribution is left.
        shares.append(ndtr(bias + shifted / scale) if scale > 0 else float(shifted > 0))
    low, high = weighted_quantiles(resampled, weights, np.array(shares))
    return float(low), float(high)


def bootstrap_t_limits(values: np.ndarray, confidence: float, num_resamples: int, seed: Seed) -> tuple[float, float]:
    """The bootstrap-t limits of the mean of values (num_values,) (Efron and Tibshirani 1993, eq. 12.22).

    Resamples of equal values have no standard error and are left out.
    """
    values = np.sort(values)
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    rounding = ROUNDING * float(np.abs(values).max())
    if np.ptp(values) <= rounding:
        return mean, mean
    ratios, kept = [], []
    for picks, weights in resamples(len(values), num_resamples, seed):
        resampled = values[picks] - mean
        deviations = resampled.std(axis=1, ddof=1)
        varied = deviations > rounding
        ratios.append(resampled.mean(axis=1)[varied] / deviations[varied])
        kept.append(weights[varied])
    tails = np.array([(1 + confidence) / 2, (1 - confidence) / 2])
    low, high = mean - deviation * weighted_quantiles(np.concatenate(ratios), np.concatenate(kept), tails)
    return float(low), float(high)


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """`np.quantile` of values (n,) each repeated by its whole weight (n,), without repeating them."""
    order = np.argsort(values, kind="stable")
    values, ends = values[order], np.cumsum(weights[order])
    position = (ends[-1] - 1) * shares
    below = np.floor(position).astype(np.int64)
    low = values[np.searchsorted(ends, below, side="right")]
    high = values[np.searchsorted(ends, np.minimum(below + 1, ends[-1] - 1), side="right")]
    return low + (position - below) * (high - low)


def _by_rows(statistic: Statistic, values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The statistic of each row of (num_rows, n): in one call if it reduces the last axis, otherwise row by row."""

    def one_by_one(rows: np.ndarray) -> np.ndarray:
        return np.array([_one_number(statistic(row), len(row)) for row in rows])

    # The number of rows differs from the number of values, so the shape tells which axis was reduced.
    trial = np.tile(values, (4 if len(values) == 3 else 3, 1))
    trial[1, 0], trial[2, -1] = values[-1], values[0]
    try:
        expected = one_by_one(trial.copy())
    except UsageError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(
            f"statistic fails for {len(values)} values: {reason:.100}; allowed: any function that gives one number."
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(statistic(trial.copy()), dtype=np.float64)
    except Exception:  # whatever a person's function raises for an array of two axes
        return one_by_one
    if found.shape == expected.shape and np.allclose(found, expected, rtol=1e-9, atol=0, equal_nan=True):
        return lambda rows: np.asarray(statistic(rows), dtype=np.float64)
    return one_by_one


def _one_number(found: Any, num_values: int) -> float:
    try:
        number = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError(
            f"statistic gives {type(found).__name__} for {num_values} values; allowed: one number."
        ) from None
    if number.shape:
        raise UsageError(f"statistic gives shape {number.shape} for {num_values} values; allowed: one number.")
    return float(number)
