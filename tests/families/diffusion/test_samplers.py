"""Samplers against closed forms: for Gaussian data, and data of one point, the best denoiser and the way are known."""

import pytest
import torch
from torch import Tensor

from etude.families.diffusion.denoising import shifted
from etude.families.diffusion.noising import SCHEDULES
from etude.families.diffusion.samplers import SAMPLERS, Denoiser

# A Gaussian in the plane: mean, eigenvectors, and the standard deviations along them.
MEAN = torch.tensor([0.7, -0.4], dtype=torch.float64)
TURN = torch.linalg.qr(torch.tensor([[1.0, 2.0], [-1.0, 1.0]], dtype=torch.float64))[0]
SPREAD = torch.tensor([0.5, 1.5], dtype=torch.float64)
COVARIANCE = TURN @ SPREAD.square().diag() @ TURN.T


def gaussian_denoiser(schedule: str) -> Denoiser:
    """E[x | x_t] and E[ε | x_t], by the formula for two Gaussians of which the sum is known."""

    def denoise(x: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        levels = SCHEDULES[schedule](time)
        inverse = torch.linalg.inv(levels.signal**2 * COVARIANCE + levels.noise**2 * torch.eye(2, dtype=x.dtype))
        gap = (x - levels.signal * MEAN) @ inverse
        return MEAN + levels.signal * gap @ COVARIANCE, levels.noise * gap

    return denoise


def exact_end(schedule: str, noise: Tensor) -> Tensor:
    """Where the way ends: along each eigenvector the distance from the mean, in standard deviations, never changes."""
    levels = SCHEDULES[schedule](torch.tensor(1.0, dtype=torch.float64))
    deviations = (levels.signal**2 * SPREAD.square() + levels.noise**2).sqrt()
    return MEAN + ((noise - levels.signal * MEAN) @ TURN / deviations * SPREAD) @ TURN.T


def noise_points() -> Tensor:
    return torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def error(sampler: str, schedule: str, steps: int) -> float:
    noise, times = noise_points(), torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    *_, end = SAMPLERS[sampler](gaussian_denoiser(schedule), SCHEDULES[schedule], noise, times)
    return float((end - exact_end(schedule, noise)).square().mean().sqrt())


@pytest.mark.parametrize(
    ("sampler", "schedule", "order"),
    [
        ("euler", "straight", 1),
        ("euler", "cosine", 1),
        ("heun", "straight", 2),
        ("heun", "cosine", 2),
        ("ddim", "straight", 1),
        ("ddim", "cosine", 1),
        ("ddim", "linear", 1),
    ],
)
def test_order(sampler: str, schedule: str, order: int) -> None:
    few, many = error(sampler, schedule, 200), error(sampler, schedule, 400)
    assert few < 0.05
    assert few / many == pytest.approx(2**order, rel=0.05)


@pytest.mark.parametrize("schedule", ["straight", "cosine"])
def test_heun_draws_the_gaussian(schedule: str) -> None:
    noise = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    times = torch.linspace(1, 0, 65, dtype=torch.float64)
    *_, end = SAMPLERS["heun"](gaussian_denoiser(schedule), SCHEDULES[schedule], noise, times)
    torch.testing.assert_close(end.mean(0), MEAN, atol=0.04, rtol=0)  # four standard errors of 1.5
    torch.testing.assert_close(end.T.cov(), COVARIANCE, atol=0.09, rtol=0)


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_ddim_is_exact_for_one_point(schedule: str, steps: int) -> None:
    def denoise(x: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        example = MEAN.expand_as(x)
        return example, SCHEDULES[schedule](time).noise_by_example(x, example)

    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    begin = SCHEDULES[schedule](times[0])
    noise = noise_points()
    way = list(SAMPLERS["ddim"](denoise, SCHEDULES[schedule], begin.mixed(MEAN, noise), times))
    assert len(way) == steps
    for x, time in zip(way, times[1:], strict=True):
        torch.testing.assert_close(x, SCHEDULES[schedule](time).mixed(MEAN, noise))


def test_on_the_straight_way_ddim_is_euler() -> None:
    times = torch.linspace(1, 0, 6, dtype=torch.float64)
    one, other = (
        list(SAMPLERS[name](gaussian_denoiser("straight"), SCHEDULES["straight"], noise_points(), times))
        for name in ("ddim", "euler")
    )
    torch.testing.assert_close(one, other)


def test_evaluations() -> None:
    """Heun's method takes two a step but for the last, and nobody asks at time 0, where nothing is to be learned."""
    asked: dict[str, list[float]] = {name: [] for name in SAMPLERS}
    for name, sampler in SAMPLERS.items():

        def denoise(x: Tensor, time: Tensor, name: str = name) -> tuple[Tensor, Tensor]:
            asked[name].append(float(time))
            return x, x

        assert len(list(sampler(denoise, SCHEDULES["straight"], noise_points(), torch.linspace(1, 0, 5)))) == 4
    assert asked == {
        "euler": [1, 0.75, 0.5, 0.25],
        "heun": [1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25],
        "ddim": [1, 0.75, 0.5, 0.25],
    }


@pytest.mark.parametrize("shift", [0.5, 1.0, 1.5, 3.0])
def test_a_shift_divides_signal_by_noise(shift: float) -> None:
    times = torch.linspace(0.95, 0.05, 10, dtype=torch.float64)
    before, after = (SCHEDULES["straight"](each) for each in (times, shifted(times, shift)))
    torch.testing.assert_close(after.signal / after.noise, before.signal / before.noise / shift)
    ends = torch.tensor([1.0, 0.0], dtype=torch.float64)
    assert torch.equal(shifted(ends, shift), ends)
