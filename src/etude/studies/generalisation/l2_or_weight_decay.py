"""An L2 penalty in the loss against weight decay in the step: are they the same?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range
from etude.streams import stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, below, every, measured
from etude.studies.evidence import ruled

SGD, MOMENTUM, ADAM = "SGD", "SGD with momentum", "Adam"
OPTIMIZERS = (SGD, MOMENTUM, ADAM)
SAME, DIFFERENT = 1e-6, 1e-3
"""Relative differences of weights below the first are rounding; those above the second are another result."""


@dataclass(frozen=True, kw_only=True)
class Decay(Repeated):
    """A small network, trained with λ‖w‖² in its loss, and with weights multiplied by 1 − 2αλ before each step."""

    learning_rate: Annotated[float, Range(above=0, high=1)] = 0.01
    """Learning rate α."""
    penalty: Annotated[float, Range(0, 10)] = 0.05
    """Penalty λ."""
    momentum: Annotated[float, Range(0, below=1)] = 0.9
    """Momentum of SGD with momentum."""
    steps: Annotated[int, Range(1, 100_000)] = 200
    """Steps of each optimizer."""
    width: Annotated[int, Range(1, 512)] = 16
    """Hidden units of the network."""


Weights = tuple[Tensor, Tensor]
Direction = Callable[[Weights, int], Weights]
"""From the gradient and the number of the step, from 1, to what the learning rate multiplies. It keeps a state."""


def plain() -> Direction:
    """SGD."""
    return lambda gradient, step: gradient


def heavy_ball(momentum: float) -> Direction:
    """SGD with momentum, as PyTorch has it: v ← m v + g."""
    state: list[Tensor] = []

    def direction(gradient: Weights, step: int) -> Weights:
        state[:] = [momentum * old + new for old, new in zip(state, gradient, strict=True)] if state else gradient
        return state[0], state[1]

    return direction


def adam(beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> Direction:
    """Adam (Kingma and Ba 2015, algorithm 1)."""
    means, squares = [torch.zeros(())] * 2, [torch.zeros(())] * 2

    def direction(gradient: Weights, step: int) -> Weights:
        found = list[Tensor]()
        for place, each in enumerate(gradient):
            means[place] = beta1 * means[place] + (1 - beta1) * each
            squares[place] = beta2 * squares[place] + (1 - beta2) * each.square()
            corrected = squares[place] / (1 - beta2**step)
            found.append(means[place] / (1 - beta1**step) / (corrected**0.5 + epsilon))
        return found[0], found[1]

    return direction


def loss(weights: Weights, x: Tensor, y: Tensor) -> Tensor:
    """Squared error of a network of one hidden layer of tanh, without its penalty."""
    first, second = weights
    return (torch.tanh(x @ first) @ second - y).square().mean()


def trained(
    start: Weights, x: Tensor, y: Tensor, direction: Direction, design: Decay, *, in_loss: bool
) -> Iterator[Weights]:
    """The weights after each step: λ‖w‖² in the loss, or weights times 1 − 2αλ."""
    weights, rate, penalty = start, design.learning_rate, design.penalty
    for step in range(1, design.steps + 1):
        weights = (weights[0].detach().requires_grad_(), weights[1].detach().requires_grad_())
        whole = loss(weights, x, y)
        if in_loss:
            whole = whole + penalty * (weights[0].square().sum() + weights[1].square().sum())
        first, second = torch.autograd.grad(whole, weights)
        by = direction((first, second), step)
        kept = 1.0 if in_loss else 1 - 2 * rate * penalty
        weights = (kept * weights[0] - rate * by[0], kept * weights[1] - rate * by[1])
        yield weights[0].detach(), weights[1].detach()


def distance(one: Weights, other: Weights) -> float:
    """Norm of the difference of all weights over the norm of the first ones."""
    a, b = (torch.cat([each.flatten() for each in weights]) for weights in (one, other))
    return float((a - b).norm() / a.norm())


def difference(name: str) -> str:
    """What the evidence on an optimizer is called."""
    return f"difference of the weights, L2 penalty from weight decay, relative, {name}"


def experiment(design: Decay, lab: Lab) -> Findings:
    """Train the same network both ways with each optimizer."""
    make = {SGD: plain, MOMENTUM: lambda: heavy_ball(design.momentum), ADAM: adam}
    found: dict[str, list[list[float]]] = {name: [] for name in OPTIMIZERS}
    for seed in lab.each(design.each_seed, "seeds"):
        draw = stream(seed, "data and weights")
        x = torch.randn(100, 4, generator=draw, dtype=torch.float64)
        y = torch.sin(x.sum(1, keepdim=True)) + 0.1 * torch.randn(100, 1, generator=draw, dtype=torch.float64)
        start = (
            torch.randn(4, design.width, generator=draw, dtype=torch.float64) / 2,
            torch.randn(design.width, 1, generator=draw, dtype=torch.float64) / design.width**0.5,
        )
        for name in OPTIMIZERS:
            both = (trained(start, x, y, make[name](), design, in_loss=in_loss) for in_loss in (True, False))
            found[name].append([distance(one, other) for one, other in zip(*both, strict=True)])
    return Findings(
        tuple(measured(difference(name), [each[-1] for each in found[name]]) for name in OPTIMIZERS),
        {name: torch.tensor(found[name]).mean(0).tolist() for name in OPTIMIZERS},
    )


def judge(found: Findings) -> Ruling:
    """The same where the weights differ by less than a millionth, different from a thousandth on: true if all three
    optimizers do the same, "only if" if plain SGD does and Adam does not, false if SGD differs too."""
    same = {name: _same(found, name) for name in OPTIMIZERS}
    because = "after training, the weights of the two differ by " + ", ".join(
        f"{found[difference(name)].value:.1g} ({name})" for name in OPTIMIZERS
    )
    if same[SGD] and same[ADAM] is False:
        return Ruling("only if", f"{because}.", "the optimizer is plain SGD, where both multiply by 1 − 2αλ")
    return ruled(every(*same.values()), f"{because}.")


def _same(found: Findings, name: str) -> bool | None:
    each = found[difference(name)]
    return True if below(each, SAME) else False if above(each, DIFFERENT) else None


def draw(found: Findings) -> Figure:
    """Differences against steps."""
    panel = Axis(
        lines=[
            Line(
                name=name, x=list(range(1, len(found.curves[name]) + 1)), y=[max(v, 1e-17) for v in found.curves[name]]
            )
            for name in OPTIMIZERS
        ],
        x_label="step",
        y_label="relative difference of the weights",
        y_scale="log",
        levels={"rounding below": SAME},
    )
    return lines(panel, title="An L2 penalty against weight decay")


STUDY = Study(
    name="l2-or-weight-decay",
    topic="generalisation",
    question="Is an L2 penalty λ‖w‖² in the loss the same as weight decay, which multiplies the weights by 1 − 2αλ in "
    "each step of size α?",
    claim="L2 regularisation and weight decay are the same.",
    design=Decay(),
    quick={"steps": 100},
    held_fixed="a network of one hidden layer on 100 points, full batches, equal initial weights, float64",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The penalty adds 2λw to the gradient, so that plain SGD goes to w − α(∇L + 2λw) = (1 − 2αλ)w − α∇L: weight "
        "decay. Adam divides the whole gradient by its usual size, the penalty's part included, so weights with large "
        "gradients are decayed less; AdamW takes the decay out of that. With momentum the penalty enters the average "
        "of past gradients, and the two differ as well."
    ),
    source="Loshchilov and Hutter 2019, propositions 1 and 2",
    wrong_answer='"Yes, they are two names": true for SGD, and not for Adam, for which AdamW was made.',
)
