"""Generated images against real ones: each score with its floor, the number of images and the features it stands on."""

from typing import Any

from etude.errors import UsageError
from etude.measure.subject import Subject
from etude.metrics import (
    authenticity,
    classifier_score,
    extrapolated_frechet_distance,
    frechet_distance,
    kernel_distance,
)

NUM_SUBSETS, SUBSET_SIZE = 100, 1000


def fid(subject: Subject) -> dict[str, Any]:
    """Fréchet distance."""
    _require_more_samples_than_features(subject, "fid")
    value = frechet_distance(subject.real.values, subject.generated.values)
    return _scored(subject, value, subject.floor(frechet_distance))


def fid_infinity(subject: Subject) -> dict[str, Any]:
    """Fréchet distance extrapolated to infinitely many samples."""
    _require_more_samples_than_features(subject, "fid_infinity", spare=1)

    def score(real: Any, generated: Any) -> float:
        return extrapolated_frechet_distance(real, generated, seed=subject.seed("extrapolate")).value

    return _scored(subject, score(subject.real.values, subject.generated.values), subject.floor(score))


def kid(subject: Subject) -> dict[str, Any]:
    """Kernel distance on standardised features; with few images that of the whole sets, not of subsets."""
    num_subsets = NUM_SUBSETS if subject.num_samples > SUBSET_SIZE else 1

    def score(real: Any, generated: Any) -> Any:
        return kernel_distance(
            real, generated, num_subsets=num_subsets, subset_size=SUBSET_SIZE, seed=subject.seed("kid")
        )

    result = score(subject.real.values, subject.generated.values)
    return {
        **_scored(subject, result.value, subject.floor(score).value),
        "standard_deviation": result.standard_deviation,
        "num_subsets": result.num_subsets,
        "subset_size": result.subset_size,
    }


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
    floor = authenticity(training, subject.real.values)
    return {**_scored(subject, authenticity(training, subject.generated.values), floor), "num_training": len(training)}


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
    return {**_scored(subject, score.value, floor.value), "standard_deviation": score.standard_deviation}


def _of_neighbours(subject: Subject, which: int, name: str) -> dict[str, Any]:
    scores, floors = subject.neighbours
    scored = _scored(subject, getattr(scores[which], name), getattr(floors[which], name))
    return {**scored, "nearest_k": scores[which].nearest_k}


def _scored(subject: Subject, value: float, floor: float) -> dict[str, Any]:
    return {
        "value": value,
        "floor": floor,
        "num_samples": subject.num_samples,
        "features": subject.feature_network.name,
    }


def _require_more_samples_than_features(subject: Subject, name: str, spare: int = 0) -> None:
    num_features, num_samples = subject.real.values.shape[1], subject.num_samples
    if num_samples <= num_features + spare:
        raise UsageError(
            f"{name} of {num_samples:,} images with {num_features:,} features each needs at least "
            f"{num_features + 1 + spare:,} images: give a larger --num-samples or more data, or measure kid, which "
            "works with few."
        )
