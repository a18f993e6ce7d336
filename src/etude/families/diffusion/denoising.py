"""Draw new examples with a network: what it predicts about x_t, and the way back from noise."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from etude.data.kinds import Images, Kind
from etude.families.diffusion.noising import SCHEDULES
from etude.families.diffusion.recipe import Diffusion
from etude.families.diffusion.samplers import SAMPLERS, Denoiser


def denoiser(
    recipe: Diffusion, network: Callable[..., Tensor], kind: Kind, *, guidance: float, classes: Tensor | None
) -> Denoiser:
    """Apply the network to x_t of examples in [-1, 1], with classes one-hot (N, num_classes).

    With guidance w the prediction is p + w (p_c − p), where p_c knows the class and p does not (Ho and Salimans 2022,
    equation 6, whose weight is w − 1). For images, the predicted example is clipped to [-1, 1] (Ho et al. 2020, section
    3.3).
    """

    def denoise(x: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        times = time.to(x.device).expand(len(x))
        predicted = network(x, times, classes).float()
        if classes is not None and guidance != 1:
            plain = network(x, times, torch.zeros_like(classes)).float()
            predicted = plain + guidance * (predicted - plain)
        levels = SCHEDULES[recipe.schedule](time)
        if recipe.predicts == "velocity":
            example, noise = levels.parts_by_velocity(x, predicted)
        else:
            example, noise = levels.example_by_noise(x, predicted), predicted
        if isinstance(kind, Images):
            example = example.clamp(-1, 1)
            noise = levels.noise_by_example(x, example)
        return example, noise

    return denoise


def way_from_noise(
    recipe: Diffusion, network: Callable[..., Tensor], kind: Kind, noise: Tensor, classes: Tensor | None
) -> Iterator[Tensor]:
    """x_t (N, ...) after each of the recipe's steps, from noise (N, ...). The last are the new examples."""
    denoise = denoiser(recipe, network, kind, guidance=recipe.guidance, classes=classes)
    times = shifted(torch.linspace(1, 0, recipe.sampling_steps + 1), recipe.time_shift)
    return SAMPLERS[recipe.sampler](denoise, SCHEDULES[recipe.schedule], noise, times)


def shifted(times: Tensor, shift: float) -> Tensor:
    """Times in [0, 1] moved towards 1, where there is more noise, for a shift above 1 (Esser et al. 2024, eq. 23)."""
    return shift * times / (1 + (shift - 1) * times)
