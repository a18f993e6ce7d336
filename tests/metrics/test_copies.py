"""Planted copies are found, verbatim, shifted or brighter; new images are not taken for copies."""

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from etude.data import load
from etude.errors import DataError, UsageError
from etude.metrics import copy_rate, nearest_training_images
from etude.metrics.copies import _p_value

SIZE = 1000


class Digits(NamedTuple):
    training: Tensor
    new: Tensor  # SIZE images that play the generator's honest ones
    test_distance: np.ndarray  # of SIZE other images


@pytest.fixture(scope="module")
def digits() -> Digits:
    try:
        data = load("mnist", download=False)
    except DataError:
        pytest.skip("needs MNIST: set ETUDE_DATA")
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    images = data.train.images[order]
    training, new, test = images[:8000], images[8000 : 8000 + SIZE], images[9000 : 9000 + SIZE]
    return Digits(training, new, nearest_training_images(training, test).distance)


def shifted(images: Tensor, down: int, right: int) -> Tensor:
    return F.pad(images, (1, 1, 1, 1))[:, :, 1 - down : 29 - down, 1 - right : 29 - right]


def brighter(images: Tensor) -> Tensor:
    return (images.float() * 1.1).clamp(max=255).round().to(torch.uint8)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "verbatim": lambda images: images,
    "shifted": lambda images: torch.cat([shifted(images[::2], 1, -1), shifted(images[1::2], 0, 1)]),
    "brighter": brighter,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("percent", [1, 5, 10])
def test_planted_copies_are_found(digits: Digits, change: str, percent: int) -> None:
    count = SIZE * percent // 100
    copies = CHANGES[change](digits.training[:count])
    distances = np.concatenate([nearest_training_images(digits.training, copies).distance, honest(digits)[count:]])
    rate = copy_rate(digits.test_distance, distances)
    assert rate.value >= percent / 100
    assert rate.expected == 0.01
    assert rate.p_value < 0.01


_HONEST: list[np.ndarray] = []


def honest(digits: Digits) -> np.ndarray:
    if not _HONEST:
        _HONEST.append(nearest_training_images(digits.training, digits.new).distance)
    return _HONEST[0]


def test_new_images_are_no_copies(digits: Digits) -> None:
    rate = copy_rate(digits.test_distance, honest(digits))
    assert rate.value == pytest.approx(0.01, abs=0.01)
    assert rate.p_value > 0.05
    blurred = F.avg_pool2d(digits.new[:300].float() / 255, 3, stride=1, padding=1)
    assert copy_rate(digits.test_distance, nearest_training_images(digits.training, blurred).distance).p_value > 0.05


def test_the_nearest_is_the_source_and_the_distance_is_by_definition(digits: Digits) -> None:
    training = digits.training[:80]
    for change in CHANGES.values():
        copies = change(training[:40])
        sources = np.arange(40) if change is not CHANGES["shifted"] else np.r_[0:40:2, 1:40:2]
        assert (nearest_training_images(training, copies).index == sources).all()
    images = digits.new[:3]
    found = nearest_training_images(training, images)
    for image, distance in zip(images.double()[:, 0], found.distance, strict=True):
        best = -1.0
        for candidate in training.double()[:, 0]:
            for top in range(3):
                for left in range(3):
                    crop = image[top : top + 26, left : left + 26].flatten()
                    inner = candidate[1:27, 1:27].flatten()
                    best = max(best, np.corrcoef(crop, inner)[0, 1])
        exact = np.sqrt(2 - 2 * best)
        assert exact - 1e-4 <= distance <= 1.1 * exact  # coarse pictures choose the candidates: nearly always the best


def test_colour_tiny_and_constant_images() -> None:
    random = torch.Generator().manual_seed(0)
    training = torch.rand(50, 3, 5, 5, generator=random)
    assert nearest_training_images(training, training[:4] * 0.9).distance.max() < 2e-3
    black = torch.zeros(2, 3, 5, 5)
    np.testing.assert_allclose(nearest_training_images(training, black).distance, np.sqrt(2), atol=1e-6)


def test_the_p_value_is_uniform_for_new_images_and_counts_orders() -> None:
    # All orders of 3 generated and 4 test distances: P(at least g generated below the second nearest test image).
    for within in range(4):
        expected = stats.nhypergeom(7, 3, 2).sf(within - 1)
        assert _p_value(within, 2, 3, 4) == pytest.approx(expected, rel=1e-9)
    random = np.random.default_rng(0)
    found = [copy_rate(random.random(500) + 1, random.random(400) + 1).p_value for _ in range(1000)]
    assert np.mean(np.array(found) < 0.05) < 0.06


def test_copies_among_test_images_do_not_hide_those_of_the_generator() -> None:
    test = np.r_[np.zeros(20), np.linspace(0.3, 1, 980)]
    rate = copy_rate(test, np.r_[np.zeros(200), np.linspace(0.3, 1, 800)])
    assert (rate.value, rate.expected) == (0.2, 0.02)
    assert rate.p_value < 1e-6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: nearest_training_images(torch.zeros(2, 5, 5), torch.zeros(2, 1, 5, 5)),
            "training has shape (2, 5, 5); allowed: (images, channels, height, width).",
        ),
        (
            lambda: nearest_training_images(torch.zeros(2, 3, 5, 5), torch.zeros(2, 1, 5, 5)),
            "training has images of shape (3, 5, 5), images (1, 5, 5): they must agree.",
        ),
        (
            lambda: nearest_training_images(torch.zeros(2, 1, 5, 5), torch.full((1, 1, 5, 5), torch.nan)),
            "images: 25 of 25 values are NaN or infinite, the first at [0, 0, 0, 0]; look for a diverged network or "
            "drop those rows.",
        ),
        (lambda: copy_rate(np.zeros(0), np.zeros(3)), "test has shape (0,); allowed: (images,), one distance each."),
        (
            lambda: copy_rate(np.zeros(3), np.zeros(3), nearest=0.9),
            "nearest is 0.9; allowed: above 0, up to 0.5.",
        ),
    ],
)
def test_unfit_arguments_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        call()
