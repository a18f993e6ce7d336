"""How often a classifier is right (overall, per class, among its best k), and which classes it confuses.

Scores are (num_samples, num_classes), larger for likelier classes, logits or probabilities. Labels are class indices
(num_samples,). If scores are equal, the class with the lower index wins. So a classifier that gives all classes the
same score predicts class 0 and is not right by accident.
"""

import numpy as np
import torch
from scipy.special import betainc

from etude.metrics.arguments import Array, class_scores, require_count


def accuracy(scores: Array, labels: Array) -> float:
    """Share of samples whose largest score is at their label, in [0, 1]. `share_interval` gives its error bar."""
    return top_k_accuracy(scores, labels, k=1)


def top_k_accuracy(scores: Array, labels: Array, *, k: int) -> float:
    """Share of samples whose label is among the k largest scores, in [0, 1]; 1 at k = num_classes."""
    checked, indices = class_scores(scores, labels)
    num_classes = checked.shape[1]
    require_count("k", k, 1, num_classes, f"1 to the number of classes, {num_classes}")
    of_label = checked.gather(1, indices[:, None])  # (num_samples, 1)
    lower_index = torch.arange(num_classes) < indices[:, None]
    ahead = (checked > of_label) | ((checked == of_label) & lower_index)  # (num_samples, num_classes)
    return float((ahead.sum(dim=1) < k).double().mean())


def confusion_matrix(scores: Array, labels: Array) -> np.ndarray:
    """Counts (num_classes, num_classes): row the label, column the predicted class, int64."""
    checked, indices = class_scores(scores, labels)
    num_classes = checked.shape[1]
    predicted = checked.argmax(dim=1)
    counts = torch.bincount(indices * num_classes + predicted, minlength=num_classes**2)
    return counts.view(num_classes, num_classes).numpy()


def class_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of each class's samples predicted right, (num_classes,), from a `confusion_matrix`; NaN without samples."""
    totals = confusion.sum(axis=1)
    return np.where(totals > 0, confusion.diagonal() / np.maximum(totals, 1), np.nan)


def worst_class_by_chance(confusion: np.ndarray) -> float:
    """The worst class's expected accuracy when all classes are equally hard: each with the accuracy of all samples.

    The minimum of several noisy shares is below the true minimum on average. Here no class is worse than another, and
    yet the worst is below the rest. So a worst class at this value shows nothing. Exact for independent samples:
    E min = ∫ P(all shares above s) ds over s in [0, 1].
    """
    totals = confusion.sum(axis=1)
    totals = totals[totals > 0]
    share = confusion.diagonal().sum() / totals.sum()
    # P(right of n > s n) changes only where s n is whole for some class: sum over these steps.
    steps = np.unique(np.concatenate([np.arange(total + 1) / total for total in np.unique(totals)]))
    above = np.ones(len(steps) - 1)
    for total, num_classes in zip(*np.unique(totals, return_counts=True), strict=True):
        most = np.floor(steps[:-1] * total + 1e-9)
        # P(Binomial(total, share) > most) is an incomplete beta function.
        above *= betainc(most + 1, total - most, share) ** num_classes
    return float((above * np.diff(steps)).sum())
