"""Precision, recall, density and coverage: fidelity and diversity, told apart by nearest-neighbour balls.

Every sample gets a ball that reaches to its k-th nearest neighbour in its own set; the balls together model the
set's manifold. Kynkäänniemi et al. 2019, "Improved precision and recall metric", eq. 1-2; Naeem et al. 2020,
"Reliable fidelity and diversity metrics", eq. 2-5.

A sample counts as inside a ball when its distance is less than the radius, as in Naeem's `prdc`; Kynkäänniemi's paper
and torch-fidelity also count a distance equal to the radius. The two differ only on exact ties, which copies make:
for an exact copy of the real set the density is 1 here and (k + 1) / k with "or equal". A distance that equals the
radius up to rounding (1e-12 of the squared lengths) is a tie here, so the answer does not depend on the last bit.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from etude.errors import UsageError
from etude.metrics.arguments import Array, feature_pair, require_count

BLOCK_BYTES = 16 * 2**20
TIE = 1e-12


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares in [0, 1]: of generated samples inside the real manifold, of real samples inside the generated one."""

    precision: float
    recall: float
    nearest_k: int


@dataclass(frozen=True)
class DensityCoverage:
    """Mean number of real balls around a generated sample over k (0 or more, 1 for equal distributions), and the
    share in [0, 1] of real balls that hold a generated sample."""

    density: float
    coverage: float
    nearest_k: int


def precision_recall(real: Array, generated: Array, *, nearest_k: int = 5) -> PrecisionRecall:
    """Precision and recall (Kynkäänniemi et al. 2019) of features (num_samples, num_features)."""
    return prdc(real, generated, nearest_k=nearest_k)[0]


def density_coverage(real: Array, generated: Array, *, nearest_k: int = 5) -> DensityCoverage:
    """Density and coverage (Naeem et al. 2020) of features (num_samples, num_features)."""
    return prdc(real, generated, nearest_k=nearest_k)[1]


def prdc(real: Array, generated: Array, *, nearest_k: int = 5) -> tuple[PrecisionRecall, DensityCoverage]:
    """`precision_recall` and `density_coverage` from one pass; bounded memory for 50,000 × 84 against 50,000 × 84.

    Warns if the tolerance of a tie exceeds the radius of a ball: repeated samples, or features too alike.
    """
    real, generated = _centred(real, generated, nearest_k)
    real_radii, generated_radii = _squared_radii(real, nearest_k), _squared_radii(generated, nearest_k)
    for name, features, radii in (("real", real, real_radii), ("generated", generated, generated_radii)):
        _warn_of_empty_balls(name, features, radii, nearest_k)
    num_balls = np.zeros(len(generated), np.int64)  # real balls that hold the generated sample
    covered = np.empty(len(real), bool)  # whether the real ball holds a generated sample
    recalled = np.empty(len(real), bool)  # whether a generated ball holds the real sample
    for block, distances in squared_distances(real, generated, tie=TIE):
        inside = distances < real_radii[block, None]  # (rows, num_generated)
        num_balls += np.count_nonzero(inside, axis=0)
        covered[block] = inside.any(axis=1)
        recalled[block] = (distances < generated_radii).any(axis=1)
    return (
        PrecisionRecall(float((num_balls > 0).mean()), float(recalled.mean()), nearest_k),
        DensityCoverage(float(num_balls.mean() / nearest_k), float(covered.mean()), nearest_k),
    )


def _centred(real: Array, generated: Array, nearest_k: int) -> tuple[np.ndarray, np.ndarray]:
    """Both sets moved so that the real mean is 0: distances stay, and |x|² + |y|² - 2 x·y loses fewer digits."""
    real, generated = feature_pair(real, generated)
    require_count("nearest_k", nearest_k, 1, float("inf"), "1 or more")
    for name, features in (("real", real), ("generated", generated)):
        if len(features) <= nearest_k:
            raise UsageError(
                f"{name} has {len(features):,} samples; the distance to the {nearest_k}th neighbour needs at least "
                f"{nearest_k + 1:,}: take more samples or a smaller nearest_k."
            )
    mean = real.mean(axis=0)
    return real - mean, generated - mean


def _warn_of_empty_balls(name: str, features: np.ndarray, radii: np.ndarray, nearest_k: int) -> None:
    """Warn if the tolerance of a tie exceeds a squared radius: such a ball holds nothing."""
    num_empty = np.count_nonzero(radii <= 2 * TIE * np.einsum("nf,nf->n", features, features))
    if num_empty:
        warnings.warn(
            f"{num_empty:,} of {len(features):,} {name} samples have {nearest_k} neighbours nearer than rounding can "
            "tell: their balls hold nothing. Samples are repeated, or features lie far from 0 and differ little.",
            stacklevel=3,
        )


def squared_distances(left: np.ndarray, right: np.ndarray, *, tie: float = 0.0) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances, plus `tie`, of blocks of left rows to all right rows; a block has at most `BLOCK_BYTES`."""
    left_squares = (1 + tie) * np.einsum("nf,nf->n", left, left)
    right_squares = (1 + tie) * np.einsum("nf,nf->n", right, right)
    rows_per_block = max(1, BLOCK_BYTES // (8 * len(right)))
    for start in range(0, len(left), rows_per_block):
        block = slice(start, start + rows_per_block)
        distances = (-2 * left[block]) @ right.T  # (rows, num_right)
        distances += left_squares[block, None]
        distances += right_squares
        yield block, distances


def _squared_radii(features: np.ndarray, nearest_k: int) -> np.ndarray:
    """Squared distance of every row to its k-th nearest other row, (num_samples,)."""
    radii = np.empty(len(features))
    for block, distances in squared_distances(features, features):
        distances.partition(nearest_k, axis=1)  # place 0 is the row itself
        radii[block] = distances[:, nearest_k]
    return radii
