import pytest
import torch
from torch import Tensor, nn

from etude.errors import UsageError
from etude.losses import bernoulli_from_logits
from etude.losses import gaussian as gaussian_loss
from etude.metrics import exact_log_likelihood, importance_weighted_bound
from etude.metrics.quadrature import bernoulli_pairs, gaussian_pairs
from etude.models import VAE


class Linear(nn.Module):
    """Logits or means Wz + b of 8 pixels."""

    def __init__(self, latent_dim: int, scale: float = 1.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = scale * torch.randn(8, latent_dim, generator=generator, dtype=torch.float64)
        self.bias = torch.randn(8, generator=generator, dtype=torch.float64)

    def decode_logits(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        shift = 0 if labels is None else labels[:, None].double()
        return latents @ self.weight.T + self.bias + shift


@pytest.mark.parametrize("latent_dim", [1, 2])
@pytest.mark.parametrize("scale", [0.5, 8.0, 60.0])  # posteriors down to a hundredth of a cell
def test_a_linear_gaussian_model_has_its_closed_form(latent_dim: int, scale: float) -> None:
    model = Linear(latent_dim, scale)
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(6, latent_dim, generator=generator, dtype=torch.float64)
    images = model.decode_logits(latents) + torch.randn(6, 8, generator=generator, dtype=torch.float64)
    covariance = model.weight @ model.weight.T + torch.eye(8, dtype=torch.float64)
    expected = torch.distributions.MultivariateNormal(model.bias, covariance).log_prob(images)
    found = exact_log_likelihood(model, images, latent_dim=latent_dim, pairs=gaussian_pairs)
    torch.testing.assert_close(found.log_likelihood, expected, rtol=0, atol=2e-3)  # of the 1e-2 allowed
    assert (found.error_nats < 1e-2).all()


def test_a_bernoulli_model_sums_to_one_over_all_images() -> None:
    model = Linear(1, 2.0)
    images = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 8)  # all 256
    found = exact_log_likelihood(model, images, latent_dim=1)
    assert found.log_likelihood.exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_labels_choose_the_decoder() -> None:
    model, images = Linear(1), torch.rand(5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64).round()
    labels = torch.tensor([0, 2, 0, 1, 2])
    found = exact_log_likelihood(model, images, labels, latent_dim=1).log_likelihood
    for row, label in enumerate(labels.tolist()):
        alone = Linear(1)
        alone.bias = alone.bias + label
        expected = exact_log_likelihood(alone, images[row : row + 1], latent_dim=1).log_likelihood
        assert found[row].item() == pytest.approx(expected.item(), abs=1e-9)


def test_importance_weighting_of_a_vae_comes_up_to_it_from_below() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = VAE((1, 16, 16), latent_dim=2)
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0)).round()
    exact = exact_log_likelihood(vae, images, latent_dim=2).log_likelihood
    few, many = (importance_weighted_bound(vae, images, num_samples=k, seed=0) for k in (10, 5000))
    assert (few.mean() < exact.mean() - 1).item()
    assert (many <= exact + 0.05).all()
    assert (exact.mean() - many.mean()).item() < 0.15


def test_pairs_are_the_losses_of_every_pair() -> None:
    generator = torch.Generator().manual_seed(0)
    decoded = torch.randn(3, 1, 4, 4, generator=generator, dtype=torch.float64)
    images = torch.rand(5, 1, 4, 4, generator=generator, dtype=torch.float64)
    for pairs, loss in ((bernoulli_pairs, bernoulli_from_logits), (gaussian_pairs, gaussian_loss)):
        expected = torch.stack([-loss(each.expand_as(images), images) for each in decoded], dim=1)
        torch.testing.assert_close(pairs(decoded, images), expected, rtol=1e-10, atol=1e-10)


def test_more_latents_are_refused() -> None:
    with pytest.raises(
        UsageError,
        match=r"^latent_dim is 3; quadrature takes 1 or 2 latents: use importance_weighted_bound for more\.$",
    ):
        exact_log_likelihood(Linear(3), torch.zeros(1, 8), latent_dim=3)
    with pytest.raises(UsageError, match=r"^tolerance_nats is 2; allowed: 1e-9 to 1\.$"):
        exact_log_likelihood(Linear(1), torch.zeros(1, 8), latent_dim=1, tolerance_nats=2)
