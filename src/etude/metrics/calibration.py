"""Whether a classifier's probabilities mean what they say, and the one-number remedy: a temperature.

Logits are (num_samples, num_classes), any numbers whose softmax is the prediction; labels are class indices
(num_samples,). All sums run in float64. Guo et al. 2017, "On calibration of modern neural networks".
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from etude.errors import UsageError
from etude.metrics.arguments import Array, class_scores, require_range


def negative_log_likelihood(logits: Array, labels: Array) -> float:
    """Mean of -log p(label) in nats, 0 or more; log(num_classes) for a classifier that knows nothing."""
    scores, indices = class_scores(logits, labels)
    return float(-scores.log_softmax(dim=1).gather(1, indices[:, None]).mean())


def brier_score(logits: Array, labels: Array) -> float:
    """Mean over samples of the squared error summed over all classes, in [0, 2] (Brier 1950, eq. 2)."""
    scores, indices = class_scores(logits, labels)
    error = scores.softmax(dim=1) - torch.nn.functional.one_hot(indices, scores.shape[1])
    return float(error.square().sum(dim=1).mean())


@dataclass(frozen=True)
class Reliability:
    """The data of a reliability diagram, one entry a bin of confidence, and the error over all bins in [0, 1].

    `edges` has num_bins + 1 entries from 0 to 1; `confidence` and `accuracy` are NaN where a bin is empty.
    """

    expected_calibration_error: float
    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(logits: Array, labels: Array, *, num_bins: int = 15) -> Reliability:
    """Expected calibration error and reliability diagram of the predicted class (Guo et al. 2017, eq. 2-3).

    Σ over bins of count / N · |accuracy - confidence|, bins of equal width on the confidence max p. A confidence on an
    edge belongs to the bin above it, as in torchmetrics; 1 belongs to the last bin.
    """
    scores, indices = class_scores(logits, labels)
    require_range("num_bins", num_bins, 1, 10_000, "1 to 10,000")
    confidences, predicted = (column.numpy() for column in scores.softmax(dim=1).max(dim=1))
    edges = np.linspace(0, 1, num_bins + 1)
    bins = (np.searchsorted(edges, confidences, side="right") - 1).clip(max=num_bins - 1)
    count = np.bincount(bins, minlength=num_bins)
    sum_confidence = np.bincount(bins, weights=confidences, minlength=num_bins)
    sum_right = np.bincount(bins, weights=predicted == indices.numpy(), minlength=num_bins)
    error = np.abs(sum_right - sum_confidence).sum() / len(bins)
    per_bin = np.where(count > 0, count, np.nan)
    return Reliability(float(error), edges, count, sum_confidence / per_bin, sum_right / per_bin)


def fit_temperature(validation_logits: Array, validation_labels: Array) -> float:
    """The T > 0 for which softmax(logits / T) has the least negative log-likelihood (Guo et al. 2017, eq. 9).

    Fit it on validation data, never on the test split. Above 1 the classifier was too sure, below 1 too timid; its
    predictions stay the same. The likelihood is concave in 1 / T, so the root of its slope is the one optimum;
    there is none when no finite T is best, which is a `UsageError`.
    """
    scores, indices = class_scores(validation_logits, validation_labels)
    of_label = scores.gather(1, indices[:, None]).squeeze(1)
    if bool((of_label == scores.amax(dim=1)).all()):
        raise UsageError(
            f"no temperature fits: all {len(scores):,} validation labels have the largest logit, so the colder the "
            "better; use more validation samples."
        )

    def slope(inverse: float) -> float:
        """Derivative of the mean negative log-likelihood by 1 / T: expected logit less the label's; it rises."""
        expected = ((scores * inverse).softmax(dim=1) * scores).sum(dim=1)
        return float((expected - of_label).mean())

    if slope(0.0) >= 0:
        raise UsageError(
            "no temperature fits: the logits are no better than chance on the validation labels, so the hotter the "
            "better; check that logits and labels belong together."
        )
    low, high = 0.0, 1.0
    while slope(high) < 0:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if not low < middle < high:
            break
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / math.fsum((low / 2, high / 2))
