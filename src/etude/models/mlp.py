"""Fully connected networks for examples of any shape: points in the plane, rows of a table, images as one row each."""

import itertools
import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from etude.models.sizes import check_count
from etude.models.vae import reparameterise

NEGATIVE_SLOPE = 0.01
"""Of LeakyReLU."""


def layers(sizes: Sequence[int], *, leaky: bool = False) -> nn.Sequential:
    """Linear layers from size to size, with ReLU (or LeakyReLU) between them."""
    steps: list[tuple[str, nn.Module]] = []
    for number, (first, second) in enumerate(itertools.pairwise(sizes), start=1):
        if number > 1:
            steps.append((f"relu{number - 1}", nn.LeakyReLU(NEGATIVE_SLOPE) if leaky else nn.ReLU()))
        steps.append((f"linear{number}", nn.Linear(first, second)))
    return nn.Sequential(OrderedDict(steps))


class MLP(nn.Module):
    """Examples (N, ...) to numbers (N, num_outputs): two hidden layers of `width` units.

    A classifier's scores before any softmax, or a discriminator's logit of "this example is real".
    """

    def __init__(self, shape: Sequence[int], num_outputs: int, width: int = 128, *, leaky: bool = False) -> None:
        super().__init__()
        width = check_count("width", width)
        self.layers = layers([math.prod(shape), width, width, check_count("num_outputs", num_outputs)], leaky=leaky)

    def forward(self, examples: Tensor) -> Tensor:
        """Examples (N, ...) to (N, num_outputs)."""
        return self.layers(examples.flatten(1))


class PointGenerator(nn.Module):
    """Noise (N, noise_dim) in [-1, 1] to rows of numbers (N, num_features): two hidden layers of `width` units."""

    def __init__(self, noise_dim: int, num_features: int, width: int = 128) -> None:
        super().__init__()
        self.layers = layers([check_count("noise_dim", noise_dim), width, width, num_features])

    def forward(self, noise: Tensor) -> Tensor:
        """Noise (N, noise_dim) to (N, num_features)."""
        return self.layers(noise)


class TableVAE(nn.Module):
    """A variational autoencoder for rows of numbers (N, num_features), as `VAE` is one for images.

    Both halves have two hidden layers of `width` units; with `num_classes` both are given the label, floats in one-hot
    form or indices, beside their input.
    """

    def __init__(self, num_features: int, latent_dim: int, num_classes: int | None = None, width: int = 128) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = check_count("latent_dim", latent_dim), num_classes
        labels = num_classes or 0
        self.encoder = layers([num_features + labels, width, width, 2 * latent_dim])
        self.decoder = layers([latent_dim + labels, width, width, num_features])

    def forward(
        self, features: Tensor, labels: Tensor | None = None, *, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Features (N, num_features) to their means (N, num_features), mean and logvar (N, latent_dim).

        `noise` (N, latent_dim) is standard normal; without it the mean is decoded.
        """
        mean, logvar = self.encode(features, labels)
        latents = mean if noise is None else reparameterise(mean, logvar, noise)
        return self.decode_logits(latents, labels), mean, logvar

    def encode(self, features: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features (N, num_features) to the mean and the log-variance of their latents, (N, latent_dim) each."""
        mean, logvar = self.encoder(self._with(features, labels)).chunk(2, dim=1)
        return mean, logvar

    def decode_logits(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Latents (N, latent_dim) to the means of the features (N, num_features)."""
        return self.decoder(self._with(latents, labels))

    def _with(self, numbers: Tensor, labels: Tensor | None) -> Tensor:
        if self.num_classes is None or labels is None:
            return numbers
        if not labels.is_floating_point():
            labels = nn.functional.one_hot(labels, self.num_classes)
        return torch.cat([numbers, labels.to(numbers.dtype)], dim=1)
