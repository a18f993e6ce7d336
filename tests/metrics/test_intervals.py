import re
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch

from etude.errors import UsageError
from etude.metrics import bootstrap_interval, summarize, wilson_interval
from etude.metrics.intervals import Interval, Summary, bca_limits


@pytest.mark.parametrize("num_right", [0, 1, 17, 59, 60])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilsons_interval_is_scipys(num_right: int, confidence: float) -> None:
    expected = scipy.stats.binomtest(num_right, 60).proportion_ci(confidence, method="wilson")
    found = wilson_interval(num_right, 60, confidence=confidence)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12, abs=1e-15)


def test_wilsons_interval_stays_within_0_and_1_and_is_symmetric() -> None:
    assert wilson_interval(0, 3).low == 0
    assert wilson_interval(3, 3).high == 1
    assert 1 - wilson_interval(9_000, 10_000).low == pytest.approx(wilson_interval(1_000, 10_000).high)


STATISTICS: list[Callable[..., np.ndarray]] = [np.mean, np.median, np.std]


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("num_values", [6, 40])
def test_bca_limits_are_scipys_on_the_same_resamples(statistic: Callable[..., np.ndarray], num_values: int) -> None:
    values = np.random.default_rng(num_values).exponential(size=num_values)
    theirs = scipy.stats.bootstrap((values,), statistic, n_resamples=2000, method="BCa", rng=np.random.default_rng(0))
    jackknife = np.array([statistic(np.delete(values, left_out)) for left_out in range(num_values)])
    found = bca_limits(float(statistic(values)), theirs.bootstrap_distribution, jackknife, 0.95)
    assert found == pytest.approx((theirs.confidence_interval.low, theirs.confidence_interval.high), rel=1e-12)


def test_the_whole_interval_is_scipys_up_to_the_draws() -> None:
    values = np.random.default_rng(0).exponential(size=25)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=100_000, method="BCa", rng=np.random.default_rng(0), batch=10_000
    ).confidence_interval
    found = bootstrap_interval(values, num_resamples=100_000)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.01 * values.std())


def test_the_interval_moves_and_scales_with_the_values_and_is_fixed_by_the_seed() -> None:
    values = np.random.default_rng(0).normal(size=8)
    found = bootstrap_interval(values, seed=3)
    scaled = bootstrap_interval(torch.from_numpy(8 * values), seed=torch.Generator().manual_seed(3))
    assert (scaled.low, scaled.high) == (8 * found.low, 8 * found.high)
    moved = bootstrap_interval(values + 100, seed=3)  # rounding moves a few resamples across the observed mean
    assert (moved.low, moved.high) == pytest.approx((found.low + 100, found.high + 100), abs=0.01)
    assert found.low < values.mean() < found.high
    assert bootstrap_interval(values, seed=4) != found


def test_coverage_of_many_values_is_what_is_claimed() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        interval = bootstrap_interval(random.normal(size=50), num_resamples=999, seed=seed)
        covered += interval.low <= 0 <= interval.high
    assert 0.89 <= covered / 200 <= 0.99


def test_many_values_are_resampled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=30)
    whole = bootstrap_interval(values, num_resamples=500)
    monkeypatch.setattr("etude.metrics.intervals.RESAMPLED_BYTES", 8 * 30 * 100)
    assert bootstrap_interval(values, num_resamples=500) == whole


def test_equal_values_have_an_interval_without_width() -> None:
    assert bootstrap_interval(np.full(6, 0.5)) == Interval(0.5, 0.5, 0.95)
    tenths = bootstrap_interval(np.full(6, 0.1))
    assert (tenths.low, tenths.high) == pytest.approx((0.1, 0.1), rel=1e-14)


def test_a_statistic_at_the_end_of_its_resamples_stays_finite() -> None:
    found = bootstrap_interval(np.arange(10.0), np.max, num_resamples=200)
    assert np.isfinite([found.low, found.high]).all()


def test_a_summary_of_one_run_has_no_error_bar() -> None:
    assert summarize(np.array([2.5])) == Summary(2.5, None, None, 1)
    values = np.array([1.0, 2.0, 4.0])
    found = summarize(values, seed=1)
    assert found.mean == pytest.approx(7 / 3)
    assert found.standard_deviation == pytest.approx(values.std(ddof=1))
    assert found.interval == bootstrap_interval(values, seed=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilson_interval(4, 3), "4 right of 3; allowed: 0 to the total, and a total of 1 or more."),
        (lambda: wilson_interval(0, 0), "0 right of 0; allowed: 0 to the total, and a total of 1 or more."),
        (
            lambda: wilson_interval(1, 2, confidence=95),
            "confidence is 95; allowed: between 0 and 1, usually 0.95.",
        ),
        (
            lambda: bootstrap_interval(np.array([1.0])),
            "a bootstrap interval needs at least 2 values, got 1: train more seeds.",
        ),
        (
            lambda: bootstrap_interval(np.array([1.0, np.nan])),
            "values: 1 of 2 values are NaN or infinite, the first at [1]; look for a diverged network or drop "
            "those rows.",
        ),
        (lambda: summarize(np.zeros((2, 2))), "values has shape (2, 2); allowed: a list of one number or more."),
        (
            lambda: bootstrap_interval(np.arange(3), num_resamples=10),
            "num_resamples is 10; allowed: 100 to 10,000,000.",
        ),
    ],
)
def test_unfit_arguments_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        call()
