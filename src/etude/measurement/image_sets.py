"""Generated images against real ones: each score with its interval, its floor, and the features it stands on.

The intervals are over other generated and other real images; see `etude.metrics.spread` for how.
"""

import math
from typing import Any

from etude.errors import UsageError
from etude.measurement.results import Result
from etude.measurement.subject import Subject
from etude.metrics import (
    authenticity,
    classifier_score,
    complete_kernel_distance,
    copy_rate,
    frechet_distance,
    frechet_error,
)
from etude.metrics.fid import FEWEST_PER_FEATURE, extrapolate
from etude.metrics.intervals import Interval
from etude.metrics.spread import effective_share_interval, error_interval, halving_error

NUM_HALVINGS = 10
SHOWN_PAIRS = 16
SUSPICIOUS = 0.01
"""The p-value below which a copy rate is called one."""


def fid(subject: Subject) -> dict[str, Any]:
    """Fréchet distance."""
    _require_more_samples_than_features(subject, "fid")
    value = frechet_distance(subject.real.values, subject.generated.values)
    standard_error = frechet_error(subject.real.values, subject.generated.values)
    interval = error_interval(value, standard_error, degrees=subject.num_samples - 1)
    return _scored(subject, value, _from_zero(interval), subject.floor(frechet_distance))


def fid_infinity(subject: Subject) -> dict[str, Any]:
    """Fréchet distance extrapolated to infinitely many samples."""
    num_features, num_samples = subject.real.values.shape[1], subject.num_samples
    if num_samples < FEWEST_PER_FEATURE * num_features:
        raise UsageError(
            f"fid_infinity of {num_samples:,} images with {num_features:,} features each needs at least "
            f"{FEWEST_PER_FEATURE * num_features:,} images: give a larger --num-samples or more data, or measure kid, "
            "which has no bias to take off."
        )

    def score(real: Any, generated: Any) -> Any:
        return extrapolate(real, generated, seed=subject.seed("extrapolate")).value

    value = score(subject.real.values, subject.generated.values)
    error = halving_error(
        score, subject.real.values, subject.generated.values, seed=subject.seed("halves"), num_halvings=NUM_HALVINGS
    ).item()
    return _scored(subject, value, error_interval(value, error, degrees=NUM_HALVINGS), subject.floor(score))


def kid(subject: Subject) -> dict[str, Any]:
    """Kernel distance of all images on standardised features."""
    result = complete_kernel_distance(subject.real.values, subject.generated.values)
    interval = error_interval(result.value, result.standard_error, degrees=subject.num_samples - 1)

    def score(real: Any, generated: Any) -> float:
        return complete_kernel_distance(real, generated, with_error=False).value

    return _scored(subject, result.value, interval, subject.floor(score))


def precision(subject: Subject) -> dict[str, Any]:
    """Share of generated images inside the real manifold."""
    return _of_neighbours(subject, 0, "precision")


def recall(subject: Subject) -> dict[str, Any]:
    """Share of real images inside the generated manifold."""
    return _of_neighbours(subject, 0, "recall")


def density(subject: Subject) -> dict[str, Any]:
    """How densely generated images lie around real ones."""
    return _of_neighbours(subject, 1, "density")


def coverage(subject: Subject) -> dict[str, Any]:
    """Share of real images with a generated one nearby."""
    return _of_neighbours(subject, 1, "coverage")


def share_of_own(subject: Subject) -> dict[str, Any]:
    """Share of generated images that copy no training image; its floor is that of the test images, copies of none."""
    training = subject.training.values
    floor, value = (authenticity(training, each.values) for each in (subject.real, subject.generated))
    interval = effective_share_interval(
        value, subject.num_samples
    )  # the images are independent, the training set given
    return {**_scored(subject, value, interval, floor), "num_training": len(training)}


def share_of_copies(subject: Subject) -> dict[str, Any]:
    """Share of generated images nearer to a training image than the nearest 1 % of test images, and the nearest."""
    generated = subject.nearest_to_generated
    rate = copy_rate(subject.nearest_to_real.distance, generated.distance)
    interval = effective_share_interval(rate.value, subject.num_samples)
    note = None
    if rate.p_value < SUSPICIOUS:
        note = (
            f"copy_rate: {round(rate.value * subject.num_samples):,} of {subject.num_samples:,} generated images are "
            f"nearer to a training image than the nearest {rate.expected:.1%} of test images are: "
            f"`etude figure {subject.run.name} copies` shows them."
        )
    nearest = generated.distance.argsort(kind="stable")[:SHOWN_PAIRS]
    return {
        "value": rate.value,
        "interval": _limits(interval),
        "floor": rate.expected,
        "num_samples": subject.num_samples,
        "num_training": len(subject.splits.train),
        "threshold": rate.threshold,
        "p_value": rate.p_value,
        "nearest": [
            {
                "generated": int(index),
                "training": int(generated.index[index]),
                "distance": float(generated.distance[index]),
            }
            for index in nearest
        ],
        "note": note,
    }


def about_copies(_: Result) -> str:
    """What counts as a copy."""
    return "nearer to a training image than 1 % of test images are"


def score_of_classifier(subject: Subject) -> dict[str, Any]:
    """Classifier score; its floor is the score of the real images themselves."""
    logits = subject.generated.logits
    if logits is None:
        raise UsageError(
            f"classifier_score needs a classifier, --features {subject.settings.features} is none: take --features "
            "auto, or leave classifier_score out."
        )
    real = subject.real.logits
    assert real is not None
    score = classifier_score(logits, seed=subject.seed("splits"))
    floor = classifier_score(real, seed=subject.seed("splits"))
    degrees = score.num_splits - 1  # the splits are independent; their deviation is that of 1/n
    interval = error_interval(score.value, score.standard_deviation / math.sqrt(degrees), degrees=degrees)
    return {
        **_scored(subject, score.value, interval, floor.value),
        "standard_deviation": score.standard_deviation,
    }


def _of_neighbours(subject: Subject, which: int, name: str) -> dict[str, Any]:
    neighbours = subject.neighbours
    value, error = getattr(neighbours.scores[which], name), neighbours.standard_errors[name]
    if name == "density":
        # Where no ball was ever hit there is no scatter to learn from.
        interval = _from_zero(error_interval(value, error, degrees=NUM_HALVINGS)) if error else None
    else:
        interval = effective_share_interval(value, subject.num_samples, standard_error=error, degrees=NUM_HALVINGS)
    scored = _scored(subject, value, interval, getattr(neighbours.floors[which], name))
    return {**scored, "nearest_k": neighbours.scores[which].nearest_k, "note": neighbours.note}


def _scored(subject: Subject, value: float, interval: Interval | None, floor: float) -> dict[str, Any]:
    return {
        "value": value,
        "interval": _limits(interval) if interval else None,
        "floor": floor,
        "num_samples": subject.num_samples,
        "features": subject.feature_network.name,
    }


def _limits(interval: Interval) -> list[float]:
    return [interval.low, interval.high]


def _from_zero(interval: Interval) -> Interval:
    """The interval of a score that is never below 0."""
    return Interval(max(0.0, interval.low), interval.high, interval.confidence)


def _require_more_samples_than_features(subject: Subject, name: str) -> None:
    num_features, num_samples = subject.real.values.shape[1], subject.num_samples
    if num_samples <= num_features:
        raise UsageError(
            f"{name} of {num_samples:,} images with {num_features:,} features each needs at least "
            f"{num_features + 1:,} images: give a larger --num-samples or more data, or measure kid, which works with "
            "few."
        )
