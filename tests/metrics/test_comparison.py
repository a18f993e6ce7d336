import itertools
import re
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from etude.errors import UsageError
from etude.metrics import compare_paired, corrected, holm
from etude.metrics.comparison import PairedComparison, Test, fewest_pairs


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
        "FID: lsgan is higher than gan; lsgan minus gan is +4 on average over 6 pairs "
        "(95 % interval 3 to 5, p = 0.031, effect size 5.7)."
    )
    assert sentence([-1.25] * 7) == (
        "FID: lsgan is lower than gan; lsgan minus gan is -1.25 on average over 7 pairs "
        "(95 % interval -1.25 to -1.25, p = 0.016)."
    )


def test_the_sentence_says_that_nothing_is_shown() -> None:
    assert sentence([3, 5, -1, 3.5, -2, 4]) == (
        "FID: no difference between gan and lsgan is shown; lsgan minus gan is +2.083 on average over 6 pairs "
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
    assert sentence([2.0] * num_pairs) == f"FID: lsgan minus gan is +2 on average {text}"
    found = compare_paired(np.zeros(num_pairs), np.arange(1.0, num_pairs + 1))
    assert found.interval is None
    assert not found.is_significant


@pytest.mark.parametrize("num_pairs", [2, 5, 6, 8, 13])
@pytest.mark.parametrize("effect", [-1.0, 0.0, 0.8])
def test_the_p_value_of_the_median_is_scipys_sign_test(num_pairs: int, effect: float) -> None:
    baseline, candidate = draw(num_pairs, effect, seed=num_pairs)
    num_higher = int((candidate > baseline).sum())
    found = compare_paired(baseline, candidate, test="median")
    assert found.p_value == pytest.approx(scipy.stats.binomtest(num_higher, num_pairs).pvalue, rel=1e-12)
    assert found.difference == pytest.approx(np.median(candidate - baseline))
    assert found.num_higher == num_higher


@pytest.mark.parametrize("num_pairs", [6, 8, 11, 40])
def test_the_interval_of_the_median_is_scipys_and_its_test_inverted(num_pairs: int) -> None:
    baseline, candidate = draw(num_pairs, 0.7)
    interval = compare_paired(baseline, candidate, test="median").interval
    assert interval is not None
    expected = scipy.stats.quantile_test(candidate - baseline, p=0.5).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    for effect, rejected in (
        (interval.low - 1e-6, True),
        (interval.low + 1e-6, False),
        (interval.high - 1e-6, False),
        (interval.high + 1e-6, True),
    ):
        assert (compare_paired(baseline + effect, candidate, test="median").p_value <= 0.05) == rejected


def test_a_pair_without_a_difference_counts_for_both_sides() -> None:
    differences = np.array([0.0, 1, 2, 3, 4, 5, 6, 7])
    found = compare_paired(np.zeros(8), differences, test="median")
    assert found.p_value == pytest.approx(2 * 9 / 2**8)
    assert not found.is_significant
    assert found.interval is not None
    assert found.interval.low == 0
    # 0.3 - 0.2 and 0.2 - 0.1 are the same difference.
    same = compare_paired(np.array([0.2, 0.1] * 4), np.array([0.3, 0.2] * 4))
    assert (same.num_apart, same.effect_size) == (0, None)


def collapsing(num_pairs: int, seed: int) -> np.ndarray:
    """Differences with mean 0: one in five lies ten standard deviations lower."""
    random = np.random.default_rng(seed)
    return random.normal(size=num_pairs) - 10 * ((random.random(num_pairs) < 0.2) - 0.2)


def test_seeds_that_collapse_on_one_side_are_noted() -> None:
    differences = np.array([1.2, 0.9, 1.1, 1.0, 0.8, 1.3, 1.05, -8.0])
    found = compare_paired(np.zeros(8), differences)
    assert found.note == (
        "1 of 8 differences lies more than 6 median absolute deviations from the median. The test of the mean needs "
        "symmetric differences: if seeds collapse on one side only, it finds a difference that does not exist in "
        "more than 5 % of cases. `--test median` needs no symmetry."
    )
    more = compare_paired(np.zeros(8), np.where(differences == 1.3, -7, differences))
    assert more.note.startswith("2 of 8 differences lie more than")
    assert compare_paired(np.zeros(8), differences, test="median").note == ""
    assert compare_paired(np.zeros(3), differences[5:]).note == ""  # of three, one often lies so
    few = compare_paired(np.zeros(5), differences[3:])  # too few pairs for a finding, and the mean is told all the same
    assert few.note == (
        "1 of 5 differences lies more than 6 median absolute deviations from the median and pulls the mean that way. "
        "`--test median` compares medians."
    )
    assert compare_paired(np.zeros(5), differences[3:], test="median").note == ""
    assert compare_paired(np.zeros(8), np.full(8, 0.1) + np.arange(8) * 1e-17).note == ""
    plain, uneven = (
        np.mean([bool(compare_paired(np.zeros(8), make(seed)).note) for seed in range(500)])
        for make in (lambda seed: np.random.default_rng(seed).normal(size=8), lambda seed: collapsing(8, seed))
    )
    assert plain <= 0.14
    assert uneven >= 0.5


@pytest.mark.parametrize(
    ("differences", "num_apart"),
    [
        ([0, 0, 0, 0, 0, 0.001, 0.001, -0.001], 0),
        ([0, 0, 0, 0, 0, 0, 0, 0.001], 0),
        ([0, 0, 0, 0, 0, 0, 0, 0], 0),
        ([0.1, 0.1, 0.1, 0.1, 0.1, 0.101, 0.099, -0.8], 1),
    ],
)
def test_ties_are_no_reason_for_an_alarm(differences: list[float], num_apart: int) -> None:
    found = compare_paired(np.zeros(8), np.array(differences))
    assert (found.num_apart, bool(found.note)) == (num_apart, num_apart > 0)


def test_the_median_keeps_5_percent_where_the_mean_does_not() -> None:
    median = 2 - scipy.stats.norm.ppf(5 / 8)  # of what is left, the 3/8 quantile
    false = {"mean": 0, "median": 0}
    for seed in range(500):
        differences = collapsing(8, seed)
        false["mean"] += compare_paired(np.zeros(8), differences).is_significant
        false["median"] += compare_paired(np.full(8, median), differences, test="median").is_significant
    assert false["mean"] >= 0.1 * 500
    assert false["median"] <= 0.05 * 500


def test_eight_pairs_find_an_effect_of_one_deviation_two_times_in_three() -> None:
    random = np.random.default_rng(0)
    power = [
        np.mean([compare_paired(np.zeros(n), random.normal(1, 1, n)).is_significant for _ in range(1000)])
        for n in (6, 8)
    ]
    assert power == pytest.approx([0.36, 0.66], abs=0.05)


def test_the_order_of_the_pairs_does_not_matter() -> None:
    random = np.random.default_rng(0)
    tests: list[Test] = ["mean", "median"]
    for test, num_pairs in itertools.product(tests, (7, 20)):
        baseline, candidate = random.random((2, num_pairs)).round(1)
        orders = [random.permutation(num_pairs) for _ in range(5)]
        assert len({compare_paired(baseline[each], candidate[each], test=test) for each in orders}) == 1


def test_holm_is_its_definition_and_controls_false_claims() -> None:
    # Worked by hand: 0.01 × 4, 0.02 × 3, then never less than the one before.
    assert holm(np.array([0.04, 0.01, 0.02, 0.5])) == pytest.approx([0.08, 0.04, 0.06, 0.5])
    assert holm(np.array([0.03, 0.031])) == pytest.approx([0.06, 0.06])
    assert holm(np.array([0.7, 0.9])) == pytest.approx([1, 1])
    assert holm(np.array([0.3])) == pytest.approx([0.3])
    random = np.random.default_rng(0)
    alone = together = 0
    for _ in range(300):
        found = [compare_paired(np.zeros(8), random.normal(size=8)) for _ in range(4)]
        alone += any(each.is_significant for each in found)
        together += any(each.is_significant for each in corrected(found))
    assert alone >= 0.12 * 300
    assert together <= 0.06 * 300


def several(num_pairs: int, *shifts: float) -> list[PairedComparison]:
    steps = np.arange(num_pairs) / num_pairs
    return corrected([compare_paired(np.zeros(num_pairs), steps + each, names=("a", "b")) for each in shifts])


def test_several_comparisons_say_that_they_are_corrected() -> None:
    assert [each.sentence for each in several(8, 1.0, -0.3)] == [
        "value: b is higher than a; b minus a is +1.438 on average over 8 pairs "
        "(95 % interval 1.167 to 1.708, p = 0.0078, 0.016 corrected for 2 comparisons, effect size 4.7).",
        "value: no difference between a and b is shown; b minus a is +0.1375 on average over 8 pairs "
        "(95 % interval -0.1333 to 0.4083, p = 0.25, 0.25 corrected for 2 comparisons, effect size 0.45).",
    ]


def test_six_pairs_are_too_few_for_several_comparisons() -> None:
    found = several(6, 1.0, 2.0, 3.0)
    assert [each.is_significant for each in found] == [False] * 3
    assert found[0].sentence == (
        "value: b minus a is +1.417 on average over 6 pairs; no significance can be claimed in 3 comparisons with "
        "fewer than 7 pairs (p cannot go below 0.094 after Holm's correction)."
    )
    assert found[0].to_dict()["corrected_p_value"] == pytest.approx(0.09375)


def test_the_sentence_of_the_median() -> None:
    differences = np.array([1.2, 0.9, 1.1, 1.0, 0.8, 1.3, 1.05, 0.7])
    assert compare_paired(np.zeros(8), differences, test="median").sentence == (
        "value: B is higher than A; B minus A is +1.025 in the median of 8 pairs "
        "(95 % interval 0.7 to 1.3, p = 0.0078, higher in 8 of 8)."
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare_paired(np.zeros(6), np.ones(6), test="t"), "test is 't'; allowed: mean, median."),  # pyright: ignore
        (lambda: holm(np.array([0.5, 1.5])), "p_values run from 0.5 to 1.5; allowed: 0 to 1."),
    ],
)
def test_unfit_arguments_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        call()


def test_unequal_numbers_are_refused() -> None:
    message = "baseline has 3 values, candidate has 2: a paired comparison needs one of each per seed."
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        compare_paired(np.zeros(3), np.zeros(2))
