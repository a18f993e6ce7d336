"""Whether one recipe beats another: runs paired by seed, the interval of the difference, a test that assumes little.

The sign-flip test (Fisher 1935) asks how often random signs on the differences would give a mean as far from 0: exact
for every n if, without an effect, a difference is as likely above 0 as below. The interval holds the effects that the
same test would not reject: its ends are order statistics of the means over subsets of the differences (Hartigan 1969,
"typical values"). So it leaves out 0 exactly when the test is significant, and needs six pairs for 95 %.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from etude.errors import UsageError
from etude.metrics.arguments import Array, Seed, generator_of
from etude.metrics.intervals import Interval, check_confidence, check_values

MOST_EXACT_PAIRS = 16
NUM_RANDOM_SUBSETS = 2**16 - 1


@dataclass(frozen=True)
class PairedComparison:
    """Candidate less baseline over pairs of runs.

    `interval` is None where there are too few pairs for one; `effect_size` is the mean over the n - 1 standard
    deviation of the differences (Cohen's d_z), None for one pair or differences that are all equal.
    """

    difference: float
    interval: Interval | None
    p_value: float
    effect_size: float | None
    num_pairs: int
    is_significant: bool
    sentence: str


def compare_paired(
    baseline: Array,
    candidate: Array,
    *,
    names: tuple[str, str] = ("A", "B"),
    quantity: str = "value",
    confidence: float = 0.95,
    seed: Seed = 0,
) -> PairedComparison:
    """Compare runs of two recipes, (num_pairs,) each, the same seed at the same place.

    Two-sided sign-flip test over all 2ⁿ sign patterns up to 16 pairs, 65,535 random ones beyond (the only use of
    `seed`). `names` are those of baseline and candidate and `quantity` what was measured, for the sentence.
    """
    baseline, candidate = check_values("baseline", baseline), check_values("candidate", candidate)
    check_confidence(confidence)
    if len(baseline) != len(candidate):
        raise UsageError(
            f"baseline has {len(baseline)} values, candidate has {len(candidate)}: a paired comparison needs one of "
            "each per seed."
        )
    differences = candidate - baseline
    num_pairs, mean = len(differences), float(differences.mean())
    subset_means = np.sort(_subset_means(differences, seed))
    p_value = _p_value(mean, subset_means, tie=1e-12 * float(np.abs(differences).max()))
    level = 1 - confidence
    # Each gap between sorted subset means is as likely to hold the true effect; 1e-9 forgives the rounding of `level`.
    num_cut = math.floor(level * (len(subset_means) + 1) / 2 + 1e-9)
    interval = None
    if num_cut >= 1:
        interval = Interval(float(subset_means[num_cut - 1]), float(subset_means[-num_cut]), confidence)
    effect_size = _effect_size(differences)
    is_significant = interval is not None and p_value <= level + 1e-12
    sentence = _sentence(names, quantity, mean, interval, p_value, effect_size, num_pairs, level, is_significant)
    return PairedComparison(mean, interval, p_value, effect_size, num_pairs, is_significant, sentence)


def fewest_pairs(confidence: float = 0.95) -> int:
    """Pairs with which the sign-flip test can be significant at all: 2 · 2⁻ⁿ ≤ 1 - confidence; 6 for 95 %."""
    check_confidence(confidence)
    return math.ceil(1 - math.log2(1 - confidence) - 1e-9)


def _subset_means(differences: np.ndarray, seed: Seed) -> np.ndarray:
    """Means of all non-empty subsets of the differences, or of random ones where there are too many."""
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
    """Share of sign patterns with a mean as far from 0 as that observed.

    Flipping the signs of a subset S takes twice its sum from the total: the mean grows no smaller than the observed
    (positive) one where the mean of S is 0 or less. The empty subset and the mirrored patterns give 1 + and 2 ×.
    """
    if abs(mean) <= tie:
        return 1.0
    num_as_far = np.count_nonzero(subset_means * np.sign(mean) <= tie)
    return min(1.0, 2 * (1 + int(num_as_far)) / (len(subset_means) + 1))


def _effect_size(differences: np.ndarray) -> float | None:
    if len(differences) == 1 or (differences == differences[0]).all():
        return None
    return float(differences.mean() / differences.std(ddof=1))


def _sentence(
    names: tuple[str, str],
    quantity: str,
    mean: float,
    interval: Interval | None,
    p_value: float,
    effect_size: float | None,
    num_pairs: int,
    level: float,
    is_significant: bool,
) -> str:
    baseline, candidate = names
    average = (
        f"{candidate} less {baseline} is {mean:+.4g} on average over {num_pairs} pair{'s' if num_pairs > 1 else ''}"
    )
    if interval is None:
        return (
            f"{quantity}: {average}; no significance can be claimed with fewer than {fewest_pairs(1 - level)} pairs "
            f"(p cannot go below {2.0 ** (1 - num_pairs):.2g})."
        )
    evidence = (
        f"{100 * interval.confidence:.3g} % interval {interval.low:.4g} to {interval.high:.4g}, p = {p_value:.2g}"
    )
    if effect_size is not None:
        evidence += f", effect size {effect_size:.2g}"
    verdict = (
        f"{candidate} is {'higher' if mean > 0 else 'lower'} than {baseline}"
        if is_significant
        else f"no difference between {baseline} and {candidate} is shown"
    )
    return f"{quantity}: {verdict}; {average} ({evidence})."
