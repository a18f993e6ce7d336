"""What an autoencoder's latents do: which are used, whether together they look like the prior, what they know."""

from collections.abc import Callable
from typing import Any

import numpy as np

from etude.measurement.likelihood import share_of
from etude.measurement.results import Result
from etude.measurement.subject import Subject
from etude.metrics import accuracy, linear_probe, nearest_neighbours_probe
from etude.metrics import active_latents as find_active
from etude.metrics import aggregate_posterior as compare_with_prior

LABEL_NOTE = "the encoder of a cvae is given the label: a probe shows what its latents keep of it all the same."


def active_latents(subject: Subject) -> dict[str, Any]:
    """How many latents carry information."""
    active = find_active(subject.encodings[0])
    return {
        "value": int(active.sum()),
        "num_latents": len(active),
        "active": active.tolist(),
        "num_samples": subject.num_samples,
    }


def about_active(result: Result) -> str:
    """How many latents there are."""
    return f"of {result['num_latents']} latents"


def aggregate_posterior(subject: Subject) -> dict[str, Any]:
    """The latents of all images together against the prior: the largest Kolmogorov-Smirnov distance of a latent."""
    result = compare_with_prior(*subject.encodings, seed=subject.seed("aggregate"))
    return {
        "value": float(result.distance.max()),
        "distance": result.distance.tolist(),
        "p_value": result.p_value.tolist(),
        "mean": result.mean.tolist(),
        "variance": result.variance.tolist(),
        "num_different": int(result.differs().sum()),
        "num_samples": subject.num_samples,
    }


def about_aggregate(result: Result) -> str:
    """How many latents differ from the prior."""
    return f"{result['num_different']} of {len(result['distance'])} latents differ from the prior at 5 %"


def linear_accuracy(subject: Subject) -> dict[str, Any]:
    """Accuracy of a logistic regression on the latents."""
    return _probe(subject, linear_probe)


def neighbours_accuracy(subject: Subject) -> dict[str, Any]:
    """Accuracy of the ten nearest neighbours in the latent space."""
    return _probe(subject, nearest_neighbours_probe)


def about_probe(result: Result) -> str:
    """What the probe was fitted on."""
    return f"on latents of {result['num_train']:,} training images"


def _probe(subject: Subject, probe: Callable[..., np.ndarray]) -> dict[str, Any]:
    train_labels = subject.train_sample.labels
    scores = probe(subject.train_encodings[0], train_labels, subject.encodings[0], num_classes=subject.num_classes)
    return {
        **share_of(accuracy(scores, subject.measured.labels), subject.num_samples),
        "num_train": len(train_labels),
        "note": LABEL_NOTE if subject.run.conditional else None,
    }
