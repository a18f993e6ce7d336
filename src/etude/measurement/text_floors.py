"""What linear classifiers on the words of the same sentences reach: the floor of a network that reads them.

They learn from all sentences that the run does not test on. The network has fewer: it chooses by the validation ones.
"""

from typing import Any

import numpy as np

from etude.errors import UsageError
from etude.measurement.likelihood import share_of
from etude.measurement.results import Result
from etude.measurement.subject import Subject
from etude.metrics.bag_of_words import naive_bayes, nbsvm

CHOICES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Of which the validation sentences choose the weight of a support vector machine's errors."""


def naive_bayes_accuracy(subject: Subject) -> dict[str, Any]:
    """Share of sentences that naive Bayes on words classifies correctly."""
    texts, labels = _all_but_test(subject)
    return _share(subject, naive_bayes(texts, labels, subject.measured.texts["text"]), num_train=len(texts))


def nbsvm_accuracy(subject: Subject) -> dict[str, Any]:
    """Share of sentences that NBSVM on words and pairs of words classifies correctly."""
    train, validation = subject.splits.train, subject.splits.validation
    c = 1.0
    if len(validation):
        seen, labels = train.texts["text"], train.labels.numpy()
        right = [
            (nbsvm(seen, labels, validation.texts["text"], c=each) == validation.labels.numpy()).mean()
            for each in CHOICES
        ]
        c = CHOICES[int(np.argmax(right))]
    texts, labels = _all_but_test(subject)
    return {**_share(subject, nbsvm(texts, labels, subject.measured.texts["text"], c=c), num_train=len(texts)), "c": c}


def about_training(result: Result) -> str:
    """What it learned from."""
    return f"learned from {result['num_train']:,} sentences"


def _all_but_test(subject: Subject) -> tuple[list[str], np.ndarray]:
    """The sentences that the run trained on and chose by, with their labels."""
    if subject.settings.split == "validation":
        raise UsageError(
            "naive_bayes and nbsvm learn from the validation sentences too: leave them or --split validation out."
        )
    splits = (subject.splits.train, subject.splits.validation)
    texts = [text for split in splits for text in split.texts["text"]]
    return texts, np.concatenate([split.labels.numpy() for split in splits])


def _share(subject: Subject, predicted: np.ndarray, *, num_train: int) -> dict[str, Any]:
    right = float((predicted == subject.measured.labels.numpy()).mean())
    return {**share_of(right, subject.num_samples), "num_train": num_train}
