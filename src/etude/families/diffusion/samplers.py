"""From noise to examples: the samplers, as functions of a denoiser, which separates the example and the noise in x_t.

All go from time 1 to time 0 along the same path, which turns the distribution of x_1 into that of x_0 (Song et al.
2021, equation 13). They differ in how many steps they need to follow it closely.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

from torch import Tensor

from etude.families.diffusion.noising import Levels

Denoiser = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""For x_t (N, ...) and the time (), the expected example and the expected noise (N, ...)."""
Schedule = Callable[[Tensor], Levels]
Sampler = Callable[[Denoiser, Schedule, Tensor, Tensor], Iterator[Tensor]]
"""From a denoiser, a schedule, noise (N, ...) and falling times (steps + 1,), computes x_t after each step."""


def euler(denoiser: Denoiser, schedule: Schedule, x: Tensor, times: Tensor) -> Iterator[Tensor]:
    """Each step follows the velocity at its start: first order."""
    for now, then in pairwise(times):
        x = x + (then - now) * schedule(now).velocity(*denoiser(x, now))
        yield x


def heun(denoiser: Denoiser, schedule: Schedule, x: Tensor, times: Tensor) -> Iterator[Tensor]:
    """Each step follows the mean of the velocities at its start and at the end of Euler's step: second order.

    The last step is Euler's, which keeps the order (Karras et al. 2022, algorithm 1).
    """
    for now, then in pairwise(times):
        velocity = schedule(now).velocity(*denoiser(x, now))
        end = x + (then - now) * velocity
        if then > times[-1]:
            end = x + (then - now) / 2 * (velocity + schedule(then).velocity(*denoiser(end, then)))
        x = end
        yield x


def ddim(denoiser: Denoiser, schedule: Schedule, x: Tensor, times: Tensor) -> Iterator[Tensor]:
    """Each step keeps the example and the noise of its start: first order (Song et al. 2021, eq. 12).

    It is exact if they stay the same, as for a distribution of one point.
    """
    for now, then in pairwise(times):
        x = schedule(then).mixed(*denoiser(x, now))
        yield x


SAMPLERS: dict[str, Sampler] = {"euler": euler, "heun": heun, "ddim": ddim}
