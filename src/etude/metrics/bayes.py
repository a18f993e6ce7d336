"""A class-conditional VAE as a classifier: Bayes' rule over the likelihoods of an image under each class."""

import torch
from torch import Tensor, nn

from etude.errors import UsageError
from etude.losses import bernoulli_from_logits
from etude.metrics.arguments import Seed, generator_of, require_count
from etude.metrics.likelihood import MAX_DECODED, Reconstruction, importance_weighted_bound


def class_log_likelihoods(
    model: nn.Module,
    images: Tensor,
    *,
    num_classes: int,
    num_samples: int,
    seed: Seed,
    reconstruction: Reconstruction = bernoulli_from_logits,
    max_decoded: int = MAX_DECODED,
) -> Tensor:
    """log p(image | class) in nats under each class, (N, num_classes) float64: importance-weighted lower bounds.

    Use binary images: with grey ones, differences between classes are not likelihood ratios.
    """
    require_count("num_classes", num_classes, 2, float("inf"), "2 or more")
    generator = generator_of(seed)
    columns = []
    for label in range(num_classes):
        labels = torch.full((len(images),), label, dtype=torch.int64, device=images.device)
        bound = importance_weighted_bound(
            model, images, labels, num_samples=num_samples, seed=generator,
            reconstruction=reconstruction, max_decoded=max_decoded,
        )  # fmt: skip
        columns.append(bound)
    return torch.stack(columns, dim=1)


def class_log_posterior(log_likelihoods: Tensor, *, class_prior: Tensor | None = None) -> Tensor:
    """log p(class | image), (N, num_classes), by Bayes' rule. The default prior (num_classes,) is uniform.

    Its rows are logits for `accuracy` and `calibration`. Likelihoods of whole images differ by many nats, so these
    posteriors are far too sure: fit a temperature before reading them as probabilities.
    """
    if class_prior is None:
        return log_likelihoods.log_softmax(dim=1)
    if class_prior.shape != log_likelihoods.shape[1:] or not bool((class_prior > 0).all()):
        raise UsageError(
            f"class_prior has shape {tuple(class_prior.shape)} and least entry {class_prior.min().item():.4g}; "
            f"allowed: ({log_likelihoods.shape[1]},), all above 0."
        )
    return (log_likelihoods + class_prior.to(log_likelihoods).log()).log_softmax(dim=1)
