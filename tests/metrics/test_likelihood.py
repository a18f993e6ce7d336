import math
import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.errors import UsageError
from etude.losses import gaussian
from etude.metrics import binarize, bits_per_dimension, elbo_terms, grey_note, importance_weighted_bound
from etude.models import VAE


class LinearGaussian(nn.Module):
    """p(x | z) = N(Wz + b, I) with orthogonal columns of W, so that the exact posterior is diagonal and known.

    `shift` and `log_widening` move the encoder away from the exact posterior; the marginal N(b, WWᵀ + I) stays.
    """

    def __init__(self, *, shift: float = 0.0, log_widening: float = 0.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        columns = torch.linalg.qr(torch.randn(8, 3, generator=generator, dtype=torch.float64)).Q
        self.weight = columns * torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)  # (8, 3)
        self.bias = torch.randn(8, generator=generator, dtype=torch.float64)
        self.shift, self.log_widening = shift, log_widening
        self.most_decoded = 0

    def encode(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        precision = 1 + self.weight.square().sum(0)  # (3,)
        mean = (images - self.bias) @ self.weight / precision
        logvar = (self.log_widening - precision.log()).expand(mean.shape)
        return mean + self.shift, logvar

    def decode_logits(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        self.most_decoded = max(self.most_decoded, len(latents))
        return latents @ self.weight.T + self.bias

    def draw(self, num_images: int) -> Tensor:
        generator = torch.Generator().manual_seed(2**40)  # no measurement may draw the same noise
        latents = torch.randn(num_images, 3, generator=generator, dtype=torch.float64)
        noise = torch.randn(num_images, 8, generator=generator, dtype=torch.float64)
        return latents @ self.weight.T + self.bias + noise

    def log_likelihood(self, images: Tensor) -> Tensor:
        covariance = self.weight @ self.weight.T + torch.eye(8, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(self.bias, covariance).log_prob(images)


def test_with_the_exact_posterior_one_sample_is_the_exact_likelihood() -> None:
    model = LinearGaussian()
    images = model.draw(50)
    bound = importance_weighted_bound(model, images, num_samples=1, seed=0, reconstruction=gaussian)
    torch.testing.assert_close(bound, model.log_likelihood(images), rtol=0, atol=1e-9)


def test_with_a_poor_posterior_many_samples_reach_the_likelihood_to_a_thousandth_of_a_nat() -> None:
    model = LinearGaussian(shift=0.1, log_widening=0.3)
    images = model.draw(100)
    bound = importance_weighted_bound(
        model, images, num_samples=20_000, seed=0, reconstruction=gaussian, max_decoded=100_000
    )
    assert bound.mean().item() == pytest.approx(model.log_likelihood(images).mean().item(), abs=1e-3)


def test_the_gap_at_one_sample_is_the_divergence_of_the_posteriors_and_falls_with_more() -> None:
    model = LinearGaussian(shift=0.3, log_widening=0.5)
    images = model.draw(40_000)
    exact = model.log_likelihood(images).mean().item()
    precision = 1 + model.weight.square().sum(0)
    divergence = 0.5 * (math.exp(0.5) - 1 - 0.5 + precision * 0.3**2).sum().item()
    gaps = [
        exact - importance_weighted_bound(model, images, num_samples=k, seed=0, reconstruction=gaussian).mean().item()
        for k in (1, 5, 25)
    ]
    assert gaps[0] == pytest.approx(divergence, rel=0.05)
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] > 0
    terms = elbo_terms(model, images, seed=1, reconstruction=gaussian)
    assert terms.negative_elbo_nats.mean().item() == pytest.approx(divergence - exact, rel=0.01)


def test_elbo_terms_are_the_closed_forms() -> None:
    model = LinearGaussian(log_widening=-40.0)  # no noise left: the reconstruction is that of the mean
    images = model.draw(20)
    mean, logvar = model.encode(images)
    terms = elbo_terms(model, images, seed=0, reconstruction=gaussian, batch_size=7)
    decoded = torch.distributions.Normal(model.decode_logits(mean), 1.0)
    torch.testing.assert_close(terms.reconstruction_nats, -decoded.log_prob(images).sum(1), rtol=0, atol=1e-5)
    posterior = torch.distributions.Normal(mean, (0.5 * logvar).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(terms.kl_nats, expected)


@pytest.mark.parametrize(("num_samples", "max_decoded"), [(1, 1), (7, 3), (100, 64), (3, 1000)])
def test_no_more_images_are_decoded_at_once_than_allowed_whatever_the_split(num_samples: int, max_decoded: int) -> None:
    model = LinearGaussian()
    images = model.draw(10)
    bound = importance_weighted_bound(
        model, images, num_samples=num_samples, seed=0, reconstruction=gaussian, max_decoded=max_decoded
    )
    assert model.most_decoded <= max_decoded
    torch.testing.assert_close(bound, model.log_likelihood(images), rtol=0, atol=1e-9)


def test_weights_that_underflow_float64_stay_finite() -> None:
    model = LinearGaussian()
    images = model.draw(2) + 1000  # log-likelihoods near -10⁶
    bound = importance_weighted_bound(model, images, num_samples=10, seed=0, reconstruction=gaussian)
    torch.testing.assert_close(bound, model.log_likelihood(images), rtol=1e-9, atol=0)


@pytest.fixture
def vae() -> VAE:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = VAE((1, 16, 16), latent_dim=4)
    with torch.no_grad():  # a tame posterior and decoder: two estimates of 1,000 samples each then agree closely
        for parameter in vae.parameters():
            parameter.mul_(0.5)
    return vae


def test_an_etude_vae_is_measured_in_eval_mode_without_touching_the_global_generator(vae: VAE) -> None:
    images = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0)).round()
    state = torch.get_rng_state()
    one = importance_weighted_bound(vae, images, num_samples=1000, seed=3)
    again = importance_weighted_bound(vae, images, num_samples=1000, seed=torch.Generator().manual_seed(3))
    torch.testing.assert_close(one, again, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert vae.training
    assert not one.requires_grad
    # The same estimate with torch.distributions, image by image, in float32.
    mean, logvar = vae.encode(images)
    posterior = torch.distributions.Normal(mean, (0.5 * logvar).exp())
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        latents = posterior.sample((1000,))  # (1000, 6, 4)
        log_q = posterior.log_prob(latents).sum(2)
        log_p = torch.distributions.Normal(0.0, 1.0).log_prob(latents).sum(2)
        decoded = vae.decode_logits(latents.flatten(0, 1)).unflatten(0, (1000, 6))
        cross_entropy = F.binary_cross_entropy_with_logits(decoded, images.expand_as(decoded), reduction="none")
        expected = torch.logsumexp(log_p - log_q - cross_entropy.flatten(2).sum(2), 0) - math.log(1000)
    torch.testing.assert_close(one, expected.double(), rtol=0, atol=0.2)


def test_dynamic_binarisation_draws_each_pixel_with_its_grey_value() -> None:
    images = torch.tensor([0.0, 0.25, 1.0]).expand(20_000, 3)
    drawn = binarize(images, "dynamic", seed=0)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), torch.tensor([0.0, 0.25, 1.0]), rtol=0, atol=0.01)
    generator = torch.Generator().manual_seed(0)
    first, second = (binarize(images, "dynamic", seed=generator) for _ in range(2))
    assert torch.equal(first, drawn)
    assert not torch.equal(first, second)


