"""New examples from a network: what it says of the example and the noise in x_t, and the way from noise."""

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
    """The network, for x_t of examples in [-1, 1] whose classes, one-hot (N, num_classes), are given.

    With a guidance w its prediction is p + w (p_c − p), p_c told the class and p not (Ho and Salimans 2022, equation 6,
    whose weight is w − 1). The example in an image is held to [-1, 1] (Ho et al. 2020, section 3.3).
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
    """x_t (N, ...) after each of the recipe's steps, from noise (N, ...); the last is the new examples."""
    denoise = denoiser(recipe, network, kind, guidance=recipe.guidance, classes=classes)
    times = torch.linspace(1, 0, recipe.sampling_steps + 1)
    return SAMPLERS[recipe.sampler](denoise, SCHEDULES[recipe.schedule], noise, times)
