"""GANs of points in the plane, one per seed, side by side: stacked weights let one step train them all."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.data.points import make_points
from etude.families.ranges import Range
from etude.losses import ADVERSARIAL
from etude.models.mlp import NEGATIVE_SLOPE, layers
from etude.streams import global_stream, stream
from etude.studies import Evidence, Repeated, measured

BLOCK = 100
"""Steps whose random numbers are drawn at once."""
NUM_DIRECTIONS = 32
Data = Literal["moons", "rings", "mixture"]
"""Points that étude has: two moons, two rings, eight Gaussians on a circle."""
Weights = list[Tensor]
"""Weight (seeds, in, out) and bias (seeds, 1, out) of each layer in turn."""


def stacked(sizes: Sequence[int], seeds: Sequence[int], purpose: str) -> Weights:
    """PyTorch's initial weights of one fully connected network per seed."""
    networks = []
    for seed in seeds:
        with global_stream(seed, purpose):
            networks.append(list(layers(sizes).parameters()))
    stacks = (torch.stack([each.detach() for each in some]) for some in zip(*networks, strict=True))
    return [
        (each.mT if each.dim() == 3 else each[:, None]).contiguous().requires_grad_()  # nn.Linear's weight is (out, in)
        for each in stacks
    ]


def through(weights: Weights, inputs: Tensor, *, slope: float = 0.0) -> Tensor:
    """Inputs (seeds, n, in) to outputs (seeds, n, out), with ReLU, or LeakyReLU of that slope, between the layers."""
    for place in range(0, len(weights), 2):
        inputs = torch.baddbmm(weights[place + 1], inputs, weights[place])
        if place < len(weights) - 2:
            inputs = F.leaky_relu(inputs, slope)
    return inputs


def uniform_batches(seeds: Sequence[int], purpose: str, *shape: int) -> Iterator[Tensor]:
    """Noise (seeds, *shape), uniform in [-1, 1]: a new batch each time, from one stream per seed."""
    generators = [stream(seed, purpose) for seed in seeds]
    while True:
        yield from torch.stack([torch.rand(BLOCK, *shape, generator=each) for each in generators], 1).mul_(2).sub_(1)


def normal_batches(seeds: Sequence[int], purpose: str, *shape: int) -> Iterator[Tensor]:
    """Noise (seeds, *shape) from N(0, 1): a new batch each time, from one stream per seed."""
    generators = [stream(seed, purpose) for seed in seeds]
    while True:
        yield from torch.stack([torch.randn(BLOCK, *shape, generator=each) for each in generators], 1)


def real_batches(points: Tensor, seeds: Sequence[int], batch_size: int) -> Iterator[Tensor]:
    """Rows of points (n, 2), drawn with replacement: (seeds, batch_size, 2), from one stream per seed."""
    generators = [stream(seed, "order") for seed in seeds]
    shape = (BLOCK, batch_size)
    while True:
        yield from points[torch.stack([torch.randint(len(points), shape, generator=each) for each in generators], 1)]


def real_points(name: Data) -> tuple[Tensor, Tensor]:
    """2,000 training and 1,000 test points (n, 2) of "moons", "rings" or "mixture"."""
    train, test = make_points(name)
    return train.features, test.features


