"""What `etude measure` says of generators with known faults: each moves its results the right way, by a stated amount.

The generator's samples are replaced by real digits, changed; the results are those of the whole command, features and
floors included. docs/metrics.md has such a table for MNIST.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.data import Dataset, hold_out, load
from etude.measurement import Settings, measure
from etude.runs import Run

DISTANCES = ("fid", "kid", "precision", "recall", "density", "coverage", "authenticity", "classifier_score")
Measured = Callable[[Tensor], dict[str, float]]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load("digits")


@pytest.fixture
def measured(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> Measured:
    """From images, uint8 or in [0, 1], to the values of a run that generates them, as many as there are test images."""

    def of(images: Tensor) -> dict[str, float]:
        pixels = images.float() / 255 if images.dtype == torch.uint8 else images
        repeated = pixels.repeat(-(-297 // len(pixels)), 1, 1, 1)
        monkeypatch.setattr(Run, "sample", lambda self, num, *, seed: repeated[:num])
        for path in (runs["gan"].path / "measures").glob("*"):
            path.unlink()
        results = measure(runs["gan"], Settings(metrics=DISTANCES))
        return {name: results[name]["value"] for name in DISTANCES} | {
            f"{name} floor": results[name]["floor"] for name in DISTANCES
        }

    return of


def test_copies_of_training_images_look_real_and_are_called_copies(measured: Measured, data: Dataset) -> None:
    rows, _ = hold_out(len(data.train), train_images=50_000, validation_images=None, seed=0)
    training = data.train.images[rows]
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(0))
    found = measured(training[order])
    assert found["fid"] < 2 * found["fid floor"]
    assert found["coverage"] > found["coverage floor"] - 0.1
    assert found["authenticity"] == 0 < 0.4 < found["authenticity floor"]


def test_a_collapsed_generator_has_precision_and_no_recall(measured: Measured, data: Dataset) -> None:
    found = measured(data.train.images[:8])
    assert found["precision"] > 0.8
    assert found["recall"] < 0.1
    assert found["coverage"] < 0.25 < found["coverage floor"]
    assert found["fid"] > 5 * found["fid floor"]


def test_dropped_digits_cost_diversity_and_not_fidelity(measured: Measured, data: Dataset) -> None:
    found = measured(data.train.images[data.train.labels < 5])
    assert found["precision"] > found["precision floor"] - 0.1
    assert found["coverage"] < found["coverage floor"] - 0.25
    assert found["classifier_score"] < 0.7 * found["classifier_score floor"]
    assert found["fid"] > 3 * found["fid floor"]
    assert found["kid"] > found["kid floor"] + 0.05


def test_blur_and_noise_are_farther_than_the_images_they_are_made_of(measured: Measured, data: Dataset) -> None:
    pixels = data.train.images[:297].float() / 255
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    clean = measured(pixels)
    blurred = measured(F.avg_pool2d(pixels, 7, stride=1, padding=3))
    noisy = measured((pixels + 0.5 * noise).clamp(0, 1))
    for found in (blurred, noisy):
        assert found["fid"] > 3 * clean["fid"]
        assert found["kid"] > clean["kid"] + 0.05
        assert found["recall"] < clean["recall"] - 0.1
