"""Vanishing or exploding gradients, told apart from the training losses alone."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from etude.data import load
from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.streams import stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, below, measured, ruled

ACTIVATIONS = {"ReLU": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
NUM_CLASSES = 10
TOP = 1e12
"""Where losses above it, or no numbers, are drawn."""


@dataclass(frozen=True, kw_only=True)
class VanishOrExplode(Repeated):
    """Deep networks with random activations and random sizes of weights, trained on digits."""

    networks: Annotated[int, Range(1, 1_000)] = 12
    """Networks per seed."""
    depth: Annotated[int, Range(2, 200)] = 20
    """Hidden layers."""
    width: Annotated[int, Range(1, 1_000)] = 32
    """Units per hidden layer."""
    smallest_gain: Annotated[float, Range(above=0, high=100)] = 0.3
    """The least of the sizes of weights that are drawn, over He's."""
    largest_gain: Annotated[float, Range(above=0, high=100)] = 3.0
    """The largest of them."""
    learning_rate: Annotated[float, Range(above=0, high=100)] = 0.05
    """Learning rate of SGD."""
    steps: Annotated[int, Range(8, 100_000)] = 60
    """Steps of training, with 32 digits each."""
    decades: Annotated[float, Range(above=0, high=100)] = 3.0
    """By how many powers of ten a gradient has to grow or to shrink from the last layer to the first."""

    def rules(self) -> Iterator[Rule]:
        yield self.smallest_gain <= self.largest_gain, "smallest_gain", "at most the largest"


