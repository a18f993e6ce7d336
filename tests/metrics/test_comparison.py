import itertools
import re

import numpy as np
import pytest
import scipy.stats

from etude.errors import UsageError
from etude.metrics import compare_paired
from etude.metrics.comparison import fewest_pairs


def draw(num_pairs: int, effect: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    baseline = random.normal(size=num_pairs)
    return baseline, baseline + effect + random.normal(size=num_pairs)


@pytest.mark.parametrize("num_pairs", [2, 5, 6, 9, 12])
@pytest.mark.parametrize("effect", [-1.0, 0.0, 0.8])
def test_the_p_value_is_scipys_exact_permutation_test(num_pairs: int, effect: float) -> None:
    baseline, candidate = draw(num_pairs, effect, seed=num_pairs)
    expected = scipy.stats.permutation_test(
        (candidate - baseline, np.zeros(num_pairs)),
        lambda one, other, axis: np.mean(one - other, axis=axis),
        permutation_type="samples", vectorized=True, n_resamples=10**6,
    )  # fmt: skip
    assert compare_paired(baseline, candidate).p_value == pytest.approx(expected.pvalue, rel=1e-12)


def test_integer_differences_with_ties_are_counted_as_ties() -> None:
    differences = np.array([3.0, 1.0, -1.0, 2.0, 0.0, -2.0, 1.0])
    totals = [abs(np.dot(signs, differences)) for signs in itertools.product([-1, 1], repeat=7)]
    expected = np.mean(np.array(totals) >= abs(differences.sum()))
    found = compare_paired(np.zeros(7), 0.1 * differences)  # tenths do not add up exactly
    assert found.p_value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("num_pairs", [6, 8, 11])
def test_the_interval_holds_exactly_the_effects_that_the_test_does_not_reject(num_pairs: int) -> None:
    baseline, candidate = draw(num_pairs, 0.7)
    interval = compare_paired(baseline, candidate).interval
    assert interval is not None
    for effect, rejected in (
        (interval.low - 1e-6, True),
        (interval.low + 1e-6, False),
        (interval.high - 1e-6, False),
        (interval.high + 1e-6, True),
    ):
        assert (compare_paired(baseline + effect, candidate).p_value <= 0.05) == rejected


def test_six_pairs_span_the_range_of_their_differences() -> None:
    baseline, candidate = draw(6, 0.5)
    found = compare_paired(baseline, candidate)
    assert found.interval is not None
    differences = candidate - baseline
    assert (found.interval.low, found.interval.high) == pytest.approx((differences.min(), differences.max()))


def test_coverage_and_false_alarms_at_six_and_ten_pairs_are_as_claimed() -> None:
    random = np.random.default_rng(0)
    for num_pairs in (6, 10):
        covered = significant = 0
        for _ in range(1000):
            found = compare_paired(np.zeros(num_pairs), random.normal(size=num_pairs))
            assert found.interval is not None
            covered += found.interval.low <= 0 <= found.interval.high
            significant += found.is_significant
        assert covered + significant == 1000
        assert 0.94 <= covered / 1000 <= 0.985


def test_many_pairs_draw_random_signs_and_agree_with_a_t_test() -> None:
    baseline, candidate = draw(200, 0.2)
    found = compare_paired(baseline, candidate)
    expected = scipy.stats.ttest_rel(candidate, baseline)
    assert found.interval is not None
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.003)
    limits = expected.confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((limits.low, limits.high), abs=0.01)
    assert found == compare_paired(baseline, candidate, seed=0)


def test_effect_size_is_the_mean_over_the_deviation_and_swapping_turns_the_sign() -> None:
    baseline, candidate = draw(7, 1.0)
    found, swapped = compare_paired(baseline, candidate), compare_paired(candidate, baseline)
    differences = candidate - baseline
    assert found.effect_size == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert swapped.effect_size == pytest.approx(-differences.mean() / differences.std(ddof=1))
    assert (swapped.difference, swapped.p_value) == (-found.difference, found.p_value)
    assert found.interval is not None
    assert swapped.interval is not None
    assert (swapped.interval.low, swapped.interval.high) == pytest.approx((-found.interval.high, -found.interval.low))


def test_no_difference_at_all_is_no_evidence() -> None:
    values = np.arange(8.0)
    found = compare_paired(values, values)
    assert (found.difference, found.p_value, found.effect_size, found.is_significant) == (0, 1, None, False)


def test_fewest_pairs() -> None:
    assert [fewest_pairs(confidence) for confidence in (0.5, 0.9, 0.95, 0.99)] == [2, 5, 6, 8]


def sentence(differences: list[float], **settings: float) -> str:
    values = np.array(differences)
    return compare_paired(
        np.zeros(len(values)),
        values,
        names=("gan", "lsgan"),
        quantity="FID",
        **settings,  # pyright: ignore
    ).sentence


def test_the_sentence_says_which_is_higher_when_that_is_shown() -> None:
    assert sentence([3, 5, 4, 3.5, 4.5, 4]) == (
        "FID: lsgan is higher than gan; lsgan less gan is +4 on average over 6 pairs "
        "(95 % interval 3 to 5, p = 0.031, effect size 5.7)."
    )
    assert sentence([-1.25] * 7) == (
        "FID: lsgan is lower than gan; lsgan less gan is -1.25 on average over 7 pairs "
        "(95 % interval -1.25 to -1.25, p = 0.016)."
    )


def test_the_sentence_says_that_nothing_is_shown() -> None:
    assert sentence([3, 5, -1, 3.5, -2, 4]) == (
        "FID: no difference between gan and lsgan is shown; lsgan less gan is +2.083 on average over 6 pairs "
        "(95 % interval -2 to 5, p = 0.16, effect size 0.73)."
    )


@pytest.mark.parametrize(
    ("num_pairs", "text"),
    [
        (1, "over 1 pair; no significance can be claimed with fewer than 6 pairs (p cannot go below 1)."),
        (5, "over 5 pairs; no significance can be claimed with fewer than 6 pairs (p cannot go below 0.062)."),
    ],
)
def test_fewer_than_six_pairs_claim_nothing(num_pairs: int, text: str) -> None:
    assert sentence([2.0] * num_pairs) == f"FID: lsgan less gan is +2 on average {text}"
    found = compare_paired(np.zeros(num_pairs), np.arange(1.0, num_pairs + 1))
    assert found.interval is None
    assert not found.is_significant


def test_unequal_numbers_are_refused() -> None:
    message = "baseline has 3 values, candidate has 2: a paired comparison needs one of each per seed."
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        compare_paired(np.zeros(3), np.zeros(2))
