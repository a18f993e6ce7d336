"""The exact log-likelihood of a VAE with one or two latents: the integral over the latents, cell by cell.

log p(x) = log ∫ p(x | z) N(z; 0, I) dz. In one or two dimensions the Gauss-Legendre rule gives it to a hundredth of a
nat or closer, on cells that are halved where it matters. It needs no encoder. For any number of latents, importance
weighting (`importance_weighted_bound`) bounds it from below.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.errors import UsageError
from etude.metrics.arguments import evaluating, require_range
from etude.metrics.likelihood import MAX_DECODED

# (decoded (M, ...), images (N, ...)) to log p(image | latent) of every pair, (N, M) float64.
PairwiseLogLikelihood: TypeAlias = Callable[[Tensor, Tensor], Tensor]

FARTHEST = 8.0
"""Latents beyond this, on any axis, have a prior probability of e^-34 and are left out."""
CELL = 1.0
MOST_HALVINGS = 9
NODES = 5
"""Points per cell and axis."""
NEGLIGIBLE = 1e-10
"""A cell with less than this share of every image's integral is not halved."""
MOST_LATENTS = 2
IMAGES_AT_ONCE = 500


@dataclass(frozen=True)
class ExactLikelihood:
    """log p(image) in nats, (N,) float64, and an estimate of the error of each, (N,)."""

    log_likelihood: Tensor
    error_nats: Tensor


def bernoulli_pairs(logits: Tensor, images: Tensor) -> Tensor:
    """The sum over pixels of y l - log(1 + eˡ) for each image and each decoder's logits, (N, M)."""
    logits = logits.double().flatten(1)
    return images.double().flatten(1) @ logits.T - F.softplus(logits).sum(dim=1)


def gaussian_pairs(means: Tensor, images: Tensor) -> Tensor:
    """log N(image; mean, I) for each image and each mean, (N, M)."""
    means, images = means.double().flatten(1), images.double().flatten(1)
    squares = images.square().sum(dim=1)[:, None] + means.square().sum(dim=1) - 2 * images @ means.T
    return -0.5 * (squares + means.shape[1] * math.log(2 * math.pi))


def exact_log_likelihood(
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None = None,
    *,
    latent_dim: int,
    pairs: PairwiseLogLikelihood = bernoulli_pairs,
    tolerance_nats: float = 1e-2,
) -> ExactLikelihood:
    """log p(image) of a model with one or two latents and a standard normal prior, (N,), by adaptive quadrature.

    Only `model.decode_logits` is used. A cell is halved on each axis until its halves agree with it for every image, or
    `MOST_HALVINGS` times. Latents are decoded once for all images of one label; a second image
    costs little more.
    """
    if not 1 <= latent_dim <= MOST_LATENTS:
        raise UsageError(
            f"latent_dim is {latent_dim}; quadrature takes 1 or 2 latents: use importance_weighted_bound for more."
        )
    require_range("tolerance_nats", tolerance_nats, 1e-9, 1.0, "1e-9 to 1")
    values = torch.empty(len(images), dtype=torch.float64)
    errors = torch.empty(len(images), dtype=torch.float64)
    classes = [None] if labels is None else labels.unique().tolist()
    with evaluating(model):
        for label in classes:
            rows = torch.arange(len(images)) if labels is None else (labels == label).nonzero()[:, 0]
            for part in rows.split(IMAGES_AT_ONCE):

                def log_integrand(latents: Tensor, part: Tensor = part, label: int | None = label) -> Tensor:
                    return _log_joint(model, latents, images[part], label, pairs)

                values[part], errors[part] = _integrate(log_integrand, len(part), latent_dim, tolerance_nats)
    return ExactLikelihood(values, errors)


def _integrate(
    log_integrand: Callable[[Tensor], Tensor], num_images: int, latent_dim: int, tolerance: float
) -> tuple[Tensor, Tensor]:
    """Logarithms of the integrals (num_images,), and their errors in nats, (num_images,)."""
    axis = torch.arange(-FARTHEST + CELL / 2, FARTHEST, CELL, dtype=torch.float64)
    centres, width = torch.cartesian_prod(*[axis] * latent_dim).reshape(-1, latent_dim), CELL
    offsets = torch.tensor(list(product((-0.25, 0.25), repeat=latent_dim)), dtype=torch.float64)
    coarse = _cells(log_integrand, centres, width)  # (num_images, cells)
    done = torch.full((num_images,), -math.inf, dtype=torch.float64)
    error = torch.zeros(num_images, dtype=torch.float64)
    for halving in range(1, MOST_HALVINGS + 1):
        share = (coarse - torch.logaddexp(done, coarse.logsumexp(dim=1))[:, None]).exp()
        matters = share.amax(dim=0) > NEGLIGIBLE
        done = torch.logaddexp(done, coarse[:, ~matters].logsumexp(dim=1))
        error += share[:, ~matters].sum(dim=1)
        centres, coarse = centres[matters], coarse[:, matters]
        children = centres[:, None] + width * offsets  # (cells, children, latent_dim)
        fine = _cells(log_integrand, children.flatten(0, 1), width / 2).unflatten(1, children.shape[:2])
        sums = fine.logsumexp(dim=2)
        total = torch.logaddexp(done, sums.logsumexp(dim=1))[:, None]
        gaps = ((coarse - total).exp() - (sums - total).exp()).abs()  # as shares of the whole integral: nats
        unsure = gaps.amax(dim=0) > tolerance / 10  # (cells,)
        if halving == MOST_HALVINGS:
            unsure[:] = False
        done = torch.logaddexp(done, sums[:, ~unsure].logsumexp(dim=1))
        error += gaps[:, ~unsure].sum(dim=1)
        if not unsure.any():
            break
        centres, width = children[unsure].flatten(0, 1), width / 2
        coarse = fine[:, unsure].flatten(1)
    return done, error


def _cells(log_integrand: Callable[[Tensor], Tensor], centres: Tensor, width: float) -> Tensor:
    """Logarithms of the integral over each cell, (num_images, cells), by the Gauss-Legendre rule."""
    nodes, weights = (torch.from_numpy(each) for each in np.polynomial.legendre.leggauss(NODES))
    latent_dim = centres.shape[1]
    grid = torch.cartesian_prod(*[nodes] * latent_dim).reshape(-1, latent_dim) * width / 2  # (points, latent_dim)
    log_weights = torch.cartesian_prod(*[(weights * width / 2).log()] * latent_dim).reshape(-1, latent_dim).sum(dim=1)
    parts = []
    for some in centres.split(max(1, 4000 // len(grid))):
        latents = (some[:, None] + grid).flatten(0, 1)
        joint = log_integrand(latents).unflatten(1, (len(some), len(grid)))
        parts.append((joint + log_weights).logsumexp(dim=2))
    return torch.cat(parts, dim=1)


def _log_joint(model: Any, latents: Tensor, images: Tensor, label: int | None, pairs: PairwiseLogLikelihood) -> Tensor:
    """log p(image | latent) + log p(latent) of every pair, (N, M) float64."""
    decoded = []
    for part in latents.to(images.dtype).split(MAX_DECODED):
        labels = None if label is None else torch.full((len(part),), label, dtype=torch.int64)
        decoded.append(model.decode_logits(part, labels))
    log_prior = -0.5 * (latents.square() + math.log(2 * math.pi)).sum(dim=1)
    return pairs(torch.cat(decoded), images) + log_prior
