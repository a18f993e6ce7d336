"""What the metrics say of known faults: each moves them the right way, by a stated amount.

Real images against changed real images, 2,500 of each, on a classifier's features; docs/metrics.md has the table.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from etude.data import load
from etude.errors import DataError
from etude.metrics import authenticity, frechet_distance, kernel_distance, prdc
from etude.models import LeNet


class Digits(NamedTuple):
    """Two disjoint random sets of real MNIST images in [0, 1], with labels, and a LeNet's view of any such images."""

    real: torch.Tensor  # (2500, 1, 28, 28)
    other: torch.Tensor  # (2500, 1, 28, 28)
    other_labels: torch.Tensor  # (2500,)
    features: Callable[[torch.Tensor], torch.Tensor]  # (N, 1, 28, 28) to (N, 84)


@pytest.fixture(scope="module")
def digits() -> Digits:
    """MNIST and the penultimate layer of a LeNet trained on a quarter of it for one epoch."""
    try:
        train = load("mnist", download=False).train
    except DataError:
        pytest.skip("needs MNIST: set ETUDE_DATA")
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(60_000, generator=generator)
    images, labels = train.images[order].float() / 255, train.labels[order]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LeNet((1, 28, 28), 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for start in range(0, 15_000, 100):
        batch = slice(start, start + 100)
        loss = torch.nn.functional.cross_entropy(model(2 * images[batch] - 1), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def features(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return model.classifier[:-1](model.features(2 * images - 1).flatten(1))

    real, other = slice(30_000, 32_500), slice(32_500, 35_000)
    return Digits(images[real], images[other], labels[other], features)


class Scores(NamedTuple):
    fid: float
    kid: float
    precision: float
    recall: float
    density: float
    coverage: float


def measure(digits: Digits, generated: torch.Tensor) -> Scores:
    real, generated = digits.features(digits.real), digits.features(generated)
    fidelity, diversity = prdc(real, generated)
    kid = kernel_distance(real, generated, num_subsets=10).value
    return Scores(
        frechet_distance(real, generated), kid,
        fidelity.precision, fidelity.recall, diversity.density, diversity.coverage,
    )  # fmt: skip


@pytest.fixture(scope="module")
def floor(digits: Digits) -> Scores:
    """The scores of other real images: the best that a generator can hope for."""
    return measure(digits, digits.other)


def test_real_images_score_as_real(floor: Scores) -> None:
    assert floor.fid < 2
    assert abs(floor.kid) < 0.005
    assert floor.density == pytest.approx(1, abs=0.05)
    assert min(floor.precision, floor.recall, floor.coverage) > 0.94


def test_a_dropped_digit_costs_diversity_and_not_fidelity(digits: Digits, floor: Scores) -> None:
    found = measure(digits, digits.other[digits.other_labels != 9])
    assert found.fid > 4 * floor.fid
    assert found.kid > 0.01
    assert found.precision > floor.precision - 0.02
    assert found.recall < floor.recall - 0.02
    assert found.coverage < floor.coverage - 0.05


def test_a_generator_of_twenty_good_images_has_full_precision_and_no_recall(digits: Digits, floor: Scores) -> None:
    with pytest.warns(UserWarning, match="2,500 of 2,500 generated samples have 5 neighbours nearer than rounding"):
        found = measure(digits, digits.other[:20].repeat(125, 1, 1, 1))
    assert found.precision > 0.9
    assert found.recall < 0.01
    assert found.density > 0.8
    assert found.coverage < 0.1
    assert found.fid > 20 * floor.fid
    assert found.kid > 0.05


def test_blur_is_caught_by_the_distances_and_by_recall(digits: Digits, floor: Scores) -> None:
    found = measure(digits, F.avg_pool2d(digits.other, 3, stride=1, padding=1))
    assert found.fid > 30 * floor.fid
    assert found.kid > 0.1
    assert found.recall < floor.recall - 0.3
    assert found.coverage < floor.coverage - 0.3


def test_more_noise_is_worse(digits: Digits, floor: Scores) -> None:
    noise = torch.randn(digits.other.shape, generator=torch.Generator().manual_seed(0))
    little, much = (measure(digits, (digits.other + sigma * noise).clamp(0, 1)) for sigma in (0.1, 0.4))
    assert 2 * floor.fid < little.fid < much.fid / 5
    assert 0.005 < little.kid < much.kid / 5
    assert floor.recall - 0.01 > little.recall > much.recall + 0.3
    assert floor.coverage > little.coverage > much.coverage + 0.2
    assert much.density < 0.95


def test_a_copy_of_the_real_images_looks_perfect_to_all_of_them(digits: Digits) -> None:
    """None of these metrics sees memorising: measure against images that the generator was not trained on."""
    found = measure(digits, digits.real)
    assert found.fid == pytest.approx(0, abs=1e-6)
    assert found.kid < 0.001
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density == pytest.approx(1, abs=1e-12)


def test_a_copy_of_the_training_images_is_told_from_new_ones_by_authenticity_alone(digits: Digits) -> None:
    training, new = digits.features(digits.other), digits.features(digits.real)
    assert authenticity(training, training) == 0
    floor = authenticity(training, new)
    assert floor == pytest.approx(0.53, abs=0.05)
    half = torch.cat([training[:1250], new[:1250]])
    assert authenticity(training, half) == pytest.approx(floor / 2, abs=0.03)
    noise = 0.1 * torch.randn(digits.other.shape, generator=torch.Generator().manual_seed(0))
    little_changed = digits.features((digits.other + noise).clamp(0, 1))
    assert authenticity(training, little_changed) < floor - 0.15


def test_uniform_noise_scores_nothing_but_may_have_precision(digits: Digits, floor: Scores) -> None:
    """A classifier may see noise near the ball of a real outlier: of the fidelities, trust density."""
    noise = torch.rand(digits.other.shape, generator=torch.Generator().manual_seed(0))
    found = measure(digits, noise)
    assert found.fid > 100 * floor.fid
    assert found.recall < 0.01
    assert found.density < 0.6
    assert found.coverage < 0.05


def test_mode_collapse_in_a_mixture_of_gaussians() -> None:
    random = np.random.default_rng(0)
    centres = 10 * random.normal(size=(8, 5))

    def draw(num_modes: int) -> np.ndarray:
        return centres[random.integers(0, num_modes, 1000)] + random.normal(size=(1000, 5))

    real = draw(8)
    for num_modes in (8, 4, 1):
        fidelity, diversity = prdc(real, draw(num_modes))
        assert fidelity.precision > 0.9
        assert diversity.density == pytest.approx(1, abs=0.1)
        assert fidelity.recall == pytest.approx(num_modes / 8, abs=0.12)
        assert diversity.coverage == pytest.approx(num_modes / 8, abs=0.08)
