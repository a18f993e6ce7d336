"""Error bars for a share of many samples, for the mean of a few runs, and for any statistic."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import betaincinv, ndtri, stdtrit

from etude.errors import UsageError
from etude.metrics.arguments import Array, Seed, check_confidence, check_values, require_choice, require_count
from etude.metrics.bootstrap import Statistic, bca_limits_of, bootstrap_t_limits

IntervalMethod = Literal["t", "bootstrap-t"]
"""How to compute the interval of a mean over seeds."""
FEWEST_VALUES: dict[IntervalMethod, int] = {"t": 2, "bootstrap-t": 4}
MOST_RESAMPLES = 10_000_000


@dataclass(frozen=True)
class Interval:
    """The range that holds a value with the given confidence."""

    low: float
    high: float
    confidence: float = 0.95


@dataclass(frozen=True)
class Summary:
    """One cell of a table of runs: mean, n - 1 standard deviation and interval of the mean.

    The standard deviation is None for one run; the interval is None if there are too few runs for the method.
    """

    mean: float
    standard_deviation: float | None
    interval: Interval | None
    num_values: int


def share_interval(num_right: int, num_total: int, *, confidence: float = 0.95) -> Interval:
    """Exact interval of a share such as an accuracy: num_right of num_total samples (Clopper and Pearson 1934).

    For every share it covers at least as often as it claims. It says how far another test set of this size may differ,
    not another training run.
    """
    num_right, num_total = _check_share(num_right, num_total, confidence)
    tail, num_wrong = (1 - confidence) / 2, num_total - num_right
    low = float(betaincinv(num_right, num_wrong + 1, tail)) if num_right else 0.0
    high = 1 - float(betaincinv(num_wrong, num_right + 1, tail)) if num_wrong else 1.0
    return Interval(low, high, confidence)


def wilson_interval(num_right: int, num_total: int, *, confidence: float = 0.95) -> Interval:
    """Approximate interval of a share: num_right of num_total samples (Wilson 1927).

    Narrower than `share_interval`. It covers 95 % on average over shares, but down to 84 % for shares close to 0 or 1.
    """
    num_right, num_total = _check_share(num_right, num_total, confidence)
    share, z = num_right / num_total, -float(ndtri((1 - confidence) / 2))
    scale = 1 + z * z / num_total
    centre = (share + z * z / (2 * num_total)) / scale
    margin = z / scale * np.sqrt(share * (1 - share) / num_total + z * z / (4 * num_total**2))
    low = 0.0 if num_right == 0 else float(centre - margin)
    high = 1.0 if num_right == num_total else float(centre + margin)
    return Interval(low, high, confidence)


def summarize(
    values: Array, *, method: IntervalMethod = "t", confidence: float = 0.95, num_resamples: int = 9999, seed: Seed = 0
) -> Summary:
    """Mean, standard deviation and interval of the mean of a few runs, (num_values,).

    `method` is t, Student's t, which is right for normal values; or bootstrap-t, which is wider and better for skewed
    ones. docs/metrics.md has the measured coverage of both.
    """
    values = check_values("values", values)
    require_choice("method", method, FEWEST_VALUES)
    check_confidence(confidence)
    interval = None
    if len(values) >= FEWEST_VALUES[method]:
        if method == "t":
            interval = t_interval(values, confidence=confidence)
        else:
            interval = bootstrap_t_interval(values, confidence=confidence, num_resamples=num_resamples, seed=seed)
    deviation = float(values.std(ddof=1)) if len(values) > 1 else None
    return Summary(float(values.mean()), deviation, interval, len(values))


def t_interval(values: Array, *, confidence: float = 0.95) -> Interval:
    """Interval of the mean of values (num_values,), two or more (Student 1908); exact for normal values."""
    values = check_values("values", values)
    _require_values("an interval", values, FEWEST_VALUES["t"])
    check_confidence(confidence)
    mean, num_values = float(values.mean()), len(values)
    margin = float(t_quantile(num_values, confidence=confidence) * values.std(ddof=1) / np.sqrt(num_values))
    return Interval(mean - margin, mean + margin, confidence)


def t_quantile(num_values: int, *, confidence: float = 0.95) -> float:
    """Half of the interval of a mean in standard errors, for `num_values` of two or more (Student 1908)."""
    return -stdtrit(num_values - 1, (1 - confidence) / 2)  # the lower one: 1 - 1e-17 would be 1


def bootstrap_t_interval(
    values: Array, *, confidence: float = 0.95, num_resamples: int = 9999, seed: Seed = 0
) -> Interval:
    """Interval of the mean of values (num_values,), four or more, that allows for their skewness.

    Efron and Tibshirani 1993, section 12.5. Up to eight values all resamples are counted, and `num_resamples` and
    `seed` are not used.
    """
    values = check_values("values", values)
    _require_values("a bootstrap-t interval", values, FEWEST_VALUES["bootstrap-t"])
    check_confidence(confidence)
    require_count("num_resamples", num_resamples, 100, MOST_RESAMPLES, "100 to 10,000,000")
    return Interval(*bootstrap_t_limits(values, confidence, num_resamples, seed), confidence)


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
    """Bias-corrected and accelerated bootstrap interval of any statistic of values (num_values,), two or more.

    Efron 1987, "Better bootstrap confidence intervals". `statistic` takes values (n,) and gives one number; one that
    takes (rows, n) and gives (rows,) is faster. Up to eight values all resamples are counted, and `num_resamples` and
    `seed` are not used. With few values it is too narrow: for a mean use `summarize`. docs/metrics.md has the
    measured coverage. Equal values give an interval of width 0.
    """
    values = check_values("values", values)
    _require_values("a bootstrap interval", values, 2)
    if not callable(statistic):
        raise UsageError(f"statistic is a {type(statistic).__name__}; allowed: a function, such as np.median.")
    check_confidence(confidence)
    require_count("num_resamples", num_resamples, 100, MOST_RESAMPLES, "100 to 10,000,000")
    return Interval(*bca_limits_of(values, statistic, confidence, num_resamples, seed), confidence)


def _require_values(what: str, values: np.ndarray, fewest: int) -> None:
    if len(values) < fewest:
        raise UsageError(f"{what} needs at least {fewest} values, got {len(values)}: train more seeds.")


def _check_share(num_right: int, num_total: int, confidence: float) -> tuple[int, int]:
    check_confidence(confidence)
    require_count("num_right", num_right, 0, 2**53, "0 to the total")
    require_count("num_total", num_total, 0, 2**53, "1 to 2^53")
    if not 0 <= num_right <= num_total or num_total == 0:
        raise UsageError(f"{num_right:,} right of {num_total:,}; allowed: 0 to the total, and a total of 1 or more.")
    return int(num_right), int(num_total)
