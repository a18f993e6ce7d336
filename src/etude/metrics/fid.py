"""Fréchet distance between two sets of features, each treated as a Gaussian (FID if the features are Inception's).

Heusel et al. 2017, "GANs trained by a two time-scale update rule", eq. 6; Dowson and Landau 1982.
"""

from dataclasses import dataclass

import numpy as np
import torch

from etude.errors import UsageError
from etude.metrics.arguments import (
    Array,
    Seed,
    feature_matrix,
    feature_pair,
    generator_of,
    require_count,
    require_same_features,
    require_varied,
)

FEWEST_PER_FEATURE = 10
"""Samples per feature for the extrapolation. On MNIST with 84 features, the distance's bias and the extrapolation's
standard deviation were 6.3 and 3.5 at 300 samples, 2.3 and 1.3 at 840, 0.9 and 0.4 at 2,500."""


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean (num_features,) and covariance (num_features, num_features) of `num_samples` rows, float64."""

    mean: np.ndarray
    covariance: np.ndarray
    num_samples: int


def feature_statistics(features: Array, *, name: str = "features") -> FeatureStatistics:
    """Mean and n - 1 covariance in float64 of features (num_samples, num_features); all that FID needs.

    Needs more samples than features (else a `UsageError`). With fewer, the covariance is singular and the distance says
    more about the number of samples than about the images.
    """
    features = feature_matrix(name, features)
    num_samples, num_features = features.shape
    if num_samples <= num_features:
        raise UsageError(
            f"{name} has {num_samples:,} samples of {num_features:,} features; the Fréchet distance needs at least "
            f"{num_features + 1:,}: take more samples, or kernel_distance, which works with few."
        )
    mean = features.mean(axis=0)
    centred = features - mean
    return FeatureStatistics(mean, centred.T @ centred / (num_samples - 1), num_samples)


def frechet_distance(real: Array | FeatureStatistics, generated: Array | FeatureStatistics) -> float:
    """|m_r - m_g|² + tr(C_r + C_g - 2 (C_r C_g)^½), 0 or more, 0 for equal means and covariances.

    `real` and `generated` are features (num_samples, num_features) or their `feature_statistics`. The trace of the
    root is the sum of the roots of the eigenvalues of C_r C_g. These roots are the singular values of F_rᵀ F_g for any
    factors C = F Fᵀ, so no root of a rounding error is ever taken.
    """
    real = real if isinstance(real, FeatureStatistics) else feature_statistics(real, name="real")
    if not isinstance(generated, FeatureStatistics):
        generated = feature_statistics(generated, name="generated")
    require_same_features(len(real.mean), len(generated.mean))
    # Rounding of the mean leaves a variance of some 1e-32 of its square on rows that are all equal.
    require_varied(bool(np.trace(real.covariance) > 1e-24 * (real.mean @ real.mean)), real.num_samples)
    difference = real.mean - generated.mean
    (real_vectors, real_roots), (vectors, roots) = _roots(real.covariance), _roots(generated.covariance)
    factors = (real_vectors * real_roots).T @ (vectors * roots)
    trace_of_root = np.linalg.svd(factors, compute_uv=False).sum()
    traces = np.trace(real.covariance) + np.trace(generated.covariance)
    return max(0.0, float(difference @ difference + traces - 2 * trace_of_root))


def frechet_error(real: Array, generated: Array) -> float:
    """Standard error of `frechet_distance` of features (num_samples, num_features), over other samples of both sets.

    It is the infinitesimal jackknife (Jaeckel 1972): how much the distance changes with the weight of each row. For a
    generated row y, u = y - m_g, that is 2 (m_g - m_r)·u + uᵀ(I - T)u plus a constant. T = F_r U Vᵀ F_g⁻¹ is the
    optimal transport from the generated Gaussian to the real one; U and V are the singular vectors of F_rᵀ F_g. For a
    real row the sides are exchanged. A bootstrap does not work: rows drawn twice add to the distance's bias.
    """
    real, generated = feature_pair(real, generated)
    one, other = feature_statistics(real, name="real"), feature_statistics(generated, name="generated")
    difference = one.mean - other.mean
    (real_vectors, real_roots), (vectors, roots) = _roots(one.covariance), _roots(other.covariance)
    real_factor, factor = real_vectors * real_roots, vectors * roots
    left, _, right = np.linalg.svd(real_factor.T @ factor)
    transport = real_factor @ left @ right @ (vectors / _or_infinite(roots)).T  # generated to real
    back = factor @ right.T @ left.T @ (real_vectors / _or_infinite(real_roots)).T
    variance = 0.0
    for rows, mean, gap, map in (
        (real, one.mean, difference, back),
        (generated, other.mean, -difference, transport),
    ):
        centred = rows - mean
        influence = 2 * centred @ gap + np.einsum("nf,nf->n", centred, centred - centred @ map.T)  # (num_samples,)
        variance += influence.var(ddof=1) / len(rows)
    return float(np.sqrt(variance))


def _roots(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors, and roots of the eigenvalues; those that rounding made negative count as 0."""
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    return eigenvectors, np.sqrt(eigenvalues.clip(min=0))


