"""How far a score may be off by chance, since it is from a sample of images: standard errors and intervals.

An interval here is around the score at this number of images. It says where the score would lie for other images of the
same generator and the same kind of data. It says nothing about another training run. It does not remove the bias that a
score has at this number of images; the floor shows that.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.special import betaincinv, ndtri, stdtrit

from etude.metrics.arguments import Seed, check_confidence, generator_of, require_count
from etude.metrics.intervals import Interval

# From real and generated features (num_samples, num_features) to one number or several, (num_scores,).
SetScores = Callable[[np.ndarray, np.ndarray], np.ndarray]


def error_interval(value: float, standard_error: float, *, degrees: float, confidence: float = 0.95) -> Interval:
    """value ± t · standard error, with Student's t at the `degrees` of freedom of the estimated error."""
    check_confidence(confidence)
    margin = float(stdtrit(degrees, (1 + confidence) / 2)) * standard_error
    return Interval(value - margin, value + margin, confidence)


def effective_share_interval(
    share: float, num_samples: int, *, standard_error: float = 0.0, degrees: float = math.inf, confidence: float = 0.95
) -> Interval:
    """Interval of a share of `num_samples`: Clopper and Pearson's (1934), exact for independent samples.

    If `standard_error`, known to `degrees` of freedom, is larger than that of independent samples, this is the interval
    of the number of independent samples that would have that error (Kish 1965, the design effect; Korn and Graubard
    1998). It stays within [0, 1].
    """
    check_confidence(confidence)
    variance, two_sided = share * (1 - share), (1 + confidence) / 2
    standard_error *= float(stdtrit(degrees, two_sided) / ndtri(two_sided))
    samples = min(num_samples, variance / standard_error**2) if standard_error and variance else num_samples
    right, wrong, tail = share * samples, (1 - share) * samples, (1 - confidence) / 2
    low = float(betaincinv(right, wrong + 1, tail)) if right else 0.0
    high = float(betaincinv(right + 1, wrong, 1 - tail)) if wrong else 1.0
    return Interval(low, high, confidence)


def jackknife_error(left_out: np.ndarray) -> float:
    """Standard error of a statistic from its values with each sample left out in turn, (num_samples,).

    Its square is, on average, too large rather than too small (Efron and Stein 1981).
    """
    return float(np.sqrt((len(left_out) - 1) * np.var(left_out)))


def halving_error(
    scores: SetScores, real: np.ndarray, generated: np.ndarray, *, seed: Seed, num_halvings: int = 10
) -> np.ndarray:
    """Standard errors of `scores(real, generated)`, (num_scores,), from how random halves of both sets differ.

    Both sets are cut into halves, `num_halvings` times, and the halves' scores are compared. Half a difference has the
    standard error of the whole, for a score whose error falls as one over the root of the number of samples (Shao and
    Wu 1989, "A general theory for jackknife variance estimation", with half of the samples left out). Unlike a
    bootstrap it repeats no sample, which nearest neighbours would take for copies.
    """
    require_count("num_halvings", num_halvings, 1, 10_000, "1 to 10,000")
    generator, half = generator_of(seed), min(len(real), len(generated)) // 2
    differences = []
    for _ in range(num_halvings):
        real_rows, generated_rows = (
            torch.randperm(len(rows), generator=generator)[: 2 * half].numpy() for rows in (real, generated)
        )
        one = scores(real[real_rows[:half]], generated[generated_rows[:half]])
        other = scores(real[real_rows[half:]], generated[generated_rows[half:]])
        differences.append(np.atleast_1d(one) - np.atleast_1d(other))
    # A difference of two halves, each with √2 times the standard error of the whole: √2 · √2 times that.
    return np.sqrt(np.mean(np.square(differences), axis=0)) / 2
