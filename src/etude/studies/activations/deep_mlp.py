"""Deep networks of equal layers, for the studies of gradients that vanish with depth."""

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from etude.data import load
from etude.families.ranges import Range, Rule
from etude.streams import global_stream
from etude.studies import Repeated


@dataclass(frozen=True, kw_only=True)
class Deep(Repeated):
    """A network of blocks, each a linear layer and an activation, and a linear layer at the end."""

    blocks: Annotated[int, Range(1, 100)] = 24
    """Blocks of a linear layer and an activation. A last linear layer follows them."""
    width: Annotated[int, Range(2, 512)] = 32
    """Units of each layer."""
    steps: Annotated[int, Range(0, 100_000)] = 300
    """Gradient steps of training."""
    learning_rates: tuple[float, ...] = (0.03, 0.3)
    """Learning rates to train with. The best one counts."""
    points: Annotated[int, Range(10, 2_000)] = 200
    """Training points of the two moons; as many test."""
    seeds: Annotated[int, Range(2, 10_000)] = 6
    """How often it is repeated, each time with other initial weights. Intervals are over these."""

    def rules(self) -> Iterator[Rule]:
        """Learning rates are positive."""
        yield bool(self.learning_rates) and min(self.learning_rates) > 0, "learning_rates", "one or more, above 0"


def moons(num_points: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points (N, 2) and labels (N, 1) of the two moons, to train on and to test on."""
    data = load("moons")
    (x, y), (test_x, test_y) = ((split["features"][:num_points], split.labels[:num_points])
                                for split in (data.train, data.test))  # fmt: skip
    return x, y[:, None].float(), test_x, test_y[:, None].float()


def deep_mlp(
    activation: Callable[[], nn.Module], design: Deep, seed: int, start: Callable[[Tensor], object] | None = None
) -> nn.Sequential:
    """Points (N, 2) to a logit (N, 1): PyTorch's initial weights, or those that `start` writes, with biases of 0."""
    sizes = [2, *[design.width] * design.blocks, 1]
    with global_stream(seed, "initial weights"):
        linear = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        if start:
            for layer in linear:
                start(layer.weight.data)
                layer.bias.data.zero_()
    return nn.Sequential(*(part for layer in linear[:-1] for part in (layer, activation())), linear[-1])


def loss_of(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of logits, in nats per point."""
    return nn.functional.binary_cross_entropy_with_logits(network(x), y)


def gradient_sizes(network: nn.Sequential, x: Tensor, y: Tensor) -> list[float]:
    """Root mean square of the loss's gradient by each linear layer's output, first layer first; in float64."""
    at, outputs = x.double(), list[Tensor]()
    for part in copy.deepcopy(network).double():
        at = part(at)
        if isinstance(part, nn.Linear):
            outputs.append(at)
    loss = nn.functional.binary_cross_entropy_with_logits(at, y.double())
    return [float(each.square().mean().sqrt()) for each in torch.autograd.grad(loss, outputs)]


def log_ratio(sizes: Sequence[float]) -> float:
    """log10 of the gradient at the first linear layer over that in the last block, the last but one."""
    last = sizes[-2] if len(sizes) > 1 else sizes[-1]
    return math.log10(max(sizes[0], 1e-300) / last) if last > 0 else math.nan


def trained_accuracy(
    make: Callable[[], nn.Sequential], design: Deep, data: tuple[Tensor, Tensor, Tensor, Tensor]
) -> tuple[float, list[float]]:
    """The best test accuracy over the learning rates, and the training losses of that network; full batches, SGD."""
    x, y, test_x, test_y = data
    best, curve = -1.0, list[float]()
    for rate in design.learning_rates:
        network, losses = make(), list[float]()
        optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
        for _ in range(design.steps):
            optimizer.zero_grad()
            loss = loss_of(network, x, y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            accuracy = float(((network(test_x) > 0) == (test_y > 0.5)).float().mean())
        if accuracy > best:
            best, curve = accuracy, losses
    return best, curve


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """The mean over the seeds at each place."""
    return torch.tensor(curves, dtype=torch.float64).mean(0).tolist()


def geometric_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """The geometric mean over the seeds at each place, of positive numbers."""
    return torch.tensor(curves, dtype=torch.float64).log().mean(0).exp().tolist()