def test_static_binarisation_is_the_same_at_every_call_and_threshold_draws_nothing() -> None:
    images = torch.rand(50, 1, 4, 4, generator=torch.Generator().manual_seed(9))
    assert torch.equal(binarize(images, "static"), binarize(images, "static", seed=7))
    assert torch.equal(binarize(torch.tensor([0.0, 0.49, 0.5, 1.0]), "threshold"), torch.tensor([0.0, 0.0, 1.0, 1.0]))
    binary = images.round()
    for method in ("static", "threshold"):
        assert torch.equal(binarize(binary, method), binary)


def test_grey_pixels_are_said_to_give_no_likelihood() -> None:
    assert grey_note(torch.tensor([0.0, 1.0])) is None
    assert grey_note(torch.tensor([0.0, 0.5])) == (
        "grey pixels: these nats bound a cross-entropy and are no likelihood; "
        "binarise (static, dynamic or threshold) to compare with published values."
    )


def test_bits_per_dimension() -> None:
    assert bits_per_dimension(784 * math.log(2), 784) == pytest.approx(1)
    with pytest.raises(UsageError, match=r"^num_dimensions is 0; allowed: 1 or more\.$"):
        bits_per_dimension(1.0, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: binarize(torch.zeros(2), "dinamic"),  # pyright: ignore[reportArgumentType]
            "unknown binarisation 'dinamic': did you mean 'dynamic'? Choose from dynamic, static, threshold.",
        ),
        (
            lambda: binarize(torch.zeros(2), "dynamic"),
            "dynamic binarisation draws again at each call: give a seed or a torch.Generator.",
        ),
        (
            lambda: binarize(torch.tensor([-1.0, 1.0]), "static"),
            "images runs from -1 to 1; allowed: grey values in [0, 1].",
        ),
        (
            lambda: binarize(torch.tensor([math.nan]), "threshold"),
            "images runs from nan to nan; allowed: grey values in [0, 1].",
        ),
        (
            lambda: binarize(torch.zeros(2, dtype=torch.uint8), "threshold"),
            "images has shape (2,) and type torch.uint8; allowed: one image or more, in floating point.",
        ),
        (
            lambda: elbo_terms(LinearGaussian(), torch.zeros(0, 8), seed=0),
            "images has shape (0, 8); allowed: (images, ...), at least one image.",
        ),
        (
            lambda: elbo_terms(LinearGaussian(), torch.zeros(3, 8), torch.zeros(2), seed=0),
            "labels has shape (2,); allowed: (3,), one label per image.",
        ),
        (
            lambda: importance_weighted_bound(LinearGaussian(), torch.zeros(3, 8), num_samples=0, seed=0),
            "num_samples is 0; allowed: 1 or more.",
        ),
        (
            lambda: importance_weighted_bound(VAE((1, 17, 17), 2), torch.zeros(3, 1, 20, 20), num_samples=1, seed=0),
            "the model decodes to shape (3, 1, 17, 17), the images have (3, 1, 20, 20): they must agree.",
        ),
    ],
)
def test_unfit_arguments_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        call()
