"""Error bars: of a share (Wilson), and of any statistic of a few runs or many images (bootstrap BCa)."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch

from etude.errors import UsageError
from etude.metrics.arguments import Array, Seed, as_numbers, generator_of, require_finite, require_range

NORMAL = NormalDist()
RESAMPLED_BYTES = 64 * 2**20
# A statistic of the last axis: (..., n) to (...), as np.mean and np.median with axis=-1.
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """Where a value lies with the given confidence."""

    low: float
    high: float
    confidence: float = 0.95


@dataclass(frozen=True)
class Summary:
    """One cell of a table of runs: mean, n - 1 standard deviation and interval; the last two None for one run."""

    mean: float
    standard_deviation: float | None
    interval: Interval | None
    num_values: int


def wilson_interval(num_right: int, num_total: int, *, confidence: float = 0.95) -> Interval:
    """Interval of a share such as an accuracy: num_right of num_total independent samples (Wilson 1927).

    It says how far another test set of this size may differ, not another training run.
    """
    check_confidence(confidence)
    if not 0 <= num_right <= num_total or num_total == 0:
        raise UsageError(f"{num_right:,} right of {num_total:,}; allowed: 0 to the total, and a total of 1 or more.")
    share, z = num_right / num_total, NORMAL.inv_cdf((1 + confidence) / 2)
    scale = 1 + z * z / num_total
    centre = (share + z * z / (2 * num_total)) / scale
    margin = z / scale * np.sqrt(share * (1 - share) / num_total + z * z / (4 * num_total**2))
    low = 0.0 if num_right == 0 else float(centre - margin)
    high = 1.0 if num_right == num_total else float(centre + margin)
    return Interval(low, high, confidence)


def summarize(values: Array, *, confidence: float = 0.95, seed: Seed = 0) -> Summary:
    """Mean, standard deviation and bootstrap interval of the mean of a few runs, (num_values,)."""
    values = check_values("values", values)
    if len(values) == 1:
        return Summary(float(values[0]), None, None, 1)
    interval = bootstrap_interval(values, confidence=confidence, seed=seed)
    return Summary(float(values.mean()), float(values.std(ddof=1)), interval, len(values))


def mean_of_last_axis(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=-1)


def bootstrap_interval(
    values: Array,
    statistic: Statistic = mean_of_last_axis,
    *,
    confidence: float = 0.95,
    num_resamples: int = 9999,
    seed: Seed = 0,
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of a statistic of values (num_values,), two or more.

    Efron 1987, "Better bootstrap confidence intervals". With few values it is too narrow: docs/metrics.md has its
    measured coverage. Equal values give an interval of width 0.
    """
    values = check_values("values", values)
    if len(values) < 2:
        raise UsageError("a bootstrap interval needs at least 2 values, got 1: train more seeds.")
    check_confidence(confidence)
    require_range("num_resamples", num_resamples, 100, 10_000_000, "100 to 10,000,000")
    generator = generator_of(seed)
    resampled = np.empty(num_resamples)
    rows_per_block = max(1, RESAMPLED_BYTES // (8 * len(values)))
    for start in range(0, num_resamples, rows_per_block):
        stop = min(start + rows_per_block, num_resamples)
        picks = torch.randint(len(values), (stop - start, len(values)), generator=generator).numpy()
        resampled[start:stop] = statistic(values[picks])
    jackknife = np.array([statistic(np.delete(values, left_out)) for left_out in range(len(values))])
    low, high = bca_limits(float(statistic(values)), resampled, jackknife, confidence)
    return Interval(low, high, confidence)


def bca_limits(observed: float, resampled: np.ndarray, jackknife: np.ndarray, confidence: float) -> tuple[float, float]:
    """The percentiles of `resampled` that correct its bias and skewness (Efron and Tibshirani 1993, eq. 14.9-14.15).

    `jackknife` holds the statistic with each value left out in turn.
    """
    below = (np.mean(resampled < observed) + np.mean(resampled <= observed)) / 2
    half_a_count = 0.5 / len(resampled)
    bias = NORMAL.inv_cdf(float(np.clip(below, half_a_count, 1 - half_a_count)))
    spread = jackknife.mean() - jackknife
    if not spread.any() or not np.ptp(resampled):
        return observed, observed
    acceleration = (spread**3).sum() / (6 * (spread**2).sum() ** 1.5)
    shares = []
    for tail in ((1 - confidence) / 2, (1 + confidence) / 2):
        shifted = bias + NORMAL.inv_cdf(tail)
        shares.append(NORMAL.cdf(bias + shifted / (1 - acceleration * shifted)))
    low, high = np.quantile(resampled, shares)
    return float(low), float(high)


def check_values(name: str, values: Array) -> np.ndarray:
    values = as_numbers(name, values)
    if values.ndim != 1 or len(values) == 0:
        raise UsageError(f"{name} has shape {values.shape}; allowed: a list of one number or more.")
    require_finite(name, values)
    return values.astype(np.float64)


def check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"confidence is {confidence}; allowed: between 0 and 1, usually 0.95.")
