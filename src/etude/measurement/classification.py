"""How often a classifier is right on the test images, and whether its probabilities mean what they say."""

from typing import Any

import numpy as np
import torch

from etude.errors import UsageError
from etude.measurement.likelihood import mean_of, share_of
from etude.measurement.results import Result
from etude.measurement.subject import Subject
from etude.metrics import (
    brier_scores,
    calibration_floor,
    class_accuracy,
    confusion_matrix,
    fit_temperature,
    negative_log_likelihood,
    reliability,
    top_k_accuracy,
    worst_class_by_chance,
)
from etude.metrics.spread import effective_share_interval, error_interval


def accuracy(subject: Subject) -> dict[str, Any]:
    """Share of images classified rightly."""
    return share_of(top_k_accuracy(subject.logits, subject.measured.labels, k=1), subject.num_samples)


def accuracy_of_top_k(subject: Subject) -> dict[str, Any]:
    """Share of images whose class is among the best few; three, or fewer where there are few classes."""
    k = max(1, min(3, subject.num_classes - 1))
    share = top_k_accuracy(subject.logits, subject.measured.labels, k=k)
    return {**share_of(share, subject.num_samples), "k": k}


def about_top_k(result: Result) -> str:
    """How many classes count as the best few."""
    return f"k = {result['k']}"


def accuracy_of_classes(subject: Subject) -> dict[str, Any]:
    """Accuracy of each class; the value is that of the worst.

    A minimum of noisy shares lies below the true minimum on average, so its floor is what the minimum would be were all
    classes equally hard. Its interval holds the least true accuracy of any class: from the lowest of the classes'
    lower limits to the lowest of their upper ones, each class at 1 - 5 % / classes (Bonferroni).
    """
    confusion = confusion_matrix(subject.logits, subject.measured.labels)
    shares, totals = class_accuracy(confusion), confusion.sum(axis=1)
    classes = {
        name: share_of(float(share), int(total)) if total else None
        for name, share, total in zip(subject.run.class_names, shares, totals, strict=True)
    }
    worst, measured = int(np.nanargmin(shares)), np.flatnonzero(totals)
    intervals = [
        effective_share_interval(float(shares[each]), int(totals[each]), confidence=1 - 0.05 / len(measured))
        for each in measured
    ]
    return {
        "value": float(shares[worst]),
        "interval": [min(each.low for each in intervals), min(each.high for each in intervals)],
        "floor": worst_class_by_chance(confusion),
        "num_samples": int(totals[worst]),
        "num_classes": len(measured),
        "worst": subject.run.class_names[worst],
        "classes": classes,
        "confusion": confusion.tolist(),
    }


def about_classes(result: Result) -> str:
    """Which class is the worst, and what the floor is."""
    return f"minimum of {result['num_classes']} classes, {result['worst']}; floor: were all equally hard"


def nll_nats(subject: Subject) -> dict[str, Any]:
    """Mean of -log p(label)."""
    logits, labels = subject.logits.double(), subject.measured.labels
    return mean_of(-logits.log_softmax(dim=1).gather(1, labels[:, None]).squeeze(1))


def brier(subject: Subject) -> dict[str, Any]:
    """Brier score."""
    return mean_of(torch.from_numpy(brier_scores(subject.logits, subject.measured.labels)))


def calibration_error(subject: Subject) -> dict[str, Any]:
    """Expected calibration error, with the reliability diagram's numbers; its floor is that of calibrated labels."""
    result = reliability(subject.logits, subject.measured.labels)
    error = result.expected_calibration_error
    interval = error_interval(error, result.standard_error, degrees=subject.num_samples - 1)
    return {
        "value": error,
        "interval": [max(0.0, interval.low), interval.high],
        "floor": calibration_floor(subject.logits, seed=subject.seed("calibrated")),
        "num_samples": subject.num_samples,
        "edges": result.edges.tolist(),
        "count": result.count.tolist(),
        "confidence": result.confidence.tolist(),
        "accuracy": result.accuracy.tolist(),
    }


def about_calibration(_: Result) -> str:
    """What the floor is."""
    return "floor: labels drawn from its own probabilities"


def temperature(subject: Subject) -> dict[str, Any]:
    """The temperature that fits the validation images best, and what it does to the test images."""
    if subject.settings.split == "validation":
        raise UsageError("temperature is fitted on a validation split: leave it or --split validation out.")
    validation = subject.splits.validation
    if not len(validation):
        raise UsageError(
            f"temperature is fitted on a validation split, run {subject.run.name} held none out: train with "
            "--validation-images, or leave temperature out."
        )
    value = fit_temperature(subject.run.logits(subject.examples(validation)), validation.labels)
    cooled = subject.logits.double() / value
    return {
        "value": value,
        "num_samples": len(validation),
        "fitted_on": "validation",
        "test_nll_nats": negative_log_likelihood(cooled, subject.measured.labels),
        "test_ece": reliability(cooled, subject.measured.labels).expected_calibration_error,
    }


def about_temperature(result: Result) -> str:
    """What the temperature does to the test images."""
    return f"fitted on validation; test nll {result['test_nll_nats']:.3g}, ece {result['test_ece']:.2g} with it"
