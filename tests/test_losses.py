"""Variational and classification losses against closed forms in float64; `test_losses_adversarial.py` has the rest."""

import math
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from etude import losses

DTYPES = [torch.bfloat16, torch.float32, torch.float64]
TOLERANCE = {torch.bfloat16: 1e-6, torch.float32: 1e-6, torch.float64: 1e-12}  # relative; bf16 is summed in float32

unhurried = settings(deadline=None)  # a busy machine is no failure


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Reconstruction.


def bernoulli_reference(logits: Tensor, images: Tensor) -> np.ndarray:
    """-y log σ(l) - (1 - y) log(1 - σ(l)), summed per image in float64."""
    l, y = logits.double().numpy(), images.double().numpy()  # noqa: E741
    per_pixel = y * np.logaddexp(0, -l) + (1 - y) * np.logaddexp(0, l)
    return per_pixel.reshape(len(l), -1).sum(1)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bernoulli_from_logits_equals_the_closed_form(dtype: torch.dtype) -> None:
    # Large images: a sum in bf16 itself would be wrong in its second digit.
    logits = (5 * torch.randn(3, 2, 60, 50, generator=seeded(), dtype=torch.float64)).to(dtype)
    images = torch.rand(3, 2, 60, 50, generator=seeded(1), dtype=torch.float64).to(dtype)
    found = losses.bernoulli_from_logits(logits, images)
    assert found.shape == (3,)
    assert found.dtype == torch.promote_types(dtype, torch.float32)
    np.testing.assert_allclose(found.numpy(), bernoulli_reference(logits, images), rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bernoulli_from_logits_at_logits_of_1e4(dtype: torch.dtype) -> None:
    logits = torch.tensor([1e4, -1e4, 1e4, -1e4, 1e4], dtype=dtype).unsqueeze(1).requires_grad_()
    images = torch.tensor([1, 0, 0, 1, 0.25], dtype=dtype).unsqueeze(1)
    found = losses.bernoulli_from_logits(logits, images)
    size = logits[0].item()  # 9984 in bf16
    np.testing.assert_allclose(found.tolist(), [0, 0, size, size, 0.75 * size], rtol=1e-7)
    found.sum().backward()
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == [0, 0, 1, -1, 0.75]


def test_a_surely_right_pixel_costs_next_to_nothing_in_float32() -> None:
    logits = torch.linspace(0, 40, 401).unsqueeze(1)
    found = losses.bernoulli_from_logits(
        torch.cat([logits, -logits]), torch.cat([torch.ones(401, 1), torch.zeros(401, 1)])
    )
    expected = np.logaddexp(0, -torch.cat([logits, logits]).double().numpy())[:, 0]
    assert np.abs(found.numpy() - expected).max() < 3e-6


def test_bernoulli_on_the_worked_numbers_of_the_course() -> None:
    predictions = torch.tensor([[0.8, 0.2]], dtype=torch.float64)
    labels = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    total = losses.bernoulli(predictions, labels)
    assert total.item() == pytest.approx(2 * math.log(5), rel=1e-7)
    assert round(total.item(), 3) == 3.219
    assert round(total.item() / 2, 3) == 1.609
    assert losses.bernoulli_from_logits(predictions.logit(), labels).item() == pytest.approx(2 * math.log(5), rel=1e-7)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_bernoulli_equals_the_closed_form_for_grey_images(dtype: torch.dtype) -> None:
    probabilities = torch.empty(3, 1, 70, 60, dtype=torch.float64).uniform_(0.01, 0.99, generator=seeded()).to(dtype)
    images = torch.rand(3, 1, 70, 60, generator=seeded(1), dtype=torch.float64).to(dtype)
    p, y = probabilities.double().numpy(), images.double().numpy()
    expected = -(y * np.log(p) + (1 - y) * np.log1p(-p)).sum(axis=(1, 2, 3))
    found = losses.bernoulli(probabilities, images)
    assert found.dtype == torch.promote_types(dtype, torch.float32)
    np.testing.assert_allclose(found.numpy(), expected, rtol=TOLERANCE[dtype])


def test_bernoulli_costs_100_nats_for_a_sure_and_wrong_pixel_and_has_finite_gradients() -> None:
    probabilities = torch.tensor([[0.0], [1.0], [0.0], [1.0], [0.0]], requires_grad=True)
    found = losses.bernoulli(probabilities, torch.tensor([[0.0], [1.0], [1.0], [0.0], [0.5]]))
    assert found.tolist() == [0, 0, 100, 100, 50]
    found.sum().backward()
    assert probabilities.grad is not None
    assert probabilities.grad.isfinite().all()


def test_bernoulli_works_under_autocast() -> None:
    probabilities, images = torch.rand(2, 3, 4, 5, generator=seeded())
    expected = losses.bernoulli(probabilities, images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(losses.bernoulli(probabilities, images), expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gaussian_is_the_negative_log_density_of_unit_variance(dtype: torch.dtype) -> None:
    mean, images = torch.randn(2, 3, 1, 60, 50, generator=seeded(), dtype=torch.float64).to(dtype)
    expected = -Normal(mean.double(), 1.0).log_prob(images.double()).sum(dim=(1, 2, 3))
    found = losses.gaussian(mean, images)
    assert found.shape == (3,)
    assert found.dtype == torch.promote_types(dtype, torch.float32)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=TOLERANCE[dtype])


def test_gaussian_known_values_and_extremes() -> None:
    images = torch.zeros(3, 1, 1, 2, dtype=torch.float64)
    images[1:, 0, 0, 0] = torch.tensor([2.0, 1e4])
    constant = math.log(2 * math.pi)  # half of it for each of two pixels
    found = losses.gaussian(torch.zeros_like(images), images)
    np.testing.assert_allclose(found.numpy(), [constant, constant + 2, constant + 5e7], rtol=1e-12)


# Kullback-Leibler divergence and evidence lower bound.


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_kl_agrees_with_torch_distributions(dtype: torch.dtype) -> None:
    mean, logvar = (3 * torch.randn(2, 50, 4, generator=seeded(), dtype=torch.float64)).to(dtype)
    expected = kl_divergence(Normal(mean.double(), (0.5 * logvar.double()).exp()), Normal(0.0, 1.0))
    found = losses.kl_to_standard_normal(mean, logvar)
    assert found.shape == (50, 4)
    assert found.dtype == torch.promote_types(dtype, torch.float32)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=2 * TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_kl_known_values() -> None:
    def kl(mean: float, logvar: float) -> float:
        return losses.kl_to_standard_normal(
            torch.tensor([[mean]], dtype=torch.float64), torch.tensor([[logvar]], dtype=torch.float64)
        ).item()

    assert kl(0, 0) == 0
    assert kl(1, 0) == pytest.approx(0.5, rel=1e-12)
    assert kl(0, 1) == pytest.approx((math.e - 2) / 2, rel=1e-12)
    assert kl(1, 1) == pytest.approx((math.e - 1) / 2, rel=1e-12)
    assert kl(0, math.log(4)) == pytest.approx((3 - math.log(4)) / 2, rel=1e-12)
    assert kl(0, 1e-6) == pytest.approx(2.5e-13, rel=1e-3)  # 1 + logvar - e^logvar would give 0 or 1e-16
    assert kl(1e4, 0) == pytest.approx(5e7, rel=1e-12)
    assert kl(0, -1e4) == pytest.approx(4999.5, rel=1e-12)


number = st.floats(-80, 80, width=32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@unhurried
@given(mean=number, logvar=number)
def test_kl_is_never_negative_and_0_at_the_prior_alone(dtype: torch.dtype, mean: float, logvar: float) -> None:
    kl = losses.kl_to_standard_normal(torch.tensor([[mean]], dtype=dtype), torch.tensor([[logvar]], dtype=dtype)).item()
    assert kl >= 0
    if max(abs(mean), abs(logvar)) > 1e-3:
        assert kl > 1e-7
    if mean == logvar == 0:
        assert kl == 0


@pytest.mark.parametrize(("dtype", "largest"), [(torch.bfloat16, 88), (torch.float32, 88), (torch.float64, 709)])
def test_kl_and_its_gradients_are_finite_over_the_documented_range(dtype: torch.dtype, largest: float) -> None:
    logvar = torch.tensor([[-1e4], [-100.0], [0.0], [largest]], dtype=dtype).requires_grad_()
    mean = torch.tensor([[1e4], [0.0], [-1e4], [1.0]], dtype=dtype).requires_grad_()
    kl = losses.kl_to_standard_normal(mean, logvar)
    assert kl.isfinite().all()
    losses.negative_elbo(torch.zeros(4, dtype=dtype), kl / 4).backward()
    assert mean.grad is not None
    assert logvar.grad is not None
    assert mean.grad.isfinite().all()
    assert logvar.grad.isfinite().all()


def test_negative_elbo_by_hand() -> None:
    reconstruction = torch.tensor([1.0, 3.0], dtype=torch.float64)
    kl = torch.tensor([[1.0, 0.2], [3.0, 0.4]], dtype=torch.float64)  # batch means 2 and 0.3
    assert losses.negative_elbo(reconstruction, kl).item() == pytest.approx(4.3, rel=1e-12)
    assert losses.negative_elbo(reconstruction, kl, beta=2).item() == pytest.approx(6.6, rel=1e-12)
    assert losses.negative_elbo(reconstruction, kl, beta=0).item() == pytest.approx(2, rel=1e-12)
    assert losses.negative_elbo(reconstruction, kl, free_bits_nats=0.5).item() == pytest.approx(4.5, rel=1e-12)
    assert losses.negative_elbo(reconstruction, kl, beta=2, free_bits_nats=3).item() == pytest.approx(14, rel=1e-12)


def test_free_bits_hold_back_the_gradient_of_the_latents_below_them_alone() -> None:
    # The second latent's mean is free although one image's value, 0.6, is above the free bits.
    kl = torch.tensor([[1.0, 0.6], [3.0, 0.0]], dtype=torch.float64, requires_grad=True)
    losses.negative_elbo(torch.zeros(2, dtype=torch.float64), kl, beta=3, free_bits_nats=0.5).backward()
    assert kl.grad is not None
    assert kl.grad.tolist() == [[1.5, 0], [1.5, 0]]


def test_negative_elbo_sums_bf16_in_float32() -> None:
    reconstruction = torch.full((1000,), 151.0, dtype=torch.bfloat16)
    kl = torch.full((1000, 2), 2.5, dtype=torch.bfloat16)
    found = losses.negative_elbo(reconstruction, kl)
    assert found.dtype == torch.float32
    assert found.item() == 156


@unhurried
@given(observed=st.floats(-5, 5), mean=st.floats(-3, 3), logvar=st.floats(-3, 3))
def test_negative_elbo_bounds_the_likelihood_and_meets_it_at_the_posterior(
    observed: float, mean: float, logvar: float
) -> None:
    # p(z) = N(0, 1), p(x|z) = N(z, 1): p(x) = N(0, 2) and p(z|x) = N(x/2, 1/2), all in closed form.
    def bound(mean: float, logvar: float) -> float:
        m, v = torch.tensor([[mean]], dtype=torch.float64), torch.tensor([[logvar]], dtype=torch.float64)
        expected_reconstruction = losses.gaussian(m, torch.full_like(m, observed)) + 0.5 * math.exp(logvar)
        return losses.negative_elbo(expected_reconstruction, losses.kl_to_standard_normal(m, v)).item()

    nll = 0.25 * observed**2 + 0.5 * math.log(4 * math.pi)
    assert bound(mean, logvar) >= nll - 1e-12
    assert bound(observed / 2, math.log(0.5)) == pytest.approx(nll, rel=1e-12)


# Classification.


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_cross_entropy_equals_the_closed_form(dtype: torch.dtype, label_smoothing: float) -> None:
    logits = (4 * torch.randn(500, 10, generator=seeded(), dtype=torch.float64)).to(dtype)
    labels = torch.randint(10, (500,), generator=seeded(1))
    l = logits.double().numpy()  # noqa: E741
    log_probabilities = l - np.logaddexp.reduce(l, axis=1, keepdims=True)
    target = np.full((500, 10), label_smoothing / 10)
    target[np.arange(500), labels.numpy()] += 1 - label_smoothing
    found = losses.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    assert found.dtype == torch.promote_types(dtype, torch.float32)
    assert found.item() == pytest.approx(-(target * log_probabilities).sum(axis=1).mean(), rel=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_cross_entropy_known_values_and_extremes(dtype: torch.dtype) -> None:
    zeros = torch.zeros(3, 10, dtype=dtype)
    labels = torch.tensor([0, 4, 9])
    assert losses.cross_entropy(zeros, labels).item() == pytest.approx(math.log(10), rel=1e-7)
    assert losses.cross_entropy(zeros, labels, label_smoothing=0.3).item() == pytest.approx(math.log(10), rel=1e-7)
    logits = torch.tensor([[1e4, -1e4], [1e4, -1e4]], dtype=dtype, requires_grad=True)
    distance = (logits[0, 0] - logits[0, 1]).item()
    found = losses.cross_entropy(logits, torch.tensor([0, 1]))
    assert found.item() == pytest.approx(distance / 2, rel=1e-7)
    found.backward()
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0, 0], [0.5, -0.5]]
    smoothed = losses.cross_entropy(logits, torch.tensor([0, 0]), label_smoothing=0.5)
    assert smoothed.item() == pytest.approx(distance / 4, rel=1e-7)


# What holds for all of them.

PER_IMAGE = {
    "bernoulli_from_logits": lambda a, b: losses.bernoulli_from_logits(a, b.sigmoid()),
    "bernoulli": lambda a, b: losses.bernoulli(a.sigmoid(), b.sigmoid()),
    "gaussian": losses.gaussian,
    "kl_to_standard_normal": losses.kl_to_standard_normal,
}
MEAN = {
    **{f"{name} discriminator": loss.discriminator for name, loss in losses.ADVERSARIAL.items()},
    **{f"{name} generator": lambda a, b, loss=loss: loss.generator(a) for name, loss in losses.ADVERSARIAL.items()},
    "negative_elbo": lambda a, b: losses.negative_elbo(a.sum(1), b.square(), beta=2, free_bits_nats=0.5),
    "cross_entropy": lambda a, b: losses.cross_entropy(a, b.argmax(1), label_smoothing=0.1),
}
batches = hnp.arrays(np.float64, st.tuples(st.just(2), st.integers(1, 6), st.integers(1, 5)), elements=st.floats(-9, 9))


@pytest.mark.parametrize("name", MEAN)
@unhurried
@given(batch=batches, order=st.randoms(use_true_random=False))
def test_the_order_of_the_batch_does_not_matter_to_a_mean(name: str, batch: np.ndarray, order: Random) -> None:
    a, b = torch.from_numpy(batch)
    permutation = torch.tensor(order.sample(range(len(a)), len(a)))
    permuted = MEAN[name](a[permutation], b[permutation])
    torch.testing.assert_close(permuted, MEAN[name](a, b), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", PER_IMAGE)
@unhurried
@given(batch=batches)
def test_an_image_costs_the_same_alone_as_in_a_batch(name: str, batch: np.ndarray) -> None:
    a, b = torch.from_numpy(batch)
    alone = torch.cat([PER_IMAGE[name](a[i : i + 1], b[i : i + 1]) for i in range(len(a))])
    torch.testing.assert_close(PER_IMAGE[name](a, b), alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [*PER_IMAGE, "negative_elbo", "cross_entropy"])
def test_gradients_agree_with_finite_differences(name: str) -> None:
    a = torch.randn(4, 3, generator=seeded(), dtype=torch.float64).requires_grad_()
    b = torch.randn(4, 3, generator=seeded(1), dtype=torch.float64)
    b.requires_grad_(name in ("gaussian", "kl_to_standard_normal", "negative_elbo"))
    assert torch.autograd.gradcheck({**PER_IMAGE, **MEAN}[name], (a, b))
