"""Standard errors and intervals against fresh draws: what they say of one sample, many samples show."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from etude.errors import UsageError
from etude.metrics import complete_kernel_distance, frechet_distance, frechet_error, kernel_distance, prdc
from etude.metrics.spread import (
    effective_share_interval,
    error_interval,
    halving_error,
    jackknife_error,
)

Draw = Callable[[np.random.Generator, int], np.ndarray]


def gaussian(mean: float, scale: float) -> Draw:
    return lambda random, size: mean + scale * random.normal(size=(size, 6))


REAL, SHIFTED = gaussian(0, 1), gaussian(0.4, 1.3)


def test_a_share_has_the_exact_interval_and_covers_every_share() -> None:
    for right, total in ((0, 10), (3, 10), (10, 10), (297, 300)):
        found = effective_share_interval(right / total, total)
        expected = stats.binomtest(right, total).proportion_ci(method="exact")
        np.testing.assert_allclose([found.low, found.high], [expected.low, expected.high], atol=1e-10)
    for total in (10, 50, 300):
        intervals = [effective_share_interval(right / total, total) for right in range(total + 1)]
        low, high = (np.array([getattr(each, side) for each in intervals]) for side in ("low", "high"))
        for share in np.linspace(0.01, 0.99, 25):
            weights = stats.binom.pmf(np.arange(total + 1), total, share)
            assert weights[(low <= share) & (share <= high)].sum() >= 0.95 - 1e-9


def test_a_share_of_dependent_samples_is_that_of_fewer_independent_ones() -> None:
    independent = math.sqrt(0.3 * 0.7 / 400)
    assert effective_share_interval(0.3, 400, standard_error=independent / 2) == effective_share_interval(0.3, 400)
    found, fewer = (
        effective_share_interval(0.3, 400, standard_error=2 * independent),
        effective_share_interval(0.3, 100),
    )
    np.testing.assert_allclose([found.low, found.high], [fewer.low, fewer.high], rtol=1e-9)
    wider = effective_share_interval(0.3, 400, standard_error=2 * independent, degrees=10)
    assert wider.low < found.low < found.high < wider.high


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=50)
    left_out = (values.sum() - values) / 49
    assert jackknife_error(left_out) == pytest.approx(stats.sem(values), rel=1e-12)


def covered(score: Callable[..., float], error: Callable[..., float], generated: Draw, size: int, trials: int) -> tuple:
    """Standard deviation over fresh draws, mean of the errors said, and the share of intervals that hold the mean."""
    random = np.random.default_rng(1)
    values, errors = [], []
    for _ in range(trials):
        pair = REAL(random, size), generated(random, size)
        values.append(score(*pair))
        errors.append(error(*pair))
    centre = np.mean(values)
    inside = [
        (each := error_interval(value, said, degrees=size - 1)).low <= centre <= each.high
        for value, said in zip(values, errors, strict=True)
    ]
    return np.std(values), np.mean(errors), np.mean(inside)


@pytest.mark.parametrize("generated", [REAL, SHIFTED], ids=["the same", "shifted"])
@pytest.mark.parametrize(
    ("score", "error"),
    [
        (frechet_distance, frechet_error),
        (
            lambda *pair: complete_kernel_distance(*pair, standardize=False).value,
            lambda *pair: complete_kernel_distance(*pair, standardize=False).standard_error,
        ),
    ],
    ids=["fid", "kid"],
)
def test_distances_scatter_as_they_say(score: Callable, error: Callable, generated: Draw) -> None:
    """Where nothing is to be found the error is too large, elsewhere right; 93 % are covered, ±1.6 % by chance."""
    deviation, said, share = covered(score, error, generated, 300, 250)
    assert 0.85 * deviation < said < (2.2 if generated is REAL else 1.3) * deviation
    assert share >= 0.91


def test_the_error_of_the_frechet_distance_is_that_of_one_normal_variable() -> None:
    """One feature: (m_r - m_g)² + (s_r - s_g)², whose delta method is in closed form for normal values."""
    random = np.random.default_rng(0)
    real, generated = random.normal(0, 1, (40_000, 1)), random.normal(1, 2, (40_000, 1))
    variance = (2 * 1) ** 2 * (1 + 4) / 40_000 + (2 * 1) ** 2 * (1 / 2 + 4 / 2) / 40_000  # var s = s² / 2n
    assert frechet_error(real, generated) == pytest.approx(math.sqrt(variance), rel=0.03)


def test_the_error_of_the_kernel_distance_is_the_jackknife_row_by_row() -> None:
    random = np.random.default_rng(0)
    real, generated = REAL(random, 20), SHIFTED(random, 25)
    found = complete_kernel_distance(real, generated, standardize=False)
    whole = kernel_distance(real[:20], generated[:20], num_subsets=1, standardize=False)
    equal = complete_kernel_distance(real, generated[:20], standardize=False)
    assert equal.value == pytest.approx(whole.value, rel=1e-12)

    def value(one: np.ndarray, other: np.ndarray) -> float:
        return complete_kernel_distance(one, other, standardize=False, with_error=False).value

    parts = [
        jackknife_error(np.array([value(np.delete(real, row, 0), generated) for row in range(20)])),
        jackknife_error(np.array([value(real, np.delete(generated, row, 0)) for row in range(25)])),
    ]
    assert found.standard_error == pytest.approx(math.hypot(*parts), rel=1e-9)


def test_halves_tell_how_neighbours_scatter() -> None:
    random = np.random.default_rng(2)

    def scores(real: np.ndarray, generated: np.ndarray) -> np.ndarray:
        fidelity, diversity = prdc(real, generated, nearest_k=3)
        return np.array([fidelity.precision, fidelity.recall, diversity.density, diversity.coverage])

    values, errors = [], []
    for seed in range(100):
        pair = REAL(random, 200), SHIFTED(random, 200)
        values.append(scores(*pair))
        if seed < 25:
            errors.append(halving_error(scores, *pair, seed=seed))
    ratio = np.mean(errors, axis=0) / np.std(values, axis=0)
    assert ((ratio > 0.75) & (ratio < 1.5)).all(), ratio


def test_unfit_arguments_are_refused() -> None:
    message = "the smaller set has 2 samples; complete_kernel_distance needs at least 3 of each."
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        complete_kernel_distance(np.eye(2), np.eye(2) + 1)
    with pytest.raises(UsageError, match=r"^num_halvings is 0; allowed: 1 to 10,000\.$"):
        halving_error(lambda real, generated: real, np.eye(2), np.eye(2), seed=0, num_halvings=0)
