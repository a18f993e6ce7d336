"""Does one recipe beat another? Runs paired by seed, the interval of the difference, a test, a correction.

The sign-flip test (Fisher 1935) tests the mean. It asks how often random signs on the differences would give a mean as
far from 0. It is exact for every n if, without an effect, the differences are distributed symmetrically around 0: then
both signs are equally likely for a difference of any size. The interval holds the effects that the same test would not
reject. Its ends are order statistics of the means over subsets of the differences (Hartigan 1969, "typical values").

The sign test (Arbuthnott 1710) tests the median. It looks only at the signs and needs no symmetry. Its interval lies
between two of the sorted differences.

Both intervals exclude 0 exactly when the test is significant. They need six pairs for 95 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from scipy.special import bdtr

from etude.errors import UsageError
from etude.metrics.arguments import Array, Seed, check_confidence, check_values, generator_of, require_choice
from etude.metrics.intervals import Interval

Test = Literal["mean", "median"]
MOST_EXACT_PAIRS = 16
NUM_RANDOM_SUBSETS = 2**16 - 1
APART = 6
"""A difference lies apart if it is more than this many median absolute deviations from the median."""
ROUNDING = 1e-12
EPSILON = 8 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """Candidate minus baseline over pairs of runs."""

    names: tuple[str, str]
    """The names of baseline and candidate."""
    quantity: str
    """What was measured."""
    test: Test
    """The sign-flip test of the mean, or the sign test of the median."""
    difference: float
    """The mean or median of the differences."""
    interval: Interval | None
    """The interval of that difference, no matter what else is compared; None if there are too few pairs."""
    p_value: float
    """Two-sided, not corrected."""
    effect_size: float | None
    """Mean over n - 1 standard deviation of the differences (Cohen's d_z); None for one pair or equal differences."""
    num_pairs: int
    num_higher: int
    """Pairs in which the candidate's value is higher."""
    num_apart: int
    """Differences that lie apart: more than six median absolute deviations from the median. Up to three pairs: 0.

    If most differences are equal, that deviation is 0. Then the median of the deviations that are not 0 is used.
    """
    confidence: float
    num_comparisons: int = 1
    """Number of comparisons in one call."""
    corrected_p_value: float
    """The p-value after Holm's correction for that number; equal to `p_value` for one comparison."""

    @property
    def is_significant(self) -> bool:
        """Whether a difference is shown, after the correction."""
        return self.interval is not None and self.corrected_p_value <= 1 - self.confidence + ROUNDING

    @property
    def note(self) -> str:
        """What speaks against the test; empty if nothing is known."""
        if self.test == "median" or not self.num_apart:
            return ""
        lie, pull = ("lies", "pulls") if self.num_apart == 1 else ("lie", "pull")
        apart = (
            f"{self.num_apart} of {self.num_pairs} differences {lie} more than {APART} median absolute deviations from "
            "the median"
        )
        if self.interval is None:  # no finding that could be false
            return f"{apart} and {pull} the mean that way. `--test median` compares medians."
        return (
            f"{apart}. The test of the mean needs symmetric differences: if seeds collapse on one side only, it finds "
            "a difference that does not exist in more than 5 % of cases. `--test median` needs no symmetry."
        )

    @property
    def sentence(self) -> str:
        """The result in words."""
        baseline, candidate = self.names
        plural = "s" if self.num_pairs > 1 else ""
        average = f"{candidate} minus {baseline} is {self.difference:+.4g} " + (
            f"on average over {self.num_pairs} pair{plural}"
            if self.test == "mean"
            else f"in the median of {self.num_pairs} pair{plural}"
        )
        if self.interval is None or self._smallest_p > 1 - self.confidence + ROUNDING:
            fewest = fewest_pairs(1 - (1 - self.confidence) / self.num_comparisons)
            among = f" in {self.num_comparisons} comparisons" if self.num_comparisons > 1 else ""
            corrected = " after Holm's correction" if self.num_comparisons > 1 else ""
            return (
                f"{self.quantity}: {average}; no significance can be claimed{among} with fewer than {fewest} pairs "
                f"(p cannot go below {self._smallest_p:.2g}{corrected})."
            )
        evidence = [
            f"{100 * self.confidence:.3g} % interval {self.interval.low:.4g} to {self.interval.high:.4g}",
            f"p = {self.p_value:.2g}",
        ]
        if self.num_comparisons > 1:
            evidence.append(f"{self.corrected_p_value:.2g} corrected for {self.num_comparisons} comparisons")
        if self.test == "median":
            evidence.append(f"higher in {self.num_higher} of {self.num_pairs}")
        elif self.effect_size is not None:
            evidence.append(f"effect size {self.effect_size:.2g}")
        verdict = (
            f"{candidate} is {'higher' if self.difference > 0 else 'lower'} than {baseline}"
            if self.is_significant
            else f"no difference between {baseline} and {candidate} is shown"
        )
        return f"{self.quantity}: {verdict}; {average} ({', '.join(evidence)})."

    @property
    def _smallest_p(self) -> float:
        return min(1.0, self.num_comparisons * 2.0 ** (1 - self.num_pairs))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        interval = self.interval
        return {
            "test": self.test,
            "difference": self.difference,
            "interval": {"low": interval.low, "high": interval.high, "confidence": interval.confidence}
            if interval
            else None,
            "p_value": self.p_value,
            "num_comparisons": self.num_comparisons,
            "corrected_p_value": self.corrected_p_value,
            "effect_size": self.effect_size,
            "num_pairs": self.num_pairs,
            "num_higher": self.num_higher,
            "num_apart": self.num_apart,
            "is_significant": self.is_significant,
            "sentence": self.sentence,
            "note": self.note or None,
        }


def compare_paired(
    baseline: Array,
    candidate: Array,
    *,
    names: tuple[str, str] = ("A", "B"),
    quantity: str = "value",
    test: Test = "mean",
    confidence: float = 0.95,
    seed: Seed = 0,
) -> PairedComparison:
    """Compare runs of two recipes, (num_pairs,) each, the same seed at the same place.

    `test` is mean, the two-sided sign-flip test over all 2ⁿ sign patterns up to 16 pairs and 65,535 random ones beyond
    (the only use of `seed`), or median, the two-sided sign test. `names` (of baseline and candidate) and `quantity`
    (what was measured) are for the sentence.
    """
    baseline, candidate = check_values("baseline", baseline), check_values("candidate", candidate)
    check_confidence(confidence)
    require_choice("test", test, ("mean", "median"))
    if len(baseline) != len(candidate):
        raise UsageError(
            f"baseline has {len(baseline)} values, candidate has {len(candidate)}: a paired comparison needs one of "
            "each per seed."
        )
    differences = np.sort(candidate - baseline)
    # 0.3 - 0.2 and 0.2 - 0.1 differ in their last bits; that must not decide a tie.
    largest = max(np.abs(baseline).max(), np.abs(candidate).max())
    rounding = float(EPSILON * largest + ROUNDING * np.abs(differences).max())
    differences[np.abs(differences) <= rounding] = 0
    run = _sign_flips if test == "mean" else _signs
    p_value, interval = run(differences, confidence, rounding, seed)
    return PairedComparison(
        names=names,
        quantity=quantity,
        test=test,
        difference=float(differences.mean() if test == "mean" else np.median(differences)),
        interval=interval,
        p_value=p_value,
        effect_size=_effect_size(differences, rounding),
        num_pairs=len(differences),
        num_higher=int(np.count_nonzero(differences > 0)),
        num_apart=_num_apart(differences, rounding),
        confidence=confidence,
        corrected_p_value=p_value,
    )


def corrected(comparisons: Sequence[PairedComparison]) -> list[PairedComparison]:
    """The comparisons with their p-values and verdicts corrected for their number, by Holm's method."""
    p_values = holm(np.array([each.p_value for each in comparisons]))
    return [
        replace(each, corrected_p_value=float(p_value), num_comparisons=len(comparisons))
        for each, p_value in zip(comparisons, p_values, strict=True)
    ]


def holm(p_values: Array) -> np.ndarray:
    """P-values (num_comparisons,) corrected for their number (Holm 1979), in the same order.

    If values of at most 0.05 are called significant, the chance of any false finding is at most 5 %, even if the
    comparisons depend on each other.
    """
    p_values = check_values("p_values", p_values)
    if p_values.min() < 0 or p_values.max() > 1:
        raise UsageError(f"p_values run from {p_values.min():g} to {p_values.max():g}; allowed: 0 to 1.")
    order = np.argsort(p_values, kind="stable")
    found = np.empty_like(p_values)
    found[order] = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)).clip(max=1)
    return found


