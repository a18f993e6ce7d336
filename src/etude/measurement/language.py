"""How well a language model tells the next symbols of a text."""

import math
from typing import Any

import torch
from torch import Tensor

from etude.data import RunningText
from etude.measurement.results import Result
from etude.measurement.subject import Subject
from etude.metrics import mean_over_text, ngram_nats

NGRAM_ORDER = 5


def nats_per_character(subject: Subject) -> dict[str, Any]:
    """Mean of −log p(symbol) per character; the floor is what a 5-gram model reaches that only counts."""
    told, (characters, _) = subject.told, _lengths(subject)
    found = _mean(subject, told.nats, characters)
    if "answers" in subject.split.columns:
        return found
    floors = {order: _counted(subject, order) / characters.sum().item() for order in (1, NGRAM_ORDER)}
    return {**found, "floor": floors[NGRAM_ORDER], "unigram": floors[1], "ngram_order": NGRAM_ORDER}


def bits_per_byte(subject: Subject) -> dict[str, Any]:
    """Mean of −log₂ p(symbol) per byte of UTF-8."""
    return _mean(subject, subject.told.nats / math.log(2), _lengths(subject)[1])


def perplexity(subject: Subject) -> dict[str, Any]:
    """e to the mean of −log p(symbol)."""
    found = _mean(subject, subject.told.nats, torch.ones_like(subject.told.nats))
    low, high = found["interval"]
    return {**found, "value": math.exp(found["value"]), "interval": [math.exp(low), math.exp(high)]}


def accuracy(subject: Subject) -> dict[str, Any]:
    """Share of symbols that are the most likely ones."""
    right = subject.told.right.double()
    return _mean(subject, right, torch.ones_like(right))


def about_nats(result: Result) -> str:
    """What is counted."""
    if result.floor is None:
        return ""
    return f"floor: a {result['ngram_order']}-gram model; single symbols {result['unigram']:.3g}"


def _mean(subject: Subject, values: Tensor, lengths: Tensor) -> dict[str, Any]:
    value, interval = mean_over_text(values, lengths, seed=subject.seed("text"))
    return {"value": value, "interval": [interval.low, interval.high], "num_samples": len(values)}


def _lengths(subject: Subject) -> tuple[Tensor, Tensor]:
    """Characters and bytes of each symbol that was told, (M,) each."""
    kind = subject.run.kind
    assert isinstance(kind, RunningText)
    characters, size = kind.lengths(subject.split["targets"][subject.told.rows]).double().unbind(dim=1)
    return characters, size


def _counted(subject: Subject, order: int) -> float:
    """Nats of the whole text by n-grams of the training text."""
    kind = subject.run.kind
    assert isinstance(kind, RunningText)
    train, told = subject.splits.train["targets"], subject.split["targets"]
    return float(ngram_nats(train, told, num_symbols=len(kind.vocabulary), order=order).sum())
