"""What a representation knows about the classes: simple classifiers on top of it ("can latents tell digits apart?").

Both return scores (num_test, num_classes) for `accuracy` and similar functions. Alain and Bengio 2017, "Understanding
intermediate layers using linear classifier probes".
"""

import warnings

import numpy as np

from etude.errors import UsageError
from etude.metrics.arguments import Array, as_numbers, class_labels, feature_matrix, require_count


def linear_probe(train: Array, labels: Array, test: Array, *, num_classes: int) -> np.ndarray:
    """Log-probabilities (num_test, num_classes) of multinomial logistic regression fitted on `train`.

    `train` and `test` are latents (num_samples, latent_dim), `labels` those of `train`. Latents are standardised by
    the training rows; weight decay is scikit-learn's default (C = 1). What it gets right is linearly readable.
    """
    from sklearn.exceptions import ConvergenceWarning  # imported here: it costs every command over a second
    from sklearn.linear_model import LogisticRegression

    train, indices, test = _check(train, labels, test, num_classes)
    if len(np.unique(indices)) < 2:
        raise UsageError("labels holds a single class; a linear probe needs at least two among its training labels.")
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1
    probe = LogisticRegression(max_iter=2000)
    with warnings.catch_warnings():
        # The result after 2,000 iterations is a fair probe, and a person can do nothing about it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit((train - mean) / deviation, indices)
    scores = np.full((len(test), num_classes), -1e9)  # a class never seen is never predicted
    scores[:, probe.classes_] = np.maximum(probe.predict_log_proba((test - mean) / deviation), -1e8)
    return scores


def ridge_probe(train: Array, test: Array, *, targets: Array) -> np.ndarray:
    """Numbers (num_test, num_targets) read from latents by ridge regression, fitted to `targets` of the training rows.

    `train` and `test` are latents (num_samples, latent_dim), standardised by the training rows; the penalty, one for
    all targets, is chosen by leaving each training row out in turn.
    """
    from sklearn.linear_model import RidgeCV  # imported here: it costs every command over a second

    train, test, wanted = (
        feature_matrix("train", train),
        feature_matrix("test", test),
        feature_matrix("targets", targets),
    )
    if len(wanted) != len(train) or train.shape[1] != test.shape[1]:
        raise UsageError(
            f"train of {train.shape}, targets of {wanted.shape}, test of {test.shape}; allowed: (n, d), (n, t), (m, d)."
        )
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1
    probe = RidgeCV(alphas=np.logspace(-1, 5, 7)).fit((train - mean) / deviation, wanted)
    return probe.predict((test - mean) / deviation).reshape(len(test), wanted.shape[1])


def nearest_neighbours_probe(
    train: Array, labels: Array, test: Array, *, num_classes: int, nearest_k: int = 10
) -> np.ndarray:
    """Share of each class among the k nearest training latents by Euclidean distance, (num_test, num_classes).

    If it is right where `linear_probe` is not, classes lie in clusters that no line separates.
    """
    from sklearn.neighbors import KNeighborsClassifier

    train, indices, test = _check(train, labels, test, num_classes)
    require_count("nearest_k", nearest_k, 1, len(train), f"1 to the number of training samples, {len(train):,}")
    probe = KNeighborsClassifier(nearest_k).fit(train, indices)
    scores = np.zeros((len(test), num_classes))
    scores[:, probe.classes_] = probe.predict_proba(test)
    return scores


def _check(train: Array, labels: Array, test: Array, num_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    train, test = feature_matrix("train", train), feature_matrix("test", test)
    if train.shape[1] != test.shape[1]:
        raise UsageError(f"train has {train.shape[1]} latents, test has {test.shape[1]}: take both from one encoder.")
    require_count("num_classes", num_classes, 2, float("inf"), "2 or more")
    return train, class_labels(as_numbers("labels", labels), len(train), num_classes).numpy(), test