def fewest_pairs(confidence: float = 0.95) -> int:
    """Pairs with which either test can be significant at all: 2 · 2⁻ⁿ ≤ 1 - confidence; 6 for 95 %."""
    check_confidence(confidence)
    return math.ceil(1 - math.log2(1 - confidence) - 1e-9)


def _sign_flips(
    differences: np.ndarray, confidence: float, rounding: float, seed: Seed
) -> tuple[float, Interval | None]:
    """P-value and interval of the mean."""
    subset_means = np.sort(_subset_means(differences, seed))
    p_value = _p_value(float(differences.mean()), subset_means, tie=rounding)
    # Each gap between sorted subset means is as likely to hold the true effect; 1e-9 forgives the rounding of 5 %.
    num_cut = math.floor((1 - confidence) * (len(subset_means) + 1) / 2 + 1e-9)
    if num_cut < 1:
        return p_value, None
    return p_value, Interval(float(subset_means[num_cut - 1]), float(subset_means[-num_cut]), confidence)


def _subset_means(differences: np.ndarray, seed: Seed) -> np.ndarray:
    """Means of all non-empty subsets of the differences, or of random ones if there are too many."""
    if len(differences) > MOST_EXACT_PAIRS:
        generator = generator_of(seed)
        chosen = torch.randint(2, (NUM_RANDOM_SUBSETS, len(differences)), generator=generator).numpy()
        chosen[~chosen.any(axis=1)] = 1  # an empty subset has no mean; one in 2¹⁷ at most
        return chosen @ differences / chosen.sum(axis=1)
    sums, counts = np.zeros(1), np.zeros(1)
    for difference in differences:
        sums, counts = np.concatenate([sums, sums + difference]), np.concatenate([counts, counts + 1])
    return sums[1:] / counts[1:]


