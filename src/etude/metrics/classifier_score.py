"""Classifier score of generated images (the Inception score when the classifier is Inception).

Salimans et al. 2016, "Improved techniques for training GANs", section 4: exp of the mean divergence of p(class | image)
from p(class).
"""

from dataclasses import dataclass

import numpy as np
import torch

from etude.errors import UsageError
from etude.metrics.arguments import Array, Seed, as_numbers, generator_of, require_count, require_finite


@dataclass(frozen=True)
class ClassifierScore:
    """Mean and standard deviation (1/n) of the score over the splits, each from 1 to the number of classes."""

    value: float
    standard_deviation: float
    num_splits: int


def classifier_score(logits: Array, *, num_splits: int = 10, seed: Seed = 0) -> ClassifierScore:
    """exp(mean over images of KL(p(class | image) ‖ p(class))), from logits (num_samples, num_classes).

    It is 1 if all images look alike to the classifier. It is the number of classes if the classifier is sure of each
    image and sees every class equally often. The rows are shuffled and cut into `num_splits` equal parts, as for
    published scores. Real images play no part: one memorised image per class scores best.
    """
    logits = as_numbers("logits", logits)
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise UsageError(f"logits has shape {logits.shape}; allowed: (samples, classes) with two classes or more.")
    require_finite("logits", logits)
    num_samples = len(logits)
    require_count("num_splits", num_splits, 1, num_samples, f"1 to the number of samples, {num_samples:,}")
    order = torch.randperm(num_samples, generator=generator_of(seed))
    log_conditional = torch.from_numpy(logits.astype(np.float64))[order].log_softmax(dim=1)
    scores = []
    for part in log_conditional.tensor_split(num_splits):
        log_marginal = part.logsumexp(dim=0) - np.log(len(part))  # (num_classes,)
        scores.append((part.exp() * (part - log_marginal)).sum(dim=1).mean().exp().item())
    return ClassifierScore(float(np.mean(scores)), float(np.std(scores)), num_splits)
