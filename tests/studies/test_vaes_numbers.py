"""What the studies of VAEs compute, against closed forms and other libraries."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch

import etude
from etude.errors import UsageError
from etude.losses import kl_to_standard_normal
from etude.metrics import frechet_distance
from etude.metrics.quadrature import exact_log_likelihood
from etude.models import VAE
from etude.studies.vaes import bound, posterior_of_one_image, retrain, std_or_logvar, style_swap, without_kl
from etude.studies.vaes.autoencoders import Codes, rms


def linear_vae(seed: int = 0) -> tuple[bound.LinearVAE, torch.Tensor]:
    """A linear VAE with random weights, and examples."""
    design = bound.Bound(numbers=5, latents=2, examples=50)
    return bound.LinearVAE(5, 2, torch.Generator().manual_seed(seed)), bound.drawn(design, seed)


def test_the_likelihood_of_the_linear_model_is_scipys() -> None:
    network, x = linear_vae()
    covariance = (network.V @ network.V.T).detach().numpy() + np.exp(2 * network.log_s.item()) * np.eye(5)
    wanted = -scipy.stats.multivariate_normal(network.b.detach().numpy(), covariance).logpdf(x.numpy())
    np.testing.assert_allclose(network.negative_log_likelihood(x).detach(), wanted, rtol=1e-10)


def test_the_elbo_is_the_likelihood_and_the_kl_to_the_true_posterior() -> None:
    network, x = linear_vae(1)
    with torch.no_grad():
        precision = torch.eye(2, dtype=torch.float64) + network.V.T @ network.V / (2 * network.log_s).exp()
        covariance = torch.linalg.inv(precision)
        means = (x - network.b) @ network.V @ covariance / (2 * network.log_s).exp()
        q = torch.distributions.MultivariateNormal(x @ network.A.T + network.c, torch.diag(network.logvar.exp()))
        gap = torch.distributions.kl_divergence(q, torch.distributions.MultivariateNormal(means, covariance))
        torch.testing.assert_close(network.negative_elbo(x), network.negative_log_likelihood(x) + gap)


def test_importance_weights_tend_to_the_likelihood() -> None:
    network, x = linear_vae(2)
    with torch.no_grad():
        exact = network.negative_log_likelihood(x)
        gaps = [
            (network.importance_weighted(x, draws, torch.Generator().manual_seed(0)) - exact).mean().item()
            for draws in (5, 100_000)
        ]
    assert gaps[0] > gaps[1] > -0.05
    assert gaps[1] < 0.1


def test_the_gap_closes_as_the_linear_vae_trains() -> None:
    design = bound.Bound(examples=300, steps=400)
    path = bound.trained(design, 0)
    assert [each[0] for each in path][-1] == 400
    assert all(elbo > exact for _, elbo, _, exact in path)
    assert path[-1][1] - path[-1][3] < 0.2 * (path[0][1] - path[0][3])


def test_more_latents_than_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--latents 10 \(allowed: fewer than the numbers, 10\)"):
        bound.Bound(latents=10)


def test_the_gaussian_of_all_posteriors_has_their_moments() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, logvar = torch.randn(30, 3, generator=generator), torch.randn(30, 3, generator=generator) - 1
    empty = torch.zeros(30)
    codes = Codes(empty, empty, mean, logvar)
    draws = torch.cat([codes.draw(generator) for _ in range(4000)]).double()
    found_mean, found_covariance = posterior_of_one_image.aggregate(codes)
    torch.testing.assert_close(found_mean, draws.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(found_covariance, torch.cov(draws.T), atol=0.03, rtol=0.02)


def test_kl_of_a_diagonal_gaussian_is_the_loss() -> None:
    mean, logvar = torch.tensor([[0.3, -1.0]], dtype=torch.float64), torch.tensor([[-0.5, 0.2]], dtype=torch.float64)
    found = posterior_of_one_image.kl_of_gaussian(mean[0], torch.diag(logvar[0].exp()))
    assert found == pytest.approx(kl_to_standard_normal(mean, logvar).sum().item())


def test_procrustes_is_scipys_and_undoes_a_rotation() -> None:
    random = np.random.default_rng(0)
    first = retrain.standardised(random.normal(size=(40, 2)))
    turned = retrain.standardised(3 * first @ scipy.linalg.expm(np.array([[0, 1.0], [-1.0, 0]])) + 5)
    assert retrain.agreement(first, turned) < 0.9
    assert retrain.agreement(first, retrain.procrustes(first, turned)) == pytest.approx(1)
    other = retrain.standardised(random.normal(size=(40, 2)))
    rotation, scale = scipy.linalg.orthogonal_procrustes(other, first)
    wanted = other @ rotation * scale / (other**2).sum()
    np.testing.assert_allclose(retrain.procrustes(first, other), wanted)
    rotated, mapped = (retrain.agreement(first, way(first, other)) for way in (retrain.procrustes, retrain.linear))
    assert 0 <= rotated <= mapped <= 1


def test_slant_of_a_sheared_bar_is_its_shear() -> None:
    rows, columns = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    for shear in (-0.4, 0.0, 0.3):
        bar = torch.exp(-((columns - 14 + shear * (rows - 14)) ** 2) / 4) * ((rows - 14).abs() < 8)
        style = style_swap.style_of(bar[None, None])
        assert style.slant.item() == pytest.approx(shear, abs=0.01)
        assert style.ink.item() == pytest.approx(bar.mean().item(), rel=1e-5)


def test_correlation_between_labels_is_1_for_shared_styles_and_0_for_others() -> None:
    base = torch.randn(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = torch.stack([base, 2 * base + 1, base - 3])
    assert style_swap.correlation_between_labels(values) == pytest.approx(1)
    assert abs(style_swap.correlation_between_labels(values, shift=1)) < 0.15


def test_coarse_pixels_are_means_of_patches() -> None:
    images = torch.rand(60, 1, 28, 28)
    wanted = images.reshape(60, 7, 4, 7, 4).mean((2, 4)).flatten(1)
    torch.testing.assert_close(without_kl.coarse(images), wanted)
    assert frechet_distance(wanted, wanted) == pytest.approx(0, abs=1e-6)


def test_the_likelihood_from_a_mixture_is_that_of_quadrature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(without_kl, "DRAWS", 2000)
    torch.manual_seed(0)
    network, images = VAE((1, 28, 28), 2), torch.rand(4, 1, 28, 28)
    codes = Codes(images, torch.zeros(4), torch.zeros(4, 2), torch.full((4, 2), -2.0))
    found = without_kl.negative_log_likelihood(codes, network, torch.Generator().manual_seed(0))
    exact = exact_log_likelihood(network, images, latent_dim=2)
    torch.testing.assert_close(found, -exact.log_likelihood, atol=0.2, rtol=0)


def test_rms_is_the_root_of_the_mean_square() -> None:
    assert rms(torch.tensor([3.0, -4.0])) == pytest.approx(12.5**0.5)


def test_kl_with_each_reading_is_the_loss_of_the_same_gaussian() -> None:
    raw, mean = torch.tensor([[0.4, 1.3]]), torch.tensor([[0.2, -0.7]])
    for reading in std_or_logvar.READINGS.values():
        std = reading.std(raw)
        found = 0.5 * (mean.square() + std.square() - 1) - reading.log_std(raw)
        torch.testing.assert_close(found, kl_to_standard_normal(mean, 2 * std.log()))
        torch.testing.assert_close(reading.log_std(raw), std.abs().log())


def test_a_negative_standard_deviation_ends_training_at_once(tmp_path: Path) -> None:
    found = etude.study("std-or-logvar", runs_dir=tmp_path, seeds=2, steps=5)
    assert found.verdict == "false"
    assert found.findings[std_or_logvar.FAILED.format("σ")].values == (1, 1)
    assert found.findings[std_or_logvar.FAILED.format("log σ²")].values == (0, 0)
    assert found.figure.exists()


def test_bound_runs_with_few_examples(tmp_path: Path) -> None:
    found = etude.study("bound", runs_dir=tmp_path, seeds=2, steps=20, examples=100, draws=5)
    assert found.figure.exists()
    assert len(found.findings.evidence) == 10
