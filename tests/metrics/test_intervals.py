import re
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch

from etude.errors import UsageError
from etude.metrics import (
    bootstrap_interval,
    bootstrap_t_interval,
    compare_paired,
    share_interval,
    summarize,
    t_interval,
    wilson_interval,
)
from etude.metrics.intervals import Interval, Summary


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval
    return interval.low, interval.high


@pytest.mark.parametrize("num_right", [0, 1, 17, 59, 60])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize(("interval_of", "method"), [(wilson_interval, "wilson"), (share_interval, "exact")])
def test_intervals_of_a_share_are_scipys(
    interval_of: Callable[..., Interval], method: str, num_right: int, confidence: float
) -> None:
    expected = scipy.stats.binomtest(num_right, 60).proportion_ci(confidence, method=method)  # pyright: ignore
    found = interval_of(num_right, 60, confidence=confidence)
    assert ends(found) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("interval_of", [wilson_interval, share_interval])
def test_an_interval_of_a_share_stays_within_0_and_1_and_is_symmetric(interval_of: Callable[..., Interval]) -> None:
    assert interval_of(0, 3).low == 0
    assert interval_of(3, 3).high == 1
    assert 1 - interval_of(9_000, 10_000).low == pytest.approx(interval_of(1_000, 10_000).high)


@pytest.mark.parametrize("num_total", [3, 10, 30, 297])
def test_the_interval_of_a_share_covers_95_percent_of_every_share(num_total: int) -> None:
    shares = np.concatenate([np.linspace(0.001, 0.999, 500), 1 - np.geomspace(0.01 / num_total, 0.2, 500)])
    likely = scipy.stats.binom.pmf(np.arange(num_total + 1), num_total, shares[:, None])
    limits = np.array([ends(share_interval(num_right, num_total)) for num_right in range(num_total + 1)])
    holds = (limits[:, 0] <= shares[:, None]) & (shares[:, None] <= limits[:, 1])
    assert (likely * holds).sum(axis=1).min() >= 0.95 - 1e-9


@pytest.mark.parametrize("num_values", [2, 3, 8, 100])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_t_interval_is_scipys(num_values: int, confidence: float) -> None:
    values = np.random.default_rng(num_values).normal(3, 2, num_values)
    expected = scipy.stats.t.interval(confidence, num_values - 1, values.mean(), scipy.stats.sem(values))
    assert ends(t_interval(values, confidence=confidence)) == pytest.approx(expected, rel=1e-12)
    assert summarize(torch.from_numpy(values), confidence=confidence).interval == t_interval(
        values, confidence=confidence
    )


def holds(interval: Interval | None) -> bool:
    low, high = ends(interval)
    return low <= 0 <= high


def test_every_interval_over_seeds_covers_normal_values() -> None:
    """At least 93 % at 3 to 10 seeds: what tables, bands and comparisons print; `benchmarks/coverage.py` has more."""
    random = np.random.default_rng(0)
    for num_values in range(3, 11):
        samples = random.normal(size=(10_000, num_values))
        assert np.mean([holds(summarize(each).interval) for each in samples]) >= 0.94
        if num_values >= 6:
            zeros, fewer = np.zeros(num_values), samples[:2500]
            assert np.mean([holds(compare_paired(zeros, each).interval) for each in fewer]) >= 0.935
            assert np.mean([holds(compare_paired(zeros, each, test="median").interval) for each in fewer]) >= 0.935
        if num_values in (4, 6):
            fewer = samples[:1500]
            found = [summarize(each, method="bootstrap-t").interval for each in fewer]
            assert np.mean([holds(interval) for interval in found]) >= 0.93


def test_the_bootstrap_t_covers_skewed_values_better() -> None:
    samples = np.exp(np.random.default_rng(0).normal(size=(1000, 6))) - np.exp(0.5)
    plain, skewed = (
        np.mean([holds(summarize(each, method=method).interval) for each in samples]) for method in ("t", "bootstrap-t")
    )
    assert skewed >= plain + 0.03


def test_a_summary_of_one_run_has_no_error_bar() -> None:
    assert summarize(np.array([2.5])) == Summary(2.5, None, None, 1)
    values = np.array([1.0, 2.0, 4.0])
    found = summarize(values)
    assert found.mean == pytest.approx(7 / 3)
    assert found.standard_deviation == pytest.approx(values.std(ddof=1))
    assert found.interval == t_interval(values)
    assert summarize(values, method="bootstrap-t") == Summary(found.mean, found.standard_deviation, None, 3)
    more = np.array([1.0, 2.0, 4.0, 9.0])
    assert summarize(more, method="bootstrap-t").interval == bootstrap_t_interval(more)