def _or_infinite(roots: np.ndarray) -> np.ndarray:
    """Roots to divide by. Without variance no row lies off the mean, so the quotient counts as 0."""
    return np.where(roots > 1e-6 * roots.max(), roots, np.inf)


@dataclass(frozen=True)
class ExtrapolatedDistance:
    """The Fréchet distance at infinitely many samples: the intercept of a line through `distances` over 1 / `sizes`."""

    value: float
    slope: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]


def extrapolated_frechet_distance(
    real: Array, generated: Array, *, seed: Seed = 0, num_sizes: int = 15, smallest: int | None = None
) -> ExtrapolatedDistance:
    """Fréchet distance extrapolated to infinitely many samples; small negative values are noise around 0.

    The distance of finite samples is too large by about a constant over their number. It is computed on `num_sizes`
    random subsets of evenly spaced sizes, from `smallest` (default: a fifth of the samples) to all. A least-squares
    line over 1 / size is read at 0. Real and generated subsets have equal sizes, so the bias of both disappears.
    Source: Chong and Forsyth 2020, "Effectively unbiased FID", who thin only the generated set.

    Needs ten samples per feature (else a `UsageError`). With fewer, the line's noise is as large as the bias.
    """
    real, generated = feature_pair(real, generated)
    smaller, enough = min(len(real), len(generated)), FEWEST_PER_FEATURE * real.shape[1]
    if smaller < enough:
        raise UsageError(
            f"the smaller set has {smaller:,} samples of {real.shape[1]:,} features; the extrapolated distance needs "
            f"at least {enough:,}, {FEWEST_PER_FEATURE} per feature: take more samples, or kernel_distance, which has "
            "no bias."
        )
    return extrapolate(real, generated, seed=seed, num_sizes=num_sizes, smallest=smallest)


def extrapolate(
    real: np.ndarray, generated: np.ndarray, *, seed: Seed, num_sizes: int = 15, smallest: int | None = None
) -> ExtrapolatedDistance:
    """`extrapolated_frechet_distance` without its minimum of samples, for halves of the sets."""
    largest = min(len(real), len(generated))
    fewest = real.shape[1] + 1
    first = max(fewest, largest // 5) if smallest is None else smallest
    require_count("num_sizes", num_sizes, 2, 1000, "2 to 1,000")
    if not fewest <= first < largest:
        raise UsageError(
            f"smallest is {first:,}; allowed: more than the {real.shape[1]:,} features and less than the "
            f"{largest:,} samples of the smaller set."
        )
    generator = generator_of(seed)
    sizes = np.linspace(first, largest, num_sizes).astype(int)
    distances = []
    for size in sizes:
        real_rows = torch.randperm(len(real), generator=generator)[:size].numpy()
        generated_rows = torch.randperm(len(generated), generator=generator)[:size].numpy()
        distances.append(frechet_distance(real[real_rows], generated[generated_rows]))
    slope, intercept = np.polyfit(1 / sizes, distances, 1)
    return ExtrapolatedDistance(float(intercept), float(slope), tuple(sizes.tolist()), tuple(distances))