def named_by_losses(losses: Sequence[float]) -> str:
    """What the losses (steps,) of a classifier of ten classes say.

    "exploding" if a loss is no number, or jumps to more than 1 nat above the one before; else "vanishing" if the last
    quarter stands at guessing, log 10, or above 95 % of it; else "neither".
    """
    values = np.asarray(losses)
    if not np.isfinite(values).all() or (np.diff(values) > 1).any():
        return "exploding"
    last = values[-max(1, len(values) // 4) :].mean()
    return "vanishing" if last > 0.95 * math.log(NUM_CLASSES) else "neither"


def named_by_gradients(growth: float, decades: float) -> str:
    """What log10 of the gradient at the first layer over that at the last says."""
    if not math.isfinite(growth):
        return "exploding" if growth > 0 else "vanishing"
    return "exploding" if growth > decades else "vanishing" if growth < -decades else "neither"


@dataclass
class Network:
    """A multilayer perceptron with weights of a size of one's choice."""

    weights: list[Tensor]
    biases: list[Tensor]
    activation: str

    def layers(self, x: Tensor) -> list[Tensor]:
        """Inputs (N, features) to the outputs of all layers before the activation; the last are logits."""
        outputs = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            outputs.append(x @ weight.T + bias)
            x = ACTIVATIONS[self.activation](outputs[-1])
        return outputs


def draw_network(
    design: VanishOrExplode, features: int, activation: str, gain: float, generator: torch.Generator
) -> Network:
    """Weights with He's standard deviation √(2 / inputs) times the gain; biases 0."""
    sizes = [features, *[design.width] * design.depth, NUM_CLASSES]
    weights = [
        torch.randn(after, before, generator=generator) * gain * math.sqrt(2 / before)
        for before, after in itertools.pairwise(sizes)
    ]
    biases = [torch.zeros(after) for after in sizes[1:]]
    return Network([each.requires_grad_() for each in weights], [each.requires_grad_() for each in biases], activation)


def gradient_growth(network: Network, x: Tensor, labels: Tensor) -> float:
    """log10 of the length of the loss's gradient at the first layer's outputs over that at the last hidden layer's."""
    outputs = network.layers(x)
    first, last = torch.autograd.grad(functional.cross_entropy(outputs[-1], labels), [outputs[0], outputs[-2]])
    lengths = [float(each.double().norm()) for each in (first, last)]
    if not all(map(math.isfinite, lengths)):
        return math.inf
    return math.log10(lengths[0] / lengths[1]) if min(lengths) > 0 else -math.inf


def train(network: Network, x: Tensor, labels: Tensor, design: VanishOrExplode, order: torch.Generator) -> list[float]:
    """The loss of every step of SGD; it stops at the first that is no number."""
    losses = []
    parameters = network.weights + network.biases
    for _ in range(design.steps):
        rows = torch.randint(len(x), (32,), generator=order)
        loss = functional.cross_entropy(network.layers(x[rows])[-1], labels[rows])
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            break
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= design.learning_rate * gradient
    return losses


def experiment(design: VanishOrExplode, lab: Lab) -> Findings:
    """Name what ails each network by its gradients, and by its losses alone; count how often the two agree."""
    train_split = load("digits").train
    x = functional.avg_pool2d(train_split.images.float() / 127.5 - 1, 2).flatten(1)  # (N, 196)
    x, labels = (x - x.mean()) / x.std(), train_split.labels
    shares: dict[str, list[float]] = {what: [] for what in ("vanishing", "exploding", "neither", "both")}
    curves: dict[str, list[float]] = {}
    for seed in lab.each(design.each_seed, "seeds"):
        generator, right = stream(seed, "networks"), {"vanishing": [], "exploding": [], "neither": []}
        for _ in range(design.networks):
            activation = list(ACTIVATIONS)[int(torch.randint(len(ACTIVATIONS), (), generator=generator))]
            share = float(torch.rand((), generator=generator))
            gain = design.smallest_gain * (design.largest_gain / design.smallest_gain) ** share
            network = draw_network(design, x.shape[1], activation, gain, generator)
            truth = named_by_gradients(gradient_growth(network, x[:256], labels[:256]), design.decades)
            losses = train(network, x, labels, design, stream(seed, "order"))
            right[truth].append(named_by_losses(losses) == truth)
            curves.setdefault(f"{truth}: {activation}, gain {gain:.2g}", losses)
        for truth, each in {**right, "both": right["vanishing"] + right["exploding"]}.items():
            shares[truth] += [float(np.mean(each))] if each else []
    names = {
        "both": "share of the networks with vanishing or exploding gradients that losses name rightly",
        "vanishing": "the same, vanishing",
        "exploding": "the same, exploding",
        "neither": "the same, neither (not counted)",
    }
    return Findings(tuple(measured(name, shares[what]) for what, name in names.items() if shares[what]), curves)


def judge(found: Findings) -> Ruling:
    """The claim holds if losses name fewer than 75 % rightly, half-way between guessing and always.

    Only networks of which the gradients vanish or explode are counted.
    """
    counted = [each for each in found if each.what.startswith("share of the networks")]
    if not counted:
        return ruled(None, "no network that was drawn has vanishing or exploding gradients.")
    return ruled(
        below(counted[0], 0.75),
        f"losses alone name {100 * counted[0].value:.3g} % of the networks with vanishing or exploding gradients "
        "rightly.",
    )


def draw(found: Findings) -> Figure:
    """Losses of a network of each activation, for each thing that gradients may do."""
    panels = []
    for truth in ("vanishing", "exploding", "neither"):
        names = [name for name in found.curves if name.startswith(f"{truth}: ")]
        first_of_each = {name.split(",")[0]: name for name in reversed(names)}
        if not names:
            continue
        losses = {name: np.nan_to_num(found.curves[name], nan=TOP, posinf=TOP) for name in first_of_each.values()}
        longest = max(map(len, losses.values()))
        panels.append(
            Axis(
                lines=[
                    *(
                        Line(name=name.removeprefix(f"{truth}: "), x=list(range(1, len(each) + 1)),
                             y=np.minimum(each, TOP).tolist())
                        for name, each in losses.items()
                    ),
                    Line(name="guessing, log 10", x=[1, longest], y=[math.log(NUM_CLASSES)] * 2, dashed=True),
                ],
                x_label="step",
                y_label="training loss (nats)",
                y_scale="log" if max(each.max() for each in losses.values()) > 100 else "linear",
                title=f"gradients: {truth}",
            )
        )  # fmt: skip
    return lines(*panels, title="Training losses of deep networks (NaN is drawn as 1e12)")


STUDY = Study(
    name="vanish-or-explode",
    topic="optimisation",
    question="Can vanishing and exploding gradients be told apart without looking at the gradients?",
    claim="From the training losses alone, vanishing and exploding gradients cannot be told apart.",
    design=VanishOrExplode(),
    quick={"networks": 8, "steps": 40},
    held_fixed="digits as 14×14 inputs, SGD without momentum, batches of 32, biases that begin at 0",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "With vanishing gradients the first layers do not move, and the loss stands still at that of guessing, log 10. "
        "With exploding ones a step is far too long, so that the loss jumps or is no number (NaN). In a ReLU network "
        "what grows backward by a factor per layer grows forward, too, and the loss is huge before the first step."
    ),
    source="Pascanu, Mikolov and Bengio 2013; Goodfellow, Bengio and Courville 2016, sections 8.2.4 and 8.2.5",
    wrong_answer='"No, training fails in both cases": it fails in two ways, and the loss shows which.',
)