def test_equal_values_have_an_interval_without_width() -> None:
    for value in (0.5, 0.1):
        for interval_of in (t_interval, bootstrap_t_interval, bootstrap_interval):
            assert ends(interval_of(np.full(6, value))) == pytest.approx((value, value), rel=1e-14)


FEWER = "values: 1 of 2 values are NaN or infinite, the first at [1]; look for a diverged network or drop those rows."


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilson_interval(4, 3), "4 right of 3; allowed: 0 to the total, and a total of 1 or more."),
        (lambda: share_interval(0, 0), "0 right of 0; allowed: 0 to the total, and a total of 1 or more."),
        (lambda: share_interval(2.5, 3), "num_right is 2.5; allowed: whole numbers, 0 to the total."),  # pyright: ignore
        (lambda: share_interval(2, "3"), "num_total is '3'; allowed: whole numbers, 1 to 2^53."),  # pyright: ignore
        (lambda: wilson_interval(-1, 3), "num_right is -1; allowed: 0 to the total."),
        (lambda: share_interval(1, 10**5000), "num_total is 10^5000; allowed: 1 to 2^53."),
        (lambda: wilson_interval(1, 2, confidence=95), "confidence is 95; allowed: between 0 and 1, usually 0.95."),
        (
            lambda: t_interval(np.arange(3), confidence="0.95"),  # pyright: ignore
            "confidence is '0.95'; allowed: between 0 and 1, usually 0.95.",
        ),
        (lambda: t_interval(np.array([1.0])), "an interval needs at least 2 values, got 1: train more seeds."),
        (
            lambda: bootstrap_interval(np.array([1.0])),
            "a bootstrap interval needs at least 2 values, got 1: train more seeds.",
        ),
        (
            lambda: bootstrap_t_interval(np.arange(3)),
            "a bootstrap-t interval needs at least 4 values, got 3: train more seeds.",
        ),
        (lambda: bootstrap_interval(np.array([1.0, np.nan])), FEWER),
        (lambda: summarize(np.zeros((2, 2))), "values has shape (2, 2); allowed: a list of one number or more."),
        (lambda: summarize(np.arange(5), method="bca"), "method is 'bca'; allowed: t, bootstrap-t."),  # pyright: ignore
        (lambda: summarize([1.0, "a"]), "values has dtype <U32; allowed: whole or floating-point numbers."),  # pyright: ignore
        (lambda: summarize(None), "values has dtype object; allowed: whole or floating-point numbers."),  # pyright: ignore
        (
            lambda: summarize([[1.0], [2.0, 3.0]]),  # pyright: ignore
            "values is not an array of numbers; allowed: an array, a tensor or lists of equal length.",
        ),
        (lambda: summarize(np.array([1e200, 0])), "values goes up to 1.0e+200 in size; allowed: up to 1e+150."),
        (
            lambda: bootstrap_interval(np.arange(3), num_resamples=10),
            "num_resamples is 10; allowed: 100 to 10,000,000.",
        ),
        (
            lambda: bootstrap_interval(np.arange(3), num_resamples=1e3),  # pyright: ignore
            "num_resamples is 1,000.0; allowed: whole numbers, 100 to 10,000,000.",
        ),
        (
            lambda: bootstrap_interval(np.arange(3), "median"),  # pyright: ignore
            "statistic is a str; allowed: a function, such as np.median.",
        ),
        (
            lambda: bootstrap_t_interval(np.arange(9), num_resamples="many\nlines"),  # pyright: ignore
            "num_resamples is 'many\\nlines'; allowed: whole numbers, 100 to 10,000,000.",
        ),
        (
            lambda: bootstrap_interval(np.arange(9), seed=0.5),  # pyright: ignore
            "seed is 0.5; allowed: a torch.Generator or a whole number from 0 to 2^63 - 1.",
        ),
        (
            lambda: bootstrap_interval(np.arange(9), seed=-1),
            "seed is -1; allowed: a torch.Generator or a whole number from 0 to 2^63 - 1.",
        ),
    ],
)
def test_unfit_arguments_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        call()
