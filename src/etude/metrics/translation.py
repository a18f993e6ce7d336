"""How near translations come to references: BLEU and chrF, by sacrebleu, with bootstrap intervals over the sentences.

Scores are from 0 to 100, of cased and detokenised text. Only scores with one signature are comparable.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from etude.errors import UsageError
from etude.metrics.arguments import Seed, check_confidence, require_choice, require_count
from etude.metrics.bootstrap import resamples, weighted_quantiles
from etude.metrics.intervals import Interval

TranslationMetric = Literal["bleu", "chrf"]
METRICS: tuple[TranslationMetric, ...] = ("bleu", "chrf")
NUM_RESAMPLES = 1000
SHARES_OF_MEAN = (0.5, 0.75, 1, 1.25, 1.5, 2)
"""Where sentences are divided by length, in shares of the mean length."""


@dataclass(frozen=True)
class TranslationScore:
    """A score of many translations."""

    value: float
    """From 0 to 100."""
    interval: Interval
    """For other sentences of the same kind, by the bootstrap; not for another training run."""
    signature: str
    """How it was computed, in sacrebleu's words."""


@dataclass(frozen=True)
class TranslationDifference:
    """The second system's score minus the first's, on the same sentences."""

    value: float
    interval: Interval
    p_value: float
    """How often a difference as large would come of two equal systems, by the bootstrap (Koehn 2004)."""
    signature: str


class LengthBin(NamedTuple):
    """Sentences of like lengths, and the BLEU of their translations."""

    shortest: int
    longest: int
    num_sentences: int
    score: TranslationScore


def bleu(translations: Sequence[str], references: Sequence[str], *, seed: Seed = 0) -> TranslationScore:
    """BLEU of a corpus (Papineni et al. 2002) as sacrebleu computes it (Post 2018): 13a, cased, one reference each."""
    return _score("bleu", translations, references, seed)


def chrf(translations: Sequence[str], references: Sequence[str], *, seed: Seed = 0) -> TranslationScore:
    """chrF2, the F-score of character n-grams up to 6, as sacrebleu computes it (Popović 2015)."""
    return _score("chrf", translations, references, seed)


def bleu_by_length(
    translations: Sequence[str], references: Sequence[str], lengths: Sequence[int], *, seed: Seed = 0
) -> list[LengthBin]:
    """BLEU of short and of long sentences, from below half the mean of `lengths` (N,) to twice the mean and above."""
    if len(lengths) != len(references):
        raise UsageError(f"{len(lengths):,} lengths and {len(references):,} references: give as many.")
    given, mean = np.asarray(lengths), float(np.mean(lengths))
    edges = [0, *sorted({math.ceil(share * mean) for share in SHARES_OF_MEAN}), int(given.max()) + 1]
    bins = []
    for low, high in pairwise(edges):
        rows = ((given >= low) & (given < high)).nonzero()[0].tolist()
        if rows:
            score = bleu([translations[row] for row in rows], [references[row] for row in rows], seed=seed)
            bins.append(LengthBin(int(given[rows].min()), int(given[rows].max()), len(rows), score))
    return bins


def ratio_of_sums(values: np.ndarray, counts: np.ndarray, *, seed: Seed = 0) -> tuple[float, Interval]:
    """Σ values / Σ counts over sentences, (N,) each, and its interval by the bootstrap over the sentences."""
    blocks = list(resamples(len(values), NUM_RESAMPLES, seed))
    ratios = np.concatenate([values[picks].sum(1) / counts[picks].sum(1) for picks, _ in blocks])
    weights = np.concatenate([weights for _, weights in blocks])
    return float(values.sum() / counts.sum()), _middle(_Resampled(ratios, weights), 0.95)


def compare_translations(
    first: Sequence[str],
    second: Sequence[str],
    references: Sequence[str],
    *,
    metric: TranslationMetric = "bleu",
    seed: Seed = 0,
    num_resamples: int = NUM_RESAMPLES,
    confidence: float = 0.95,
) -> TranslationDifference:
    """Does the second of two systems translate the same sentences better? By the paired bootstrap (Koehn 2004).

    Each resample of the sentences scores both systems. The interval holds the middle of the differences; the p-value is
    the share of differences that are as far from their mean as the observed one is from 0 (Post and Matthews 2018, as
    sacrebleu's paired test).
    """
    require_choice("metric", metric, METRICS)
    check_confidence(confidence)
    require_count("num_resamples", num_resamples, 100, 1_000_000, "100 to 1,000,000")
    counts = [_counts(metric, each, references) for each in (first, second)]
    one, other = (_resampled(metric, each, num_resamples, seed) for each in counts)
    weights, differences = one.weights, other.values - one.values
    observed = _of(metric, counts[1]) - _of(metric, counts[0])
    mean = np.average(differences, weights=weights)
    far = weights[np.abs(differences - mean) >= abs(observed)].sum()
    return TranslationDifference(
        value=observed,
        interval=_middle(_Resampled(differences, weights), confidence),
        p_value=float((far + 1) / (weights.sum() + 1)),
        signature=str(_sacrebleu(metric).get_signature()),
    )


def _score(
    metric: TranslationMetric, translations: Sequence[str], references: Sequence[str], seed: Seed
) -> TranslationScore:
    counts = _counts(metric, translations, references)
    interval = _middle(_resampled(metric, counts, NUM_RESAMPLES, seed), 0.95)
    return TranslationScore(_of(metric, counts), interval, str(_sacrebleu(metric).get_signature()))


class _Resampled(NamedTuple):
    values: np.ndarray
    """Scores (num_resamples,)."""
    weights: np.ndarray
    """How often each counts."""


def _resampled(metric: TranslationMetric, counts: np.ndarray, num_resamples: int, seed: Seed) -> _Resampled:
    """The scores of resampled sentences: the same sentences for each system of one seed."""
    blocks = list(resamples(len(counts), num_resamples, seed))
    values = [_of(metric, counts[rows]) for picks, _ in blocks for rows in picks]
    return _Resampled(np.array(values), np.concatenate([weights for _, weights in blocks]))


def _middle(resampled: _Resampled, confidence: float) -> Interval:
    """The percentiles that leave out as much at each end (Efron and Tibshirani 1993, section 13.3)."""
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = weighted_quantiles(*resampled, tails)
    return Interval(float(low), float(high), confidence)


# What follows uses the parts of sacrebleu that its own significance tests use: a score is computed from sums of counts
# over sentences, so that a resample needs no new counting.


def _counts(metric: TranslationMetric, translations: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """What the score of a corpus is computed from, for each sentence: (N, numbers)."""
    if len(translations) != len(references) or not len(references):
        raise UsageError(
            f"{len(translations):,} translations and {len(references):,} references: give as many, and one at least."
        )
    return np.array(_sacrebleu(metric)._extract_corpus_statistics(list(translations), [list(references)]))


def _of(metric: TranslationMetric, counts: np.ndarray) -> float:
    """The score of sentences with these counts (N, numbers)."""
    return float(_sacrebleu(metric)._compute_score_from_stats(counts.sum(axis=0).tolist()).score)


@cache
def _sacrebleu(metric: TranslationMetric) -> Any:
    from sacrebleu.metrics.bleu import BLEU  # imported here: it costs every command a fifth of a second
    from sacrebleu.metrics.chrf import CHRF

    return {"bleu": BLEU, "chrf": CHRF}[metric]()
