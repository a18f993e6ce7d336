"""Kernel distance between two sets of features (KID if the features are Inception's).

Bińkowski et al. 2018, "Demystifying MMD GANs", section 4: the squared maximum mean discrepancy (Gretton et al. 2012,
eq. 3) with the kernel (x·y / num_features + 1)³, which compares means, variances and skewness.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from etude.errors import UsageError
from etude.metrics.arguments import Array, Seed, feature_pair, generator_of, require_count
from etude.metrics.prdc import BLOCK_BYTES
from etude.metrics.spread import jackknife_error


@dataclass(frozen=True)
class KernelDistance:
    """Mean and standard deviation (1/n) of the squared discrepancy over `num_subsets` pairs of random subsets."""

    value: float
    standard_deviation: float
    num_subsets: int
    subset_size: int


def kernel_distance(
    real: Array,
    generated: Array,
    *,
    num_subsets: int = 100,
    subset_size: int = 1000,
    standardize: bool = True,
    seed: Seed = 0,
) -> KernelDistance:
    """The mean unbiased squared discrepancy over random subsets. Equal distributions give 0 on average, sometimes less.

    `real` and `generated` are features (num_samples, num_features). `standardize` first shifts the features to mean 0
    and divides all of them by one number, so that their mean variance is 1. Both use the real rows. Without it, the
    cubic kernel explodes on raw features of a large scale. Published Inception distances use raw features
    (`standardize=False`). `subset_size` is cut to the smaller set.
    """
    real, generated = feature_pair(real, generated)
    smaller = min(len(real), len(generated))
    if smaller < 2:
        raise UsageError(f"the smaller set has {smaller} sample; kernel_distance needs at least 2 of each.")
    require_count("num_subsets", num_subsets, 1, 1_000_000, "1 to 1,000,000")
    require_count("subset_size", subset_size, 2, float("inf"), "2 or more")
    subset_size = min(subset_size, smaller)
    if standardize:
        real, generated = standardized(real, generated)
    generator = generator_of(seed)
    distances = np.empty(num_subsets)
    for subset in range(num_subsets):
        real_rows = torch.randperm(len(real), generator=generator)[:subset_size].numpy()
        generated_rows = torch.randperm(len(generated), generator=generator)[:subset_size].numpy()
        distances[subset] = squared_discrepancy(real[real_rows], generated[generated_rows])
    return KernelDistance(float(distances.mean()), float(distances.std()), num_subsets, subset_size)


@dataclass(frozen=True)
class CompleteKernelDistance:
    """The squared discrepancy of all rows and its standard error, over other samples of both sets."""

    value: float
    standard_error: float


def complete_kernel_distance(
    real: Array, generated: Array, *, standardize: bool = True, with_error: bool = True
) -> CompleteKernelDistance:
    """The unbiased squared discrepancy of all rows: what `kernel_distance` estimates from subsets, with less noise.

    The standard error is the jackknife's: the value with each row of either set left out in turn, which the row sums
    of the kernel give (NaN without `with_error`). It takes the standardisation as given. Memory is bounded; time grows
    with the square of the samples.
    """
    real, generated = feature_pair(real, generated)
    smaller = min(len(real), len(generated))
    fewest = 3 if with_error else 2  # two must remain when one is left out
    if smaller < fewest:
        raise UsageError(
            f"the smaller set has {smaller} samples; complete_kernel_distance needs at least {fewest} of each."
        )
    if standardize:
        real, generated = standardized(real, generated)
    num_real, num_generated = len(real), len(generated)
    real_sums, _ = _kernel_sums(real, real)
    generated_sums, _ = _kernel_sums(generated, generated)
    across, across_generated = _kernel_sums(real, generated)
    real_sums -= _own_kernel(real)
    generated_sums -= _own_kernel(generated)
    within_real = real_sums.sum() / (num_real * (num_real - 1))
    within_generated = generated_sums.sum() / (num_generated * (num_generated - 1))
    value = within_real + within_generated - 2 * across.sum() / (num_real * num_generated)
    if not with_error:
        return CompleteKernelDistance(float(value), math.nan)
    variance = 0.0
    for sums, crossing in ((real_sums, across), (generated_sums, across_generated)):
        size, other = len(sums), num_real + num_generated - len(sums)
        within = (sums.sum() - 2 * sums) / ((size - 1) * (size - 2))
        left_out = within - 2 * (crossing.sum() - crossing) / ((size - 1) * other)  # without what all have in common
        variance += jackknife_error(left_out) ** 2
    return CompleteKernelDistance(float(value), math.sqrt(variance))


def squared_discrepancy(real: np.ndarray, generated: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of all rows given, float64, with the cubic kernel.

    Kernel means within a set leave out each row's product with itself; those across the sets take all pairs.
    """
    return _mean_kernel_within(real) + _mean_kernel_within(generated) - 2 * float(_cubic_kernel(real, generated).mean())


def standardized(real: np.ndarray, generated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets shifted and scaled so that the real features have mean 0 each, and variance 1 on average.

    There is one scale for all. With a scale per feature, a feature that is 0 for almost all images, as after a ReLU,
    would make the few others so large that only their cube counts.
    """
    mean, scale = real.mean(axis=0), np.sqrt(real.var(axis=0).mean())
    return (real - mean) / scale, (generated - mean) / scale


def _cubic_kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    kernel = left @ right.T  # (num_left, num_right)
    kernel /= left.shape[1]
    kernel += 1
    square = kernel * kernel
    square *= kernel
    return square


def _kernel_sums(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the kernel over all right rows, (num_left,), and over all left rows, (num_right,); in blocks."""
    rows_per_block = max(1, BLOCK_BYTES // (8 * len(right)))
    of_left, of_right = np.empty(len(left)), np.zeros(len(right))
    for start in range(0, len(left), rows_per_block):
        block = slice(start, start + rows_per_block)
        kernel = _cubic_kernel(left[block], right)
        of_left[block] = kernel.sum(axis=1)
        of_right += kernel.sum(axis=0)
    return of_left, of_right


def _own_kernel(rows: np.ndarray) -> np.ndarray:
    """The kernel of each row with itself, (num_rows,)."""
    return (np.einsum("nf,nf->n", rows, rows) / rows.shape[1] + 1) ** 3


def _mean_kernel_within(rows: np.ndarray) -> float:
    kernel, num_rows = _cubic_kernel(rows, rows), len(rows)
    return float((kernel.sum() - np.trace(kernel)) / (num_rows * (num_rows - 1)))
