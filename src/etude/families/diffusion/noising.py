"""How an example becomes noise: x_t = α(t) x + σ(t) ε, from the example at time 0 to standard normal noise at time 1.

The velocity along the way is dx_t/dt = α'(t) x + σ'(t) ε. If x_t and one of velocity, noise ε and example x are known,
so are the other two.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SLOWEST, FASTEST = 0.1, 20.0
"""The rates β of the linear schedule at times 0 and 1: those of Ho et al. 2020, times 1,000."""
LAST_SIGNAL = 0.006
"""α(1) of the cosine schedule, close to that of the linear one. At 0 the noise would tell nothing about the example."""


@dataclass(frozen=True)
class Levels:
    """α, σ and their time derivatives, at times of any shape; α ≥ 0, σ ≥ 0."""

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
        """The example that makes this x_t with this noise. Needs α > 0."""
        return (mixed - self.noise * noise) / self.signal

    def noise_by_example(self, mixed: Tensor, example: Tensor) -> Tensor:
        """The noise that makes this x_t with this example. Needs σ > 0."""
        return (mixed - self.signal * example) / self.noise


def straight(times: Tensor) -> Levels:
    """α = 1 − t, σ = t: a straight line at constant velocity ε − x (Lipman et al. 2023; Liu et al. 2023)."""
    ones = torch.ones_like(times)
    return Levels(1 - times, times, -ones, ones)


def cosine(times: Tensor) -> Levels:
    """α = cos(ωt), σ = sin(ωt), ω just below π/2: noise is added evenly (Nichol and Dhariwal 2021, equation 17)."""
    speed = math.acos(LAST_SIGNAL)
    signal, noise = (speed * times).cos(), (speed * times).sin()
    return Levels(signal, noise, -speed * noise, speed * signal)


def linear(times: Tensor) -> Levels:
    """α = exp(−½ ∫β), σ² = 1 − α², with β rising linearly (Ho et al. 2020; Song et al. 2021, equation 33).

    The time is continuous: 1 is their step 1,000. At time 0 the derivative of σ is infinite.
    """
    rate = SLOWEST + (FASTEST - SLOWEST) * times
    total = SLOWEST * times + 0.5 * (FASTEST - SLOWEST) * times.square()
    signal, noise = (-0.5 * total).exp(), (-torch.expm1(-total)).sqrt()
    signal_slope = -0.5 * rate * signal
    return Levels(signal, noise, signal_slope, -signal * signal_slope / noise)


SCHEDULES: dict[str, Callable[[Tensor], Levels]] = {"straight": straight, "cosine": cosine, "linear": linear}