def _p_value(mean: float, subset_means: np.ndarray, *, tie: float) -> float:
    """Share of sign patterns with a mean at least as far from 0 as the observed one.

    Flipping the signs of a subset S subtracts twice its sum from the total. The mean stays at least the observed
    (positive) one if the mean of S is 0 or less. The empty subset and the mirrored patterns give 1 + and 2 ×.
    """
    if abs(mean) <= tie:
        return 1.0
    num_as_far = np.count_nonzero(subset_means * np.sign(mean) <= tie)
    return min(1.0, 2 * (1 + int(num_as_far)) / (len(subset_means) + 1))


def _signs(differences: np.ndarray, confidence: float, rounding: float, seed: Seed) -> tuple[float, Interval | None]:
    """P-value and interval of the median, from sorted differences.

    A difference of 0 counts for both sides: leaving it out would test whether the signs balance, not the median.
    """
    del rounding, seed
    num_pairs = len(differences)
    num_against = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    p_value = min(1.0, 2 * float(bdtr(num_against, num_pairs, 0.5)))
    # The largest number of signs against the effect with which the test is still significant.
    tails = 2 * bdtr(np.arange(num_pairs), num_pairs, 0.5)
    num_cut = int(np.count_nonzero(tails <= 1 - confidence + ROUNDING))
    if num_cut < 1:
        return p_value, None
    return p_value, Interval(float(differences[num_cut - 1]), float(differences[-num_cut]), confidence)


def _effect_size(differences: np.ndarray, rounding: float) -> float | None:
    if len(differences) == 1 or np.ptp(differences) <= rounding:
        return None
    return float(differences.mean() / differences.std(ddof=1))


def _num_apart(differences: np.ndarray, rounding: float) -> int:
    if len(differences) < 4:
        return 0  # among three, one often does
    distances = np.abs(differences - np.median(differences))
    scale = np.median(distances)
    if scale <= rounding < distances.max():  # most are equal
        scale = np.median(distances[distances > rounding])
    return int(np.count_nonzero(distances > APART * scale + rounding))
