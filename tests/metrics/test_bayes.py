import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.errors import UsageError
from etude.losses import gaussian
from etude.metrics import accuracy, class_log_likelihoods, class_log_posterior
from etude.models import VAE


class ClassMeans(nn.Module):
    """p(x | z, class) = N(mean of the class + z, I) with its exact posterior: p(x | class) = N(mean, 2 I)."""

    def __init__(self, means: Tensor) -> None:
        super().__init__()
        self.means = means  # (num_classes, dim)

    def encode(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        assert labels is not None
        return (images - self.means[labels]) / 2, torch.full_like(images, math.log(0.5))

    def decode_logits(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        assert labels is not None
        return latents + self.means[labels]


def test_likelihoods_and_posterior_are_the_closed_form() -> None:
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (200,), generator=generator)
    images = means[labels] + math.sqrt(2) * torch.randn(200, 4, generator=generator, dtype=torch.float64)
    found = class_log_likelihoods(
        ClassMeans(means), images, num_classes=3, num_samples=2, seed=0, reconstruction=gaussian
    )
    expected = torch.distributions.Normal(means, math.sqrt(2)).log_prob(images[:, None]).sum(2)  # (200, 3)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(class_log_posterior(found).exp(), expected.softmax(1))
    prior = torch.tensor([0.2, 0.3, 0.5])
    torch.testing.assert_close(
        class_log_posterior(found, class_prior=prior).exp(), F.normalize(expected.exp() * prior.double(), p=1)
    )
    torch.testing.assert_close(class_log_posterior(found).exp().sum(1), torch.ones(200, dtype=torch.float64))


def test_far_classes_are_told_apart_by_certainty() -> None:
    means = 100 * torch.eye(3, dtype=torch.float64)
    found = class_log_likelihoods(
        ClassMeans(means), means, num_classes=3, num_samples=1, seed=0, reconstruction=gaussian
    )
    assert accuracy(class_log_posterior(found), torch.arange(3)) == 1


def test_an_etude_cvae_is_asked_for_every_class() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = VAE((1, 16, 16), latent_dim=2, num_classes=4)
    images = torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(0)).round()
    found = class_log_likelihoods(model, images, num_classes=4, num_samples=20, seed=0, max_decoded=30)
    assert found.shape == (5, 4)
    assert found.std(dim=1).min() > 0  # the label reaches the decoder


def test_an_unfit_prior_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^class_prior has shape \(3,\) and least entry 0; allowed: \(3,\), all above 0\.$"
    ):
        class_log_posterior(torch.zeros(2, 3), class_prior=torch.tensor([0.5, 0.5, 0.0]))
    with pytest.raises(UsageError, match=r"^num_classes is 1; allowed: 2 or more\.$"):
        class_log_likelihoods(nn.Identity(), torch.zeros(2, 3), num_classes=1, num_samples=1, seed=0)
