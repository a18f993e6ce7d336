"""What a VAE does with its latents: which ones it uses, and whether they look like the prior together."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from etude.errors import UsageError
from etude.metrics.arguments import Array, Seed, feature_matrix, generator_of, require_range
from etude.metrics.comparison import holm


def active_latents(means: Array, *, threshold: float = 0.01) -> np.ndarray:
    """Which latents carry information, (latent_dim,): true if the posterior mean varies over the images.

    `means` (num_images, latent_dim) are the encoder's; a latent is active when their n - 1 variance is above
    `threshold` (Burda et al. 2016, section 5.2). An unused latent has the prior as its posterior for every image.
    """
    means = feature_matrix("means", means)
    _require_images(len(means))
    require_range("threshold", threshold, 0, math.inf, "0 or more")
    return means.var(axis=0, ddof=1) > threshold


@dataclass(frozen=True)
class AggregatePosterior:
    """Per latent (latent_dim,): mean and variance of the aggregate posterior, distance from N(0, 1) and its p-value.

    `distance` is Kolmogorov and Smirnov's, the largest gap in [0, 1] between the two distribution functions.
    """

    mean: np.ndarray
    variance: np.ndarray
    distance: np.ndarray
    p_value: np.ndarray
    num_images: int

    def differs(self, level: float = 0.05) -> np.ndarray:
        """Which latents differ from the prior at `level` over all latents together (Holm 1979), (latent_dim,)."""
        return holm(self.p_value) <= level


def aggregate_posterior(means: Array, logvars: Array, *, seed: Seed) -> AggregatePosterior:
    """Compare the encoder's Gaussians, averaged over the images, with the prior N(0, 1), latent by latent.

    `means` and `logvars` are (num_images, latent_dim). Mean and variance are exact for the given images (variance of
    the means plus mean of the variances); the test draws one latent per image and compares with N(0, 1). The mixture
    should look like the prior: where they differ, samples come from latents that were never trained
    (Hoffman and Johnson 2016, "ELBO surgery"). With many images, small differences are significant: read the distance.
    """
    means, logvars = feature_matrix("means", means), feature_matrix("logvars", logvars)
    if means.shape != logvars.shape:
        raise UsageError(f"means has shape {means.shape}, logvars {logvars.shape}: both are (images, latents).")
    _require_images(len(means))
    variances = np.exp(logvars)
    noise = torch.randn(means.shape, generator=generator_of(seed), dtype=torch.float64).numpy()
    distance = _distance_from_standard_normal(means + np.sqrt(variances) * noise)
    p_value = np.array([_kolmogorov_p_value(gap, len(means)) for gap in distance])
    return AggregatePosterior(
        means.mean(axis=0), means.var(axis=0) + variances.mean(axis=0), distance, p_value, len(means)
    )


def _require_images(num_images: int) -> None:
    if num_images < 2:
        raise UsageError(f"means has {num_images} row; allowed: two images or more.")


def _distance_from_standard_normal(latents: np.ndarray) -> np.ndarray:
    """Kolmogorov-Smirnov distance of each column from N(0, 1), (latent_dim,)."""
    below = torch.special.ndtr(torch.from_numpy(np.sort(latents, axis=0))).numpy()  # (num_images, latent_dim)
    num_images = len(latents)
    steps = np.arange(num_images + 1)[:, None] / num_images
    return np.maximum((steps[1:] - below).max(axis=0), (below - steps[:-1]).max(axis=0))


def _kolmogorov_p_value(distance: float, num_images: int) -> float:
    """P(a larger distance) under N(0, 1): 2 Σ (-1)^(k-1) exp(-2 k² λ²), with Stephens's (1970) λ for finite n."""
    root = math.sqrt(num_images)
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:  # the series needs more terms the smaller λ is; here the probability is 1 to 12 digits
        return 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101))
    return min(1.0, max(0.0, math.fsum(terms)))
