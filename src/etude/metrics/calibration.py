"""Do a classifier's probabilities mean what they say? And the remedy with one number: a temperature.

Logits are (num_samples, num_classes), any numbers whose softmax is the prediction; labels are class indices
(num_samples,). All sums run in float64. Guo et al. 2017, "On calibration of modern neural networks".
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from etude.errors import UsageError
from etude.metrics.arguments import Array, Seed, as_numbers, class_scores, generator_of, require_count
from etude.metrics.spread import jackknife_error


def negative_log_likelihood(logits: Array, labels: Array) -> float:
    """Mean of -log p(label) in nats, 0 or more; log(num_classes) for a classifier that knows nothing."""
    scores, indices = class_scores(logits, labels)
    return float(-scores.log_softmax(dim=1).gather(1, indices[:, None]).mean())


def brier_score(logits: Array, labels: Array) -> float:
    """Mean over samples of the squared error summed over all classes, in [0, 2] (Brier 1950, eq. 2)."""
    return float(brier_scores(logits, labels).mean())


def brier_scores(logits: Array, labels: Array) -> np.ndarray:
    """The squared error of each sample's probabilities, summed over all classes, (num_samples,), in [0, 2]."""
    scores, indices = class_scores(logits, labels)
    error = scores.softmax(dim=1) - torch.nn.functional.one_hot(indices, scores.shape[1])
    return error.square().sum(dim=1).numpy()


@dataclass(frozen=True)
class Reliability:
    """The data of a reliability diagram, one entry per bin of confidence, and the error over all bins in [0, 1].

    `edges` has num_bins + 1 entries from 0 to 1; `confidence` and `accuracy` are NaN for an empty bin.
    `standard_error` is that of the error, over other samples (NaN for a single one).
    """

    expected_calibration_error: float
    standard_error: float
    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(logits: Array, labels: Array, *, num_bins: int = 15) -> Reliability:
    """Expected calibration error and reliability diagram of the predicted class (Guo et al. 2017, eq. 2-3).

    Σ over bins of count / N · |accuracy - confidence|, bins of equal width on the confidence max p. A confidence on an
    edge belongs to the bin above it, as in torchmetrics; 1 belongs to the last bin. The absolute value makes the error
    too large on few samples; `calibration_floor` says by how much. The standard error is the jackknife's, since a
    bootstrap would add that bias again.
    """
    scores, indices = class_scores(logits, labels)
    require_count("num_bins", num_bins, 1, 10_000, "1 to 10,000")
    confidences, predicted = (column.numpy() for column in scores.softmax(dim=1).max(dim=1))
    right = (predicted == indices.numpy()).astype(np.float64)
    edges, bins = _bins(confidences, num_bins)
    count = np.bincount(bins, minlength=num_bins)
    sum_confidence = np.bincount(bins, weights=confidences, minlength=num_bins)
    sum_right = np.bincount(bins, weights=right, minlength=num_bins)
    gaps = sum_right - sum_confidence  # (num_bins,)
    error, num_samples = np.abs(gaps).sum() / len(bins), len(bins)
    standard_error = math.nan
    if num_samples > 1:
        changes = np.abs(gaps[bins] - (right - confidences)) - np.abs(gaps[bins])  # with each sample left out
        standard_error = jackknife_error((error * num_samples + changes) / (num_samples - 1))
    per_bin = np.where(count > 0, count, np.nan)
    return Reliability(float(error), standard_error, edges, count, sum_confidence / per_bin, sum_right / per_bin)


def calibration_floor(logits: Array, *, num_bins: int = 15, num_simulations: int = 200, seed: Seed = 0) -> float:
    """The expected calibration error of a perfectly calibrated classifier with these confidences and sample count.

    Labels are drawn `num_simulations` times from the classifier's own probabilities. For `reliability` it only matters
    whether the predicted class is right, which it is with a probability equal to its confidence. Returns the mean: what
    chance alone gives, such as 0.05 at 300 samples of middling confidence.
    """
    logits = as_numbers("logits", logits)
    scores, _ = class_scores(logits, np.zeros(len(logits), np.int64))
    require_count("num_bins", num_bins, 1, 10_000, "1 to 10,000")
    require_count("num_simulations", num_simulations, 1, 1_000_000, "1 to 1,000,000")
    confidences = scores.softmax(dim=1).amax(dim=1).numpy()
    _, bins = _bins(confidences, num_bins)
    generator, total = generator_of(seed), 0.0
    for _ in range(num_simulations):
        right = torch.rand(len(bins), generator=generator, dtype=torch.float64).numpy() < confidences
        total += np.abs(np.bincount(bins, weights=right - confidences, minlength=num_bins)).sum()
    return float(total / num_simulations / len(bins))


def _bins(confidences: np.ndarray, num_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges of the bins (num_bins + 1,), and the bin of each confidence, (num_samples,)."""
    edges = np.linspace(0, 1, num_bins + 1)
    return edges, (np.searchsorted(edges, confidences, side="right") - 1).clip(max=num_bins - 1)


def fit_temperature(validation_logits: Array, validation_labels: Array) -> float:
    """The T > 0 for which softmax(logits / T) has the least negative log-likelihood (Guo et al. 2017, eq. 9).

    Fit it on validation data, never on the test split. Above 1 the classifier was too sure, below 1 not sure enough.
    Its predictions stay the same. The likelihood is concave in 1 / T, so the root of its slope is the one optimum.
    If no finite T is best, this raises a `UsageError`.
    """
    scores, indices = class_scores(validation_logits, validation_labels)
    of_label = scores.gather(1, indices[:, None]).squeeze(1)
    if bool((of_label == scores.amax(dim=1)).all()):
        raise UsageError(
            f"no temperature fits: all {len(scores):,} validation labels have the largest logit, so the colder the "
            "better; use more validation samples."
        )

    def slope(inverse: float) -> float:
        """Derivative of the mean negative log-likelihood by 1 / T: expected logit minus the label's. It rises."""
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
