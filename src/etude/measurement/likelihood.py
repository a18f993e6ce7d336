"""How likely an autoencoder finds the test images, in nats and bits per dimension."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.measurement.results import Result
from etude.measurement.subject import Subject
from etude.metrics import (
    accuracy,
    bits_per_dimension,
    class_log_likelihoods,
    class_log_posterior,
    importance_weighted_bound,
)
from etude.metrics.intervals import t_interval
from etude.metrics.quadrature import MOST_LATENTS, exact_log_likelihood
from etude.metrics.spread import effective_share_interval
from etude.notebook import rounded

MAX_BAYES_IMPORTANCE = 50
"""Bayes' rule takes a bound for each class, and needs to tell them apart by many nats only."""


def nll_nats(subject: Subject) -> dict[str, Any]:
    """-log p(image): exact with one or two latents, else an upper bound by importance weighting (Burda et al. 2016)."""
    rows = subject.likelihood_rows
    pixels, labels = subject.scored_pixels[rows], subject.labels_for(subject.measured.labels[rows])
    network, latent_dim = subject.bound.network, subject.bound.latent_dim
    if latent_dim <= MOST_LATENTS:
        exact = exact_log_likelihood(
            subject.bound.network, pixels, labels, latent_dim=latent_dim, pairs=subject.bound.pairs
        )
        return {
            **_in_nats(subject, -exact.log_likelihood, pixels),
            "method": "quadrature",
            "largest_error_nats": exact.error_nats.max().item(),
        }
    bound = importance_weighted_bound(
        network, pixels, labels, num_samples=subject.settings.num_importance, seed=subject.seed("importance"),
        reconstruction=subject.bound.reconstruction,
    )  # fmt: skip
    return {
        **_in_nats(subject, -bound, pixels),
        "method": "importance",
        "num_importance": subject.settings.num_importance,
    }


def about_nll(result: Result) -> str:
    """Bits per dimension if the nats are a likelihood; whether they are exact; how pixels were scored."""
    how = "exact" if result["method"] == "quadrature" else f"upper bound, K = {result['num_importance']:,}"
    bits = result.get("bits_per_dimension")
    if bits is None:
        return f"{how}, {_pixels(result)}"
    return f"{rounded(bits, result.spread * bits / result['value'])} bits/dim, {how}, {_pixels(result)}"


def negative_elbo_nats(subject: Subject) -> dict[str, Any]:
    """The negative evidence lower bound and its two terms."""
    terms = subject.elbo
    return {
        **_in_nats(subject, terms.negative_elbo_nats, subject.scored_pixels),
        "reconstruction_nats": terms.reconstruction_nats.mean().item(),
        "kl_nats": terms.kl_nats.sum(dim=1).mean().item(),
    }


def about_elbo(result: Result) -> str:
    """The two terms, and how pixels were scored."""
    terms = f"reconstruction {result['reconstruction_nats']:.4g} + KL {result['kl_nats']:.4g}"
    return f"{terms}, {_pixels(result)}"


def bayes_accuracy(subject: Subject) -> dict[str, Any]:
    """Accuracy of a class-conditional autoencoder as a classifier, by Bayes' rule with a uniform prior."""
    rows = subject.likelihood_rows
    num_importance = min(subject.settings.num_importance, MAX_BAYES_IMPORTANCE)
    likelihoods = class_log_likelihoods(
        subject.bound.network, subject.scored_pixels[rows], num_classes=subject.num_classes,
        num_samples=num_importance, seed=subject.seed("bayes"), reconstruction=subject.bound.reconstruction,
    )  # fmt: skip
    share = accuracy(class_log_posterior(likelihoods), subject.measured.labels[rows])
    return {
        **share_of(share, len(rows)),
        "num_importance": num_importance,
        "binarize": subject.binarize,
        "note": subject.likelihood_note,
    }


def about_bayes(result: Result) -> str:
    """Latents per image and class, and how pixels were scored."""
    return f"K = {result['num_importance']:,}, {_pixels(result)}"


def share_of(share: float, num_samples: int) -> dict[str, Any]:
    """A share of right answers with its exact interval (Clopper and Pearson 1934)."""
    interval = effective_share_interval(share, num_samples)
    return {"value": share, "interval": [interval.low, interval.high], "num_samples": num_samples}


def mean_of(values: Tensor) -> dict[str, Any]:
    """The mean over images (N,) with its 95 % interval by Student's t."""
    interval = t_interval(values.numpy())
    return {"value": values.mean().item(), "interval": [interval.low, interval.high], "num_samples": len(values)}


def _in_nats(subject: Subject, nats: Tensor, pixels: Tensor) -> dict[str, Any]:
    mean, is_likelihood = mean_of(nats), subject.likelihood_note is None
    num_dimensions = math.prod(subject.run.kind.shape)
    return {
        **mean,
        "floor": _pixel_entropy(pixels) if _is_grey(subject) else None,
        "bits_per_dimension": bits_per_dimension(mean["value"], num_dimensions) if is_likelihood else None,
        "binarize": subject.binarize,
        "is_likelihood": is_likelihood,
        "note": subject.likelihood_note,
    }


def _pixels(result: Result) -> str:
    return "pixels as they are" if result["binarize"] == "none" else f"{result['binarize']} binarisation"


def _is_grey(subject: Subject) -> bool:
    return subject.bound.scored_as == "bernoulli" and subject.likelihood_note is not None


def _pixel_entropy(pixels: Tensor) -> float:
    """What no decoder can go below on grey pixels: their own Bernoulli entropy, summed, nats per image."""
    grey = pixels.double()
    entropy = -(torch.xlogy(grey, grey) + torch.xlogy(1 - grey, 1 - grey))
    return float(np.mean(entropy.flatten(1).sum(dim=1).numpy()))
