"""Means over a text with intervals that allow for symbols that depend on each other."""

import numpy as np
import pytest

from etude.metrics import mean_over_text, t_interval


def test_the_mean_is_a_ratio_of_sums() -> None:
    random = np.random.default_rng(0)
    values, lengths = random.exponential(size=5_000), random.integers(1, 6, 5_000)
    mean, interval = mean_over_text(values, lengths)
    assert mean == pytest.approx(values.sum() / lengths.sum(), rel=1e-12)
    assert interval.low < mean < interval.high
    assert mean_over_text(values, lengths) == (mean, interval)


def test_of_independent_symbols_the_interval_is_students() -> None:
    values = np.random.default_rng(0).normal(size=50_000)
    _, interval = mean_over_text(values, np.ones(50_000))
    expected = t_interval(values)
    assert interval.high - interval.low == pytest.approx(expected.high - expected.low, rel=0.25)


def test_dependent_symbols_are_covered_as_often_as_it_says() -> None:
    """An autoregression whose neighbours differ little: Student's interval for single symbols is much too narrow."""
    covered, naive = 0, 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        noise = random.normal(size=40_200)
        values = np.convolve(noise, 0.9 ** np.arange(200), mode="valid")
        _, interval = mean_over_text(values, np.ones(len(values)), seed=seed)
        covered += interval.low <= 0 <= interval.high
        students = t_interval(values)
        naive += students.low <= 0 <= students.high
    assert covered >= 88
    assert naive <= 50


def test_a_short_text_has_twenty_blocks() -> None:
    values = np.random.default_rng(0).normal(size=60)
    mean, interval = mean_over_text(values, np.ones(60))
    assert interval.low < mean < interval.high
    equal, none = mean_over_text(np.ones(60), np.ones(60))
    assert (equal, none.low, none.high) == (1, 1, 1)
