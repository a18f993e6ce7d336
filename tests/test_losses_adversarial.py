"""Adversarial losses and the gradient penalty against the formulas of the papers, in 5,000-digit arithmetic."""

import math
from collections.abc import Callable
from typing import Any, get_args

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

from etude import losses
from etude.families.adversarial.recipe import AdversarialLoss

DTYPES = [torch.bfloat16, torch.float32, torch.float64]
TOLERANCE = {torch.bfloat16: 1e-6, torch.float32: 1e-6, torch.float64: 1e-12}  # relative; bf16 is summed in float32
REAL = [1e4, -1e4, 30.0, -2.5, 0.0, 0.5, 17.0]
GENERATED = [-1e4, 3e3, -45.0, -0.25, 0.0, 1.0, 21.0]
Number = Any  # of mpmath, which has no types


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def column(values: list[float], dtype: torch.dtype = torch.float64) -> Tensor:
    """Scores as a discriminator returns them, (N, 1)."""
    return torch.tensor(values, dtype=dtype).unsqueeze(1)


# The formulas of the papers, word for word: with 5,000 digits 1 - sigmoid(1e4) is not 0.


def log_d(score: float) -> Number:
    return mpmath.log(1 / (1 + mpmath.exp(-score)))


def log_one_minus_d(score: float) -> Number:
    return mpmath.log(1 - 1 / (1 + mpmath.exp(-score)))


def mean(term: Callable[[float], object], scores: list[float]) -> Number:
    return mpmath.fsum(term(score) for score in scores) / len(scores)


def cross_entropy(real: list[float], generated: list[float]) -> Number:
    return -mean(log_d, real) - mean(log_one_minus_d, generated)


PAPER: dict[str, tuple[Callable[..., Number], Callable[..., Number]]] = {
    "nonsaturating": (cross_entropy, lambda g: -mean(log_d, g)),
    "minimax": (cross_entropy, lambda g: mean(log_one_minus_d, g)),
    "least_squares": (
        lambda r, g: mean(lambda s: (s - 1) ** 2 / 2, r) + mean(lambda s: s**2 / 2, g),
        lambda g: mean(lambda s: (s - 1) ** 2 / 2, g),
    ),
    "wasserstein": (lambda r, g: mean(float, g) - mean(float, r), lambda g: -mean(float, g)),
    "hinge": (
        lambda r, g: mean(lambda s: max(0, 1 - s), r) + mean(lambda s: max(0, 1 + s), g),
        lambda g: -mean(float, g),
    ),
}


def test_every_adversarial_loss_of_the_recipes_is_there_and_has_a_reference() -> None:
    assert set(losses.ADVERSARIAL) == set(get_args(AdversarialLoss)) == set(PAPER)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", PAPER)
def test_adversarial_losses_equal_the_papers_formulas_up_to_scores_of_1e4(name: str, dtype: torch.dtype) -> None:
    real, generated = column(REAL, dtype), column(GENERATED, dtype)
    discriminator, generator = PAPER[name]
    with mpmath.workdps(5000):
        # bf16 rounds the scores themselves: the reference starts from the rounded ones.
        expected = discriminator(real.flatten().tolist(), generated.flatten().tolist())
        expected_generator = generator(generated.flatten().tolist())
    loss = losses.ADVERSARIAL[name]
    found, found_generator = loss.discriminator(real, generated), loss.generator(generated)
    assert found.shape == found_generator.shape == ()
    assert found.dtype == found_generator.dtype == torch.promote_types(dtype, torch.float32)
    assert found.item() == pytest.approx(float(expected), rel=TOLERANCE[dtype])
    assert found_generator.item() == pytest.approx(float(expected_generator), rel=TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("nonsaturating", math.log(4), math.log(2)),
        ("minimax", math.log(4), -math.log(2)),
        ("least_squares", 0.5, 0.5),
        ("wasserstein", 0.0, 0.0),
        ("hinge", 2.0, 0.0),
    ],
)
def test_known_values_at_a_score_of_0_where_d_is_one_half(name: str, discriminator: float, generator: float) -> None:
    zeros = torch.zeros(4, 1, dtype=torch.float64)
    loss = losses.ADVERSARIAL[name]
    assert loss.discriminator(zeros, zeros).item() == pytest.approx(discriminator, rel=1e-7, abs=0)
    assert loss.generator(zeros).item() == pytest.approx(generator, rel=1e-7, abs=0)


