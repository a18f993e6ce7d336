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
from etude.metrics import brier_score, fit_temperature, negative_log_likelihood, reliability

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
