"""Three statements on networks with only ReLU: no vanishing gradients, a linear gradient, no dead units."""

from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range
from etude.studies import Findings, Lab, Ruling, Study, above, below, every, exact, measured, no, ruled
from etude.studies.activations.deep_mlp import (
    Deep,
    deep_mlp,
    geometric_curve,
    gradient_sizes,
    log_ratio,
    loss_of,
    moons,
)

RATIO = "log10 of the gradient at the first layer over that in the last block, PyTorch's initial weights"
SCALED = "log10 of the gradient at the first layer over that in the last block, He's initial weights"
DOUBLED = "derivative of ReLU at 2x over that at x, mean over x > 0"
DEAD = "share of hidden units that are 0 on all training points after the large steps"
LATER = "share of those that are still 0 on all of them after the small steps"


@dataclass(frozen=True, kw_only=True)
class ReLUs(Deep):
    """A deep network of ReLU at the start, and a shallow one that is trained with large steps, then with small ones."""

    large_rate: Annotated[float, Range(above=0, high=1e4)] = 10.0
    """Learning rate of the large steps."""
    large_steps: Annotated[int, Range(0, 10_000)] = 20
    """How many large steps."""
    small_rate: Annotated[float, Range(above=0, high=1e4)] = 0.05
    """Learning rate of the small steps, which could revive a unit."""


def derivative(x: Tensor) -> Tensor:
    """Of ReLU, by autograd."""
    x = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(torch.relu(x).sum(), x)
    return found


def descend(network: nn.Module, x: Tensor, y: Tensor, rate: float, steps: int) -> None:
    """Plain gradient descent on full batches."""
    for _ in range(steps):
        gradients = torch.autograd.grad(loss_of(network, x, y), list(network.parameters()))
        with torch.no_grad():
            for weight, by in zip(network.parameters(), gradients, strict=True):
                weight -= rate * by


def dead_units(network: nn.Sequential, x: Tensor) -> Tensor:
    """Whether each unit of the first hidden layer is 0 on all points, (W,)."""
    with torch.no_grad():
        return (network[1](network[0](x)) == 0).all(0)


def experiment(design: ReLUs, lab: Lab) -> Findings:
    """Gradients with depth, the derivative, and units that die."""
    x, y, *_ = moons(design.points)
    plain, scaled, dead, later = list[list[float]](), list[list[float]](), list[float](), list[float]()
    shallow = Deep(blocks=1, width=design.width, points=design.points)
    for seed in lab.each(design.each_seed, "seeds"):
        plain.append(gradient_sizes(deep_mlp(nn.ReLU, design, seed), x, y))
        scaled.append(gradient_sizes(deep_mlp(nn.ReLU, design, seed, he), x, y))
        network = deep_mlp(nn.ReLU, shallow, seed)
        descend(network, x, y, design.large_rate, design.large_steps)
        at_first = dead_units(network, x)
        descend(network, x, y, design.small_rate, design.steps)
        dead.append(float(at_first.float().mean()))
        later.append(float((at_first & dead_units(network, x)).sum() / at_first.sum()) if at_first.any() else 0.0)
    grid = torch.linspace(0.1, 4, 40, dtype=torch.float64)
    line = torch.linspace(-4, 4, 161, dtype=torch.float64)
    return Findings(
        (
            measured(RATIO, [log_ratio(each) for each in plain]),
            measured(SCALED, [log_ratio(each) for each in scaled]),
            exact(DOUBLED, float((derivative(2 * grid) / derivative(grid)).mean())),
            measured(DEAD, dead),
            measured(LATER, later),
        ),
        {
            "PyTorch's weights": geometric_curve([[max(v, 1e-300) for v in each] for each in plain]),
            "He's weights": geometric_curve([[max(v, 1e-300) for v in each] for each in scaled]),
            "x": line.tolist(),
            "derivative": derivative(line).tolist(),
        },
    )


def he(weight: Tensor) -> None:
    """Initial weights for ReLU (He et al. 2015)."""
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


def judge(found: Findings) -> Ruling:
    """The first statement holds if the first layer's gradient is at least a hundredth of the last block's, the second
    if the derivative doubles with its input, the third if at most 1 % of the units die for good. The claim is all."""
    arrives = no(below(found[RATIO], -2))
    linear = every(above(found[DOUBLED], 1.99), below(found[DOUBLED], 2.01))
    alive = no(every(above(found[DEAD], 0.01), above(found[LATER], 0.5)))
    words = {True: "holds", False: "does not hold", None: "stays open"}
    return ruled(
        every(arrives, linear, alive),
        f"the first {words[arrives]} (the first layer's gradient is {10 ** found[RATIO].value:.1g} of the last's), "
        f"the second {words[linear]} (the derivative at 2x is {found[DOUBLED].value:.3g} times that at x), the third "
        f"{words[alive]} ({found[DEAD].value:.0%} of the units die, and {found[LATER].value:.0%} of those stay dead).",
    )


def draw(found: Findings) -> Figure:
    """Gradients by layer, and the derivative."""
    names = ("PyTorch's weights", "He's weights")
    by_layer = Axis(
        lines=[Line(name=name, x=list(range(1, len(found.curves[name]) + 1)), y=found.curves[name]) for name in names],
        x_label="linear layer, first to last",
        y_label="gradient by the layer's output (rms)",
        y_scale="log",
        title="gradients with depth",
    )
    slope = Axis(
        lines=[Line(name="derivative", x=found.curves["x"], y=found.curves["derivative"])],
        x_label="input of ReLU",
        y_label="derivative of ReLU",
        title="0 or 1, nothing else",
    )
    return lines(by_layer, slope, title="Networks with only ReLU")


STUDY = Study(
    name="relu-statements",
    topic="activations",
    question="All activations of a network are ReLU. Are these true: (1) its gradients do not vanish, (2) the "
    "derivative of ReLU grows linearly with its input, (3) no unit stops learning for good?",
    claim="With only ReLU, gradients do not vanish, ReLU's derivative is linear in its input, and no unit dies.",
    design=ReLUs(steps=200, seeds=8),
    quick={"seeds": 6},
    held_fixed="two moons, full batches, plain gradient descent; dead units are counted in a network of one hidden "
    "layer, the same units on the same points",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "ReLU passes a gradient on as it is or not at all: its derivative is 1 above 0, whatever the input, and 0 "
        "below. Whether gradients vanish with depth then depends on the weights: PyTorch's shrink them at each layer, "
        "He's keep their size. A unit that a large step has pushed below 0 on all examples gets no gradient from any, "
        "so no later step can bring it back."
    ),
    source="He et al. 2015, section 2.2; Maas et al. 2013, section 2",
    wrong_answer='"ReLU does not saturate, so gradients cannot vanish": half of the units pass nothing on.',
)