def test_known_values_by_hand() -> None:
    # D = 3/4 has the logit log 3.
    sure = torch.full((2, 1), math.log(3), dtype=torch.float64)
    nonsaturating, minimax = losses.ADVERSARIAL["nonsaturating"], losses.ADVERSARIAL["minimax"]
    assert nonsaturating.generator(sure).item() == pytest.approx(math.log(4 / 3), rel=1e-7)
    assert minimax.generator(sure).item() == pytest.approx(-math.log(4), rel=1e-7)
    assert nonsaturating.discriminator(sure, sure).item() == pytest.approx(math.log(16 / 3), rel=1e-7)
    least_squares = losses.ADVERSARIAL["least_squares"]
    assert least_squares.discriminator(column([3.0, 1.0]), column([1.0, 2.0])).item() == pytest.approx(2.25, rel=1e-7)
    assert least_squares.generator(column([3.0, 0.0])).item() == pytest.approx(1.25, rel=1e-7)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", PAPER)
def test_adversarial_gradients_are_finite_at_scores_of_1e4(name: str, dtype: torch.dtype) -> None:
    real, generated = column(REAL, dtype).requires_grad_(), column(GENERATED, dtype).requires_grad_()
    loss = losses.ADVERSARIAL[name]
    (loss.discriminator(real, generated) + loss.generator(generated)).backward()
    assert real.grad is not None
    assert generated.grad is not None
    assert real.grad.isfinite().all()
    assert generated.grad.isfinite().all()
    assert real.grad.abs().sum() > 0


def test_the_nonsaturating_generator_still_learns_where_the_minimax_one_does_not() -> None:
    gradients = {}
    for name in ("nonsaturating", "minimax"):
        scores = column([-50.0]).requires_grad_()
        losses.ADVERSARIAL[name].generator(scores).backward()
        assert scores.grad is not None
        gradients[name] = scores.grad.item()
    assert gradients["nonsaturating"] == pytest.approx(-1, rel=1e-12)
    assert -1e-20 < gradients["minimax"] < 0


@pytest.mark.parametrize("name", PAPER)
def test_adversarial_gradients_agree_with_finite_differences(name: str) -> None:
    # No score at the hinge's corners, ±1.
    real, generated = column([0.3, -2.0, 4.0]).requires_grad_(), column([-0.7, 0.0, 3.0]).requires_grad_()
    loss = losses.ADVERSARIAL[name]
    assert torch.autograd.gradcheck(loss.discriminator, (real, generated))
    assert torch.autograd.gradcheck(loss.generator, (generated,))


# The gradient penalty.


def mixing(num: int) -> Tensor:
    return torch.rand(num, generator=seeded())


def test_gradient_penalty_of_a_linear_discriminator_depends_on_its_slope_alone() -> None:
    slope = torch.randn(2, 3, 4, generator=seeded(), dtype=torch.float64)
    real, generated = torch.randn(2, 5, 2, 3, 4, generator=seeded(1), dtype=torch.float64)
    penalty = losses.gradient_penalty(
        lambda x: (x * slope).flatten(1).sum(1, keepdim=True), real, generated, mixing=mixing(5)
    )
    assert penalty.shape == ()
    assert penalty.item() == pytest.approx((np.linalg.norm(slope.numpy()) - 1) ** 2, rel=1e-12)


def test_gradient_penalty_mixes_each_pair_with_its_weight_and_averages_over_images() -> None:
    def half_squared_norm(images: Tensor) -> Tensor:  # its gradient at x is x
        return 0.5 * images.square().flatten(1).sum(1, keepdim=True)

    real, generated = torch.full((64, 1, 2, 2), 3.0), torch.full((64, 1, 2, 2), -1.0)
    penalty = losses.gradient_penalty(half_squared_norm, real, generated, mixing=mixing(64))
    norms = 2 * np.abs(4 * mixing(64).numpy().astype(float) - 1)
    assert penalty.item() == pytest.approx(np.square(norms - 1).mean(), rel=1e-6)


def test_gradient_penalty_trains_the_discriminator_and_nothing_else() -> None:
    weights = torch.randn(6, 1, generator=seeded(), dtype=torch.float64).requires_grad_()
    real = torch.randn(4, 1, 2, 3, generator=seeded(1), dtype=torch.float64)
    generated = torch.randn(4, 1, 2, 3, generator=seeded(2), dtype=torch.float64).requires_grad_()

    def penalty(weights: Tensor) -> Tensor:
        return losses.gradient_penalty(lambda x: torch.tanh(x.flatten(1) @ weights), real, generated, mixing=mixing(4))

    assert torch.autograd.gradcheck(penalty, (weights,))
    penalty(weights).backward()
    assert generated.grad is None


def test_gradient_penalty_is_1_with_finite_gradients_where_the_discriminator_is_flat() -> None:
    weight = torch.zeros(1, requires_grad=True)
    images = torch.ones(3, 1, 2, 2)
    penalty = losses.gradient_penalty(
        lambda x: (x * weight).flatten(1).sum(1, keepdim=True), images, images, mixing=mixing(3)
    )
    penalty.backward()
    assert penalty.item() == 1
    assert weight.grad is not None
    assert weight.grad.isfinite().all()
