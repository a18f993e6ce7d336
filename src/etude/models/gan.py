"""The fully connected generative adversarial network, and the noise that every generator starts from.

Source: Goodfellow et al., "Generative adversarial nets", 2014.
"""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from etude.models.sizes import ImageShape, check_count, check_image_shape

NEGATIVE_SLOPE = 0.01
"""Of every LeakyReLU of the discriminators."""


class Discriminator(nn.Module):
    """Images (N, C, H, W) to one score each (N, 1): the logit of "this image is real", no sigmoid.

    784→256→256→1 with LeakyReLU between; 267,009 parameters for 1×28×28. Images below 16×16 are a `UsageError`.
    """

    def __init__(self, image_shape: ImageShape) -> None:
        super().__init__()
        num_pixels = math.prod(check_image_shape(image_shape))
        self.layers = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(num_pixels, 256),
                relu1=nn.LeakyReLU(NEGATIVE_SLOPE),
                linear2=nn.Linear(256, 256),
                relu2=nn.LeakyReLU(NEGATIVE_SLOPE),
                linear3=nn.Linear(256, 1),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] to scores (N, 1)."""
        return self.layers(images.flatten(1))  # (N, 784) to (N, 1)


class Generator(nn.Module):
    """Noise (N, noise_dim) to images (N, C, H, W) in [-1, 1].

    noise→1024→1024→784 with ReLU between and tanh at the end; 1,858,320 parameters for 4 numbers of noise and 1×28×28.
    Images below 16×16 are a `UsageError`.
    """

    def __init__(self, noise_dim: int, image_shape: ImageShape) -> None:
        super().__init__()
        self.noise_dim = check_count("noise_dim", noise_dim)
        self.image_shape = check_image_shape(image_shape)
        self.layers = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(noise_dim, 1024),
                relu1=nn.ReLU(),
                linear2=nn.Linear(1024, 1024),
                relu2=nn.ReLU(),
                linear3=nn.Linear(1024, math.prod(image_shape)),
                tanh=nn.Tanh(),
            )
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Noise (N, noise_dim), uniform in [-1, 1] (see `uniform_noise`), to images (N, C, H, W)."""
        return self.layers(noise).unflatten(1, self.image_shape)  # (N, 784) to (N, 1, 28, 28)


def uniform_noise(
    num_samples: int,
    dim: int,
    *,
    generator: torch.Generator,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Noise (num_samples, dim), each number uniform in [-1, 1].

    Drawn on the device of `generator`, then moved to `device` (the generator's own when not given): a CPU generator
    gives the same noise to every device. `dtype` is PyTorch's default when not given.
    """
    noise = torch.rand(num_samples, dim, generator=generator, device=generator.device, dtype=dtype)
    return noise.mul_(2).sub_(1).to(device or generator.device)
