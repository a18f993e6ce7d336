"""The ways from an example to noise, against their papers' formulas and automatic derivatives."""

import pytest
import torch

from etude.families.diffusion.noising import SCHEDULES, cosine, linear, straight

TIMES = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)


@pytest.mark.parametrize("name", SCHEDULES)
def test_slopes_are_derivatives(name: str) -> None:
    times = TIMES.clone().requires_grad_()
    levels = SCHEDULES[name](times)
    for level, slope in ((levels.signal, levels.signal_slope), (levels.noise, levels.noise_slope)):
        (expected,) = torch.autograd.grad(level.sum(), times, retain_graph=True)
        torch.testing.assert_close(slope, expected)


@pytest.mark.parametrize("name", SCHEDULES)
def test_ends(name: str) -> None:
    levels = SCHEDULES[name](torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(levels.signal, torch.tensor([1.0, 0.0]), atol=0.0067, rtol=0)
    torch.testing.assert_close(levels.noise, torch.tensor([0.0, 1.0]), atol=1e-4, rtol=0)


def test_straight_is_the_mean_of_both() -> None:
    levels = straight(torch.tensor(0.25))
    assert (levels.signal, levels.noise, levels.signal_slope, levels.noise_slope) == (0.75, 0.25, -1, 1)


def test_linear_is_that_of_ho_et_al() -> None:
    rates = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)  # their section 4
    kept = (1 - rates).cumprod(0)  # ᾱ of steps 1 to 1,000
    levels = linear(torch.arange(1, 1001, dtype=torch.float64) / 1000)
    torch.testing.assert_close(levels.signal.square().log(), kept.log(), rtol=0.012, atol=5e-4)
    torch.testing.assert_close(levels.signal.square() + levels.noise.square(), torch.ones_like(kept))


def test_cosine_is_that_of_nichol_and_dhariwal() -> None:
    angle = (TIMES + 0.008) / 1.008 * torch.pi / 2  # their equation 17
    expected = angle.cos() / torch.tensor(0.008 / 1.008 * torch.pi / 2).cos()
    torch.testing.assert_close(cosine(TIMES).signal, expected, rtol=0, atol=0.015)


@pytest.mark.parametrize("name", SCHEDULES)
def test_velocity_and_noise_tell_the_example(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    example, noise = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    levels = SCHEDULES[name](TIMES[:, None])
    mixed = levels.mixed(example, noise)
    found = levels.parts_by_velocity(mixed, levels.velocity(example, noise))
    for value, expected in zip(found, (example, noise), strict=True):
        torch.testing.assert_close(value, expected)
    torch.testing.assert_close(levels.example_by_noise(mixed, noise), example)
    torch.testing.assert_close(levels.noise_by_example(mixed, example), noise)
