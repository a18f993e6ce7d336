"""The bootstrap against scipy and against all resamples written out."""

import itertools
import re
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from etude.errors import UsageError
from etude.metrics import bootstrap_interval, bootstrap_t_interval
from etude.metrics.bootstrap import bca_limits, weighted_quantiles
from etude.metrics.intervals import Interval

AXIS: list[Callable[..., np.ndarray]] = [np.mean, np.median, np.std]


def every_resample(values: np.ndarray) -> np.ndarray:
    """(nⁿ, n)."""
    return np.array(list(itertools.product(values, repeat=len(values))))


def ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


@pytest.mark.parametrize("statistic", AXIS)
@pytest.mark.parametrize("num_values", [6, 40])
def test_bca_limits_are_scipys_on_the_same_resamples(statistic: Callable[..., np.ndarray], num_values: int) -> None:
    def rounded(values: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.round(statistic(values, axis=axis), 9)  # scipy decides ties by the last bit

    values = np.random.default_rng(num_values).exponential(size=num_values)
    theirs = scipy.stats.bootstrap((values,), rounded, n_resamples=2000, method="BCa", rng=np.random.default_rng(0))
    jackknife = np.array([rounded(np.delete(values, left_out)) for left_out in range(num_values)])
    found = bca_limits(float(rounded(values)), theirs.bootstrap_distribution, jackknife, 0.95)
    assert found == pytest.approx((theirs.confidence_interval.low, theirs.confidence_interval.high), rel=1e-9)


@pytest.mark.parametrize("statistic", AXIS)
@pytest.mark.parametrize("num_values", [2, 3, 5, 6])
def test_few_values_give_the_limits_of_all_resamples(statistic: Callable[..., np.ndarray], num_values: int) -> None:
    values = np.random.default_rng(num_values).exponential(size=num_values)
    jackknife = np.array([statistic(np.delete(values, left_out)) for left_out in range(num_values)])
    resampled = statistic(every_resample(values), axis=-1)
    expected = bca_limits(float(statistic(values)), resampled, jackknife, 0.95)
    assert ends(bootstrap_interval(values, statistic)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("num_values", [4, 5, 6])
def test_few_values_give_the_bootstrap_t_of_all_resamples(num_values: int) -> None:
    values = np.random.default_rng(num_values).exponential(size=num_values)
    rows = every_resample(values)
    rows = rows[np.ptp(rows, axis=1) > 0]
    ratios = (rows.mean(axis=1) - values.mean()) / scipy.stats.sem(rows, axis=1)
    low, high = values.mean() - np.quantile(ratios, [0.975, 0.025]) * scipy.stats.sem(values)
    assert ends(bootstrap_t_interval(values)) == pytest.approx((low, high), rel=1e-9)


def test_the_whole_interval_is_scipys_up_to_the_draws() -> None:
    values = np.random.default_rng(0).exponential(size=25)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=100_000, method="BCa", rng=np.random.default_rng(0), batch=10_000
    ).confidence_interval
    found = bootstrap_interval(values, num_resamples=100_000)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.01 * values.std())


def test_weighted_quantiles_are_numpys_of_repeated_values() -> None:
    random = np.random.default_rng(0)
    values, weights = random.normal(size=30), random.integers(1, 9, size=30)
    shares = np.array([0, 0.013, 0.5, 0.77, 1])
    expected = np.quantile(np.repeat(values, weights), shares)
    assert weighted_quantiles(values, weights, shares) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("interval_of", [bootstrap_interval, bootstrap_t_interval])
@pytest.mark.parametrize("num_values", [4, 6, 8, 9, 15])
def test_the_order_of_the_seeds_does_not_matter(interval_of: Callable[..., Interval], num_values: int) -> None:
    random = np.random.default_rng(num_values)
    for digits in (1, 2, 16):  # ties of tenths are decided in their last bits
        values = random.random(num_values).round(digits)
        values[0] += 0.1
        found = {interval_of(random.permutation(values)) for _ in range(8)}
        assert len(found) == 1


@pytest.mark.parametrize("num_values", [6, 12])
def test_ties_are_ties_in_any_unit(num_values: int) -> None:
    counts = np.random.default_rng(num_values).integers(0, 4, num_values).astype(float)
    whole = bootstrap_interval(counts)
    for unit, zero in ((0.1, 0.0), (1 / 297, 0.0), (1e-3, 17.0), (1e9, 0.0)):
        found = bootstrap_interval(unit * counts + zero)
        assert ends(found) == pytest.approx((unit * whole.low + zero, unit * whole.high + zero), rel=1e-9)