@dataclass(frozen=True, kw_only=True)
class PointGame(Repeated):
    """A GAN of points of the plane; abstract."""

    steps: Annotated[int, Range(1, 100_000)] = 1500
    """Steps of the discriminator and of the generator, in turn."""
    batch_size: Annotated[int, Range(2, 10_000)] = 64
    """Points of a step."""
    width: Annotated[int, Range(1, 1024)] = 32
    """Units of each of the two hidden layers of both networks."""
    noise_dim: Annotated[int, Range(1, 256)] = 4
    """Numbers of noise that the generator maps to a point."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 1e-3
    """Learning rate of both networks (Adam)."""


class Games:
    """Discriminators and generators of points, a pair per seed; final.

    Both networks have two hidden layers, as `etude train gan` has for tables. Adam trains them, β = (0.5, 0.999).
    """

    def __init__(
        self,
        seeds: Sequence[int],
        *,
        loss: str = "nonsaturating",
        width: int = 32,
        noise_dim: int = 4,
        learning_rate: float = 1e-3,
    ) -> None:
        self.num_seeds, self.loss, self.noise_dim = len(seeds), ADVERSARIAL[loss], noise_dim
        self.generator = stacked([noise_dim, width, width, 2], seeds, "generator")
        self.discriminator = stacked([2, width, width, 1], seeds, "discriminator")
        self._generator_adam = torch.optim.Adam(self.generator, learning_rate, (0.5, 0.999), fused=True)
        self._discriminator_adam = torch.optim.Adam(self.discriminator, learning_rate, (0.5, 0.999), fused=True)

    def generate(self, noise: Tensor) -> Tensor:
        """Noise (seeds, n, noise_dim) to points (seeds, n, 2)."""
        return through(self.generator, noise)

    def scores(self, points: Tensor) -> Tensor:
        """Points (seeds, n, 2) to the logits of "this point is real", (seeds, n)."""
        return through(self.discriminator, points, slope=NEGATIVE_SLOPE)[..., 0]

    def step_discriminator(self, real: Tensor, noise: Tensor) -> None:
        """One step of the discriminators on real points (seeds, n, 2) and generated ones."""
        with torch.no_grad():
            generated = self.generate(noise)
        self.descend_discriminator(self.discriminator_loss(real, generated))

    def step_generator(self, noise: Tensor) -> None:
        """One step of the generators."""
        self.descend_generator(self.generator_loss(noise))

    def slow_discriminator(self, divisor: float) -> None:
        """Divide the discriminators' learning rate."""
        for group in self._discriminator_adam.param_groups:
            group["lr"] /= divisor

    def discriminator_loss(self, real: Tensor, generated: Tensor) -> Tensor:
        """The loss of all discriminators together, a scalar."""
        # The mean over seeds and points, times the seeds: each gets the gradient that it would get alone.
        scores = self.scores(torch.cat([real, generated], 1)).split([real.shape[1], generated.shape[1]], 1)
        return self.num_seeds * self.loss.discriminator(*scores)

    def generator_loss(self, noise: Tensor) -> Tensor:
        """The loss of all generators together, a scalar."""
        return self.num_seeds * self.loss.generator(self.scores(self.generate(noise)))

    def descend_discriminator(self, loss: Tensor) -> None:
        """One step of Adam for the discriminators, and nothing else."""
        descend(self._discriminator_adam, self.discriminator, torch.autograd.grad(loss, self.discriminator))

    def descend_generator(self, loss: Tensor, extra: Sequence[Tensor] | None = None) -> None:
        """One step of Adam for the generators, and nothing else. `extra` gradients are added to those of the loss."""
        gradients = torch.autograd.grad(loss, self.generator)
        if extra is not None:
            gradients = tuple(each + more for each, more in zip(gradients, extra, strict=True))
        descend(self._generator_adam, self.generator, gradients)

    @torch.no_grad()
    def losses(self, real: Tensor, noise: Tensor) -> tuple[list[float], list[float]]:
        """The loss of each discriminator and of each generator, in nats for cross-entropy."""
        real_scores, scores = self.scores(real), self.scores(self.generate(noise))
        pairs = list(zip(real_scores, scores, strict=True))
        return (
            [float(self.loss.discriminator(*each)) for each in pairs],
            [float(self.loss.generator(generated)) for _, generated in pairs],
        )

    @torch.no_grad()
    def distances(self, real: Tensor, noise: Tensor) -> list[float]:
        """`sliced_distance` of each generator's points from real ones (n, 2); as many rows of noise (seeds, n, …)."""
        return sliced_distance(self.generate(noise), real).tolist()


class Training:
    """Games of a design, the batches that they are trained on, and test points that they are compared with; final."""

    def __init__(self, design: PointGame, points: tuple[Tensor, Tensor], *, loss: str = "nonsaturating") -> None:
        seeds, shape = design.each_seed, (design.batch_size, design.noise_dim)
        training_points, self.test = points
        self.games = Games(
            seeds, loss=loss, width=design.width, noise_dim=design.noise_dim, learning_rate=design.learning_rate
        )
        self.real = real_batches(training_points, seeds, design.batch_size)
        self.noise = uniform_batches(seeds, "noise", *shape)
        self.test_noise = next(uniform_batches(seeds, "evaluation", len(self.test), design.noise_dim))

    def round(self) -> None:
        """One step of the discriminators, then one of the generators, on fresh noise each."""
        self.games.step_discriminator(next(self.real), next(self.noise))
        self.games.step_generator(next(self.noise))

    def distances(self) -> list[float]:
        """`sliced_distance` of each generator's points from the test points."""
        return self.games.distances(self.test, self.test_noise)

    @torch.no_grad()
    def points(self) -> Tensor:
        """As many points of each generator as there are test points, (seeds, n, 2)."""
        return self.games.generate(self.test_noise)

    @torch.no_grad()
    def accuracies(self) -> list[float]:
        """The share of test points and of generated points that each discriminator tells right, halves of each."""
        real = self.games.scores(self.test.expand(self.games.num_seeds, -1, -1)) > 0
        generated = self.games.scores(self.points()) < 0
        return ((real.float().mean(1) + generated.float().mean(1)) / 2).tolist()


def log_ratio(what: str, found: Evidence, other: Evidence) -> Evidence:
    """The common logarithm of one distance over another, seed by seed. A game gone astray would rule a mean ratio."""
    with np.errstate(divide="ignore"):  # a game that diverged has no finite distance
        return measured(f"log10 of the {what}", np.log10((found / other).values).tolist())


def factor(found: Evidence) -> float:
    """The ratio that a mean of logarithms stands for: the geometric mean."""
    return 10**found.value


def descend(adam: torch.optim.Adam, weights: Weights, gradients: Sequence[Tensor]) -> None:
    """One step of Adam with these gradients."""
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient
    adam.step()


def sliced_distance(generated: Tensor, real: Tensor) -> Tensor:
    """Sliced Wasserstein distance of points (..., n, 2) from real ones (n, 2), in the unit of their coordinates: (...).

    The points are projected onto 32 directions. On a line, the least way from one set to another is from the k-th point
    of one to the k-th of the other. The distance is the mean way, over points and directions (Rabin et al. 2012).
    """
    angles = torch.arange(NUM_DIRECTIONS) * (math.pi / NUM_DIRECTIONS)
    directions = torch.stack([angles.cos(), angles.sin()]).to(generated.dtype)  # (2, directions)
    ways = (generated @ directions).sort(-2).values - (real @ directions).sort(-2).values  # (..., n, directions)
    return ways.abs().mean((-2, -1))
