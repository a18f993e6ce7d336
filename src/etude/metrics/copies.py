"""Does a generator repeat its training images, even shifted by a pixel or brighter?

Two images are compared by the correlation of their pixels, the largest over shifts of up to one pixel each way.
Brightness and contrast do not change it. The distance √(2 - 2 · correlation) is the distance of the two images after
their means are subtracted and their lengths made 1: 0 for a copy, √2 for images that have nothing in common.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import gammaln
from torch import Tensor

from etude.errors import UsageError
from etude.metrics.arguments import require_finite, require_range

CANDIDATES = 8
"""Training images to compare pixel by pixel with each image, chosen by coarse pictures of all."""
COARSE_PIXELS = 8
"""Height and width of a coarse picture."""
SMALLEST_SHIFTED = 8
"""Images below this size are not shifted: one row would be a large part of them."""
EXACT = 2e-3
"""Two float32 computations of one distance differ by less than this."""


@dataclass(frozen=True)
class NearestTraining:
    """For each image, the distance in [0, 2] to the nearest training image, and its index; (num_images,)."""

    distance: np.ndarray
    index: np.ndarray


@dataclass(frozen=True)
class CopyRate:
    """The share in [0, 1] of generated images within `threshold` of a training image.

    `expected` is the share of test images within it, which a generator without copies would have. `p_value` is the
    probability that such a generator has this many images this near.
    """

    value: float
    expected: float
    threshold: float
    p_value: float


def nearest_training_images(training: Tensor, images: Tensor) -> NearestTraining:
    """The training image nearest to each image, both (N, C, H, W), uint8 or floating point in [0, 1].

    The search has two stages. Coarse pictures of all training images find the `CANDIDATES` for each image over all
    shifts. Then the pixels decide among them. Time is proportional to the product of the two numbers of images.
    """
    for name, given in (("training", training), ("images", images)):
        if given.ndim != 4 or len(given) == 0:
            raise UsageError(f"{name} has shape {tuple(given.shape)}; allowed: (images, channels, height, width).")
        if given.is_floating_point():
            require_finite(name, given.numpy())
    if training.shape[1:] != images.shape[1:]:
        raise UsageError(
            f"training has images of shape {tuple(training.shape[1:])}, images {tuple(images.shape[1:])}: "
            "they must agree."
        )
    side = min(images.shape[2:])
    margin = 1 if side >= SMALLEST_SHIFTED else 0
    height, width = images.shape[2] - 2 * margin, images.shape[3] - 2 * margin
    coarse = torch.cat([_coarse(_crop(part, margin, margin, height, width)) for part in training.split(1000)])
    distances, indices = [], []
    for part in images.split(64):
        crops = [
            _crop(part, top, left, height, width) for top in range(2 * margin + 1) for left in range(2 * margin + 1)
        ]
        candidates = _candidates(torch.stack([_coarse(crop) for crop in crops]), coarse)  # (n, k)
        shifted = torch.stack([_standard(crop.flatten(1)) for crop in crops])  # (shifts, n, pixels)
        near = _crop(training[candidates.flatten()], margin, margin, height, width)
        near = _standard(near.flatten(1)).unflatten(0, candidates.shape)  # (n, k, pixels)
        correlation = torch.einsum("snp,nkp->nks", shifted, near).amax(dim=2)  # (n, k)
        best = correlation.argmax(dim=1, keepdim=True)
        distances.append((2 - 2 * correlation.gather(1, best)).clamp(min=0).sqrt().squeeze(1))
        indices.append(candidates.gather(1, best).squeeze(1))
    return NearestTraining(torch.cat(distances).double().numpy(), torch.cat(indices).numpy())


def copy_rate(test: np.ndarray, generated: np.ndarray, *, nearest: float = 0.01) -> CopyRate:
    """Share of generated images nearer to a training image than the nearest 1 % of test images are.

    `test` and `generated` are distances to the nearest training image, (num_images,) each, from
    `nearest_training_images`. A generator of new images that are as good as real ones has about `nearest`. A poor
    one has less, because its images lie farther from all others. So copies are also looked for among the nearest tenth
    of these test images. The p-value allows for both looks. Each is exact if test and generated images come from one
    distribution: how often do this many of the smallest distances belong to generated images?
    """
    require_range("nearest", nearest, 1e-6, 0.5, "above 0, up to 0.5")
    for name, given in (("test", test), ("generated", generated)):
        if given.ndim != 1 or len(given) == 0:
            raise UsageError(f"{name} has shape {given.shape}; allowed: (images,), one distance each.")
    ordered, p_values = np.sort(test), []
    threshold = rank = within = 0
    for share in (nearest / 10, nearest):
        threshold = max(float(ordered[max(1, round(share * len(test))) - 1]), EXACT)
        rank = int(np.count_nonzero(test <= threshold))
        within = int(np.count_nonzero(generated <= threshold))
        p_values.append(_p_value(within, rank, len(generated), len(test)))
    p_value = min(1.0, len(p_values) * min(p_values))
    return CopyRate(within / len(generated), rank / len(test), threshold, p_value)


def _p_value(within: int, rank: int, num_generated: int, num_test: int) -> float:
    """P(at least `within` generated images lie nearer than the test image of rank `rank`), all orders equally likely.

    Their number is negative hypergeometric: C(g + r - 1, g) C(G - g + T - r, T - r) / C(G + T, T).
    """
    counts = np.arange(within, num_generated + 1)
    logs = (
        _log_choose(counts + rank - 1, rank - 1)
        + _log_choose(num_generated - counts + num_test - rank, num_test - rank)
        - _log_choose(np.array(num_generated + num_test), num_test)
    )
    return float(min(1.0, np.exp(logs).sum()))


def _log_choose(total: np.ndarray, chosen: int) -> np.ndarray:
    return gammaln(total + 1) - gammaln(chosen + 1) - gammaln(total - chosen + 1)


def _candidates(images: Tensor, training: Tensor) -> Tensor:
    """The training images most alike to coarse pictures (shifts, n, pixels), at the best shift of each: (n, k)."""
    num_shifts, num_images, _ = images.shape
    rows = images.flatten(0, 1)
    alike = torch.cat(
        [(rows @ part.T).view(num_shifts, num_images, -1).amax(dim=0) for part in _parts(training)], dim=1
    )  # (n, num_training)
    return alike.topk(min(CANDIDATES, len(training)), dim=1).indices


def _parts(training: Tensor) -> Iterator[Tensor]:
    """One part at a time, so that its products with all shifts stay in the processor's cache."""
    yield from training.split(2000)


def _coarse(images: Tensor) -> Tensor:
    """Small pictures, standardised, (n, pixels)."""
    small = F.adaptive_avg_pool2d(images, (min(images.shape[2], COARSE_PIXELS), min(images.shape[3], COARSE_PIXELS)))
    return _standard(small.flatten(1))


def _crop(images: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    cut = images[:, :, top : top + height, left : left + width]
    return cut.float() / 255 if cut.dtype == torch.uint8 else cut.float()


def _standard(rows: Tensor) -> Tensor:
    """Rows with mean 0 and length 1; a constant row becomes 0, which matches no other."""
    centred = rows - rows.mean(dim=-1, keepdim=True)
    length = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    return torch.where(length > 1e-5, centred / length, 0.0)