def test_the_interval_scales_and_is_fixed_by_the_seed() -> None:
    for num_values in (8, 12):
        values = np.random.default_rng(0).normal(size=num_values)
        found = bootstrap_interval(values, seed=3)
        scaled = bootstrap_interval(torch.from_numpy(8 * values), seed=torch.Generator().manual_seed(3))
        assert ends(scaled) == (8 * found.low, 8 * found.high)
        assert found.low < values.mean() < found.high
        # Up to eight values nothing is drawn.
        assert (bootstrap_interval(values, seed=4) != found) == (num_values > 8)


def test_coverage_of_many_values_is_what_is_claimed() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        interval = bootstrap_interval(random.normal(size=50), num_resamples=999, seed=seed)
        covered += interval.low <= 0 <= interval.high
    assert 0.89 <= covered / 200 <= 0.99


def test_many_values_are_resampled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=30)
    whole, with_t = bootstrap_interval(values, num_resamples=500), bootstrap_t_interval(values, num_resamples=500)
    monkeypatch.setattr("etude.metrics.bootstrap.RESAMPLED_BYTES", 8 * 30 * 100)
    assert bootstrap_interval(values, num_resamples=500) == whole
    assert bootstrap_t_interval(values, num_resamples=500) == with_t


def test_a_statistic_at_the_end_of_its_resamples_stays_finite() -> None:
    for confidence in (0.95, 1 - 1e-12):
        found = bootstrap_interval(np.arange(10.0) ** 4, np.max, num_resamples=200, confidence=confidence)
        assert np.isfinite([found.low, found.high]).all()


ONE_NUMBER: list[Callable[[np.ndarray], Any]] = [
    np.median,
    lambda values: float(np.median(values)),
    lambda values: sorted(values)[len(values) // 2 - 1 + len(values) % 2],
    statistics.median_low,
    lambda values: values[np.argsort(values)[(len(values) - 1) // 2]],
    lambda values: torch.from_numpy(values).median(),
]
LAST_AXIS: list[Callable[[np.ndarray], Any]] = [
    lambda values: np.median(values, axis=-1),
    lambda values: np.quantile(values, 0.5, axis=-1, method="lower"),
]


@pytest.mark.parametrize("num_values", [2, 3, 4, 5, 9])
def test_a_statistic_of_one_row_is_called_row_by_row(num_values: int) -> None:
    values = np.random.default_rng(num_values).normal(size=num_values)
    medians, lows = (bootstrap_interval(values, each, num_resamples=300) for each in LAST_AXIS)
    assert medians.low < medians.high
    for index, statistic in enumerate(ONE_NUMBER):
        assert bootstrap_interval(values, statistic, num_resamples=300) == (medians if index < 2 else lows)
    means = bootstrap_interval(values, num_resamples=300)
    by_the_first_axis = bootstrap_interval(values, lambda values: values.mean(axis=0), num_resamples=300)
    assert ends(by_the_first_axis) == pytest.approx(ends(means), rel=1e-12)


def test_a_median_that_leaving_one_out_never_moves_still_has_a_width() -> None:
    found = bootstrap_interval(np.array([1.0, 2, 2, 2, 2, 3]), lambda values: np.median(values, axis=-1))
    assert ends(found) == (1.5, 2.5)


@pytest.mark.parametrize(
    ("statistic", "message"),
    [
        (lambda values: values + 1, "statistic gives shape (5,) for 5 values; allowed: one number."),
        (
            lambda values: values[7],
            "statistic fails for 5 values: IndexError: index 7 is out of bounds for axis 0 with size 5; allowed: any "
            "function that gives one number.",
        ),
        (lambda values: "high", "statistic gives str for 5 values; allowed: one number."),
        (
            lambda values: np.log(values[0] - 1) if values[0] > 1 else np.nan,
            "statistic is NaN or infinite for the values; allowed: one that is finite for all.",
        ),
        (
            lambda values: 0.0 if values[0] == 1 else np.nan,
            "statistic is NaN or infinite for resamples; allowed: one that is finite for all.",
        ),
        (
            lambda values: 0.0 if len(values) == 5 else np.inf,
            "statistic is NaN or infinite for the values less one; allowed: one that is finite for all.",
        ),
    ],
)
def test_a_statistic_that_gives_no_number_is_refused(statistic: Callable[[np.ndarray], Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        bootstrap_interval(np.arange(1.0, 6), statistic)
