import math
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import scipy.optimize
import sklearn.metrics
import torch
import torch.nn.functional as F

from etude.errors import UsageError
from etude.metrics import brier_score, calibration_floor, fit_temperature, negative_log_likelihood, reliability

Load = Callable[[str], ModuleType]


def draw(num_samples: int, *, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are calibrated after division by `temperature`: labels are drawn from that softmax."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(num_samples, 10, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    return temperature * logits, labels


@pytest.mark.parametrize("num_bins", [5, 15, 100])
def test_calibration_error_is_torchmetrics(num_bins: int, reference: Load) -> None:
    logits, labels = draw(2000, temperature=2.0)
    theirs = reference("torchmetrics.functional.classification").multiclass_calibration_error
    expected = theirs(logits.softmax(1), labels, 10, n_bins=num_bins, norm="l1").item()
    found = reliability(logits, labels, num_bins=num_bins)
    assert found.expected_calibration_error == pytest.approx(expected, abs=1e-6)
    assert expected > 0.05


def test_likelihood_and_brier_score_are_pytorchs_and_scikit_learns() -> None:
    logits, labels = draw(500, temperature=1.5)
    assert negative_log_likelihood(logits, labels) == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-12)
    expected = sklearn.metrics.brier_score_loss(labels.numpy(), logits.softmax(1).numpy(), labels=np.arange(10))
    assert brier_score(logits.numpy(), labels.numpy()) == pytest.approx(expected, rel=1e-12)


def test_the_ends_of_the_scales() -> None:
    labels = torch.arange(4)
    right, wrong = 1e4 * torch.eye(4), 1e4 * torch.eye(4).roll(1, 0)
    assert (negative_log_likelihood(right, labels), brier_score(right, labels)) == (0, 0)
    assert (negative_log_likelihood(wrong, labels), brier_score(wrong, labels)) == (1e4, 2)
    assert negative_log_likelihood(torch.zeros(4, 4), labels) == pytest.approx(math.log(4))
    assert reliability(right, labels).expected_calibration_error == 0
    assert reliability(wrong, labels).expected_calibration_error == 1


def test_the_diagram_adds_up_to_the_error() -> None:
    logits, labels = draw(3000, temperature=3.0)
    found = reliability(logits, labels, num_bins=10)
    filled = found.count > 0
    assert found.count.sum() == 3000
    assert np.isnan(found.accuracy[~filled]).all()
    assert not filled[0]  # of 10 classes the largest probability is 0.1 or more
    gaps = np.abs(found.accuracy - found.confidence)[filled]
    assert found.expected_calibration_error == pytest.approx((found.count[filled] * gaps).sum() / 3000)
    assert (found.confidence[filled] >= found.edges[:-1][filled]).all()
    assert (found.confidence[filled] <= found.edges[1:][filled]).all()
    np.testing.assert_array_equal(found.edges, np.linspace(0, 1, 11))


def test_a_calibrated_classifier_has_an_error_near_0() -> None:
    logits, labels = draw(50_000, temperature=1.0)
    assert reliability(logits, labels).expected_calibration_error < 0.01


@pytest.mark.parametrize("temperature", [0.25, 1.0, 40.0])
def test_the_temperature_is_scipys_optimum_and_near_the_true_one(temperature: float) -> None:
    logits, labels = draw(5000, temperature=temperature)
    found = fit_temperature(logits, labels)
    best = scipy.optimize.minimize(
        lambda log_t: F.cross_entropy(logits / math.exp(log_t[0]), labels).item(),
        x0=[math.log(temperature)], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-15},
    )  # fmt: skip
    assert found == pytest.approx(math.exp(best.x[0]), rel=1e-6)
    assert found == pytest.approx(temperature, rel=0.05)
    assert fit_temperature(logits / found, labels) == pytest.approx(1, rel=1e-9)


def test_temperature_mends_an_overconfident_classifier_on_fresh_data() -> None:
    logits, labels = draw(20_000, temperature=3.0)
    temperature = fit_temperature(logits[:10_000], labels[:10_000])
    before = reliability(logits[10_000:], labels[10_000:]).expected_calibration_error
    after = reliability(logits[10_000:] / temperature, labels[10_000:]).expected_calibration_error
    assert before > 0.2
    assert after < 0.02


def test_temperatures_without_an_optimum_are_refused() -> None:
    labels = torch.arange(3)
    with pytest.raises(
        UsageError,
        match=r"^no temperature fits: all 3 validation labels have the largest logit, so the colder the better; "
        r"use more validation samples\.$",
    ):
        fit_temperature(torch.eye(3), labels)
    with pytest.raises(
        UsageError,
        match=r"^no temperature fits: the logits are no better than chance on the validation labels, so the hotter "
        r"the better; check that logits and labels belong together\.$",
    ):
        fit_temperature(-torch.eye(3), labels)
    with pytest.raises(UsageError, match=r"^num_bins is 0; allowed: 1 to 10,000\.$"):
        reliability(torch.eye(3), labels, num_bins=0)


def calibrated(num_samples: int, seed: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their probabilities."""
    random = np.random.default_rng(seed)
    logits = sharpness * random.normal(size=(num_samples, 10))
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = (random.random((num_samples, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=9)
    return logits, labels


@pytest.mark.parametrize("num_samples", [297, 1000])
def test_the_floor_is_what_labels_of_its_own_give(num_samples: int) -> None:
    pairs = [calibrated(num_samples, seed, 2.0) for seed in range(100)]
    errors = [reliability(*pair).expected_calibration_error for pair in pairs]
    floors = [calibration_floor(logits, num_simulations=20, seed=0) for logits, _ in pairs]
    assert np.mean(floors) == pytest.approx(np.mean(errors), rel=0.05)
    assert np.mean(floors) > 0.03  # far from 0: chance alone


@pytest.mark.parametrize("temperature", [1.0, 1.6])
def test_the_interval_of_the_error_covers_its_mean(temperature: float) -> None:
    """The jackknife is too wide where a classifier is calibrated, right where it is not."""
    found = [
        reliability(temperature * logits, labels) for logits, labels in (calibrated(300, i, 2.0) for i in range(200))
    ]
    errors = np.array([each.expected_calibration_error for each in found])
    said = np.array([each.standard_error for each in found])
    assert np.mean(abs(errors - errors.mean()) <= 1.97 * said) >= 0.93
    assert 0.9 * errors.std() < said.mean() < 2 * errors.std()


def test_the_error_of_the_calibration_error_is_the_jackknife_sample_by_sample() -> None:
    logits, labels = calibrated(60, 0, 3.0)
    left_out = [
        reliability(np.delete(logits, row, 0), np.delete(labels, row)).expected_calibration_error for row in range(60)
    ]
    assert reliability(logits, labels).standard_error == pytest.approx(np.sqrt(59 * np.var(left_out)), rel=1e-9)
    assert np.isnan(reliability(logits[:1], labels[:1]).standard_error)
