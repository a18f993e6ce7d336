"""How an example becomes noise: x_t = α(t) x + σ(t) ε, for times t from 0, the example, to 1, standard normal noise.

Its velocity along the way is dx_t/dt = α'(t) x + σ'(t) ε. Whoever knows x_t and one of the velocity, the noise ε and
the example x knows the others.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SLOWEST, FASTEST = 0.1, 20.0
"""The rates β at which the linear schedule adds noise, at times 0 and 1: those of Ho et al. 2020, 1,000-fold."""
LAST_SIGNAL = 0.006
"""α(1) of the cosine schedule, about that of the linear one: at 0 the noise would say nothing of the example."""


@dataclass(frozen=True)
class Levels:
    """α, σ and their derivatives by the time, at times of any one shape; α ≥ 0, σ ≥ 0."""

    signal: Tensor
    noise: Tensor
    signal_slope: Tensor
    noise_slope: Tensor

    def mixed(self, example: Tensor, noise: Tensor) -> Tensor:
        """x_t = α x + σ ε."""
        return self.signal * example + self.noise * noise

    def velocity(self, example: Tensor, noise: Tensor) -> Tensor:
        """dx_t/dt = α' x + σ' ε."""
        return self.signal_slope * example + self.noise_slope * noise

    def parts_by_velocity(self, mixed: Tensor, velocity: Tensor) -> tuple[Tensor, Tensor]:
        """The example and the noise that make this x_t and this velocity."""
        determinant = self.signal * self.noise_slope - self.signal_slope * self.noise
        example = (self.noise_slope * mixed - self.noise * velocity) / determinant
        return example, (self.signal * velocity - self.signal_slope * mixed) / determinant

    def example_by_noise(self, mixed: Tensor, noise: Tensor) -> Tensor:
        """The example that makes this x_t with this noise; needs α > 0."""
        return (mixed - self.noise * noise) / self.signal

    def noise_by_example(self, mixed: Tensor, example: Tensor) -> Tensor:
        """The noise that makes this x_t with this example; needs σ > 0."""
        return (mixed - self.signal * example) / self.noise


def straight(times: Tensor) -> Levels:
    """α = 1 − t, σ = t: a straight line at constant velocity ε − x (Lipman et al. 2023; Liu et al. 2023)."""
    ones = torch.ones_like(times)
    return Levels(1 - times, times, -ones, ones)


def cosine(times: Tensor) -> Levels:
    """α = cos(ωt), σ = sin(ωt), ω just below π/2: noise comes evenly (Nichol and Dhariwal 2021, equation 17)."""
    speed = math.acos(LAST_SIGNAL)
    signal, noise = (speed * times).cos(), (speed * times).sin()
    return Levels(signal, noise, -speed * noise, speed * signal)


def linear(times: Tensor) -> Levels:
    """α = exp(−½ ∫β), σ² = 1 − α², β rising in a straight line (Ho et al. 2020; Song et al. 2021, equation 33).

    The time is continuous, 1 is their step 1,000. At time 0 the derivative of σ is infinite.
    """
    rate = SLOWEST + (FASTEST - SLOWEST) * times
    total = SLOWEST * times + 0.5 * (FASTEST - SLOWEST) * times.square()
    signal, noise = (-0.5 * total).exp(), (-torch.expm1(-total)).sqrt()
    signal_slope = -0.5 * rate * signal
    return Levels(signal, noise, signal_slope, -signal * signal_slope / noise)


SCHEDULES: dict[str, Callable[[Tensor], Levels]] = {"straight": straight, "cosine": cosine, "linear": linear}
