"""How good a translator's translations are, and how likely it finds the references."""

import math
from typing import Any

from etude.measurement.results import Result
from etude.measurement.subject import Subject
from etude.metrics import bleu, chrf
from etude.metrics.translation import TranslationScore, bleu_by_length, ratio_of_sums


def bleu_score(subject: Subject) -> dict[str, Any]:
    """BLEU of the measured sentences."""
    return _result(subject, bleu(*_texts(subject), seed=subject.seed("translation")))


def chrf_score(subject: Subject) -> dict[str, Any]:
    """chrF of the measured sentences."""
    return _result(subject, chrf(*_texts(subject), seed=subject.seed("translation")))


def bleu_of_long_sentences(subject: Subject) -> dict[str, Any]:
    """BLEU of the longest sentences, and of each length's."""
    lengths = (subject.measured["source"] != 0).sum(1) - 1  # without the end
    bins = bleu_by_length(*_texts(subject), lengths.tolist(), seed=subject.seed("translation"))
    shown = [
        {
            "shortest": each.shortest,
            "longest": each.longest,
            "num_samples": each.num_sentences,
            "value": each.score.value,
            "interval": [each.score.interval.low, each.score.interval.high],
        }
        for each in bins
    ]
    return {
        **shown[-1],
        "mean_length": lengths.double().mean().item(),
        "signature": bins[-1].score.signature,
        "bins": shown,
    }


def perplexity(subject: Subject) -> dict[str, Any]:
    """e to the mean of −log p over all tokens of the references, each after the right ones (teacher forcing)."""
    scores = subject.token_scores
    sums, counts = scores.nats.sum(1).numpy(), scores.real.sum(1).numpy()
    value, interval = ratio_of_sums(sums, counts, seed=subject.seed("translation"))
    return {
        "value": math.exp(value),
        "interval": [math.exp(interval.low), math.exp(interval.high)],
        "nats_per_token": value,
        "num_tokens": int(counts.sum()),
        "num_samples": len(counts),
    }


def token_accuracy(subject: Subject) -> dict[str, Any]:
    """Share of the references' tokens that are the most likely ones after the right tokens before them."""
    scores = subject.token_scores
    sums, counts = (scores.right & scores.real).sum(1).numpy(), scores.real.sum(1).numpy()
    value, interval = ratio_of_sums(sums, counts, seed=subject.seed("translation"))
    return {"value": value, "interval": [interval.low, interval.high], "num_samples": len(counts)}


def about_score(result: Result) -> str:
    """How it was computed."""
    return result["signature"]


def about_long(result: Result) -> str:
    """What is long."""
    low, high, mean = (result[key] for key in ("shortest", "longest", "mean_length"))
    return f"sources of {low} to {high} tokens; the mean has {mean:.3g}"


def about_perplexity(result: Result) -> str:
    """As a loss."""
    return f"{result['nats_per_token']:.3g} nats per token, each after the right ones"


def _texts(subject: Subject) -> tuple[list[str], list[str]]:
    return subject.translations, list(subject.measured.texts["target"])


def _result(subject: Subject, score: TranslationScore) -> dict[str, Any]:
    return {
        "value": score.value,
        "interval": [score.interval.low, score.interval.high],
        "num_samples": len(subject.translations),
        "signature": score.signature,
    }
