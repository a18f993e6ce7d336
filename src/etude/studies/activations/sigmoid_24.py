"""24 blocks of a linear layer and a sigmoid: does the network stop training because its gradients vanish?"""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range
from etude.streams import global_stream
from etude.studies import Findings, Lab, Ruling, Study, above, below, every, exact, measured, ruled
from etude.studies.activations.deep_mlp import (
    Deep,
    deep_mlp,
    geometric_curve,
    gradient_sizes,
    log_ratio,
    mean_curve,
    moons,
    trained_accuracy,
)

RATIO = "log10 of the gradient at the first layer over that in the last block"
DEEP = "test accuracy of the deep network, two classes"
SHALLOW = "test accuracy of the shallow network, two classes"
SHARED = "weight tensors in [Linear, Sigmoid] * n"
EARLY_USES = "share of the shared weights' gradient that comes from all uses but the last two"


@dataclass(frozen=True, kw_only=True)
class Sigmoids(Deep):
    """A deep network of sigmoids, a shallow one, and a block that is repeated with its weights."""

    shallow_blocks: Annotated[int, Range(1, 100)] = 2
    """Blocks of the shallow network that it is compared with."""


def repeated_block(design: Deep, seed: int) -> nn.Sequential:
    """`[Linear, Sigmoid] * n` between a first and a last linear layer: the same two modules n times."""
    with global_stream(seed, "initial weights of the repeated block"):
        block = [nn.Linear(design.width, design.width), nn.Sigmoid()]
        return nn.Sequential(nn.Linear(2, design.width), *block * design.blocks, nn.Linear(design.width, 1))


def share_of_early_uses(network: nn.Sequential, x: Tensor, y: Tensor, late: int = 2) -> float:
    """Norm of what all uses but the last `late` ones add to the gradient of the shared weights, over the whole's."""
    network, shared, uses = network.double(), network[1], list[tuple[Tensor, Tensor]]()
    at = x.double()
    for part in network:
        before, at = at, part(at)
        if part is shared:
            at.retain_grad()
            uses.append((before.detach(), at))
    nn.functional.binary_cross_entropy_with_logits(at, y.double()).backward()
    parts = [out.grad.T @ before for before, out in uses if out.grad is not None]  # (width, width) each
    whole = torch.stack(parts)  # (uses, width, width)
    return float(whole[: len(parts) - late].sum(0).norm() / whole.sum(0).norm())


def experiment(design: Sigmoids, lab: Lab) -> Findings:
    """Gradients at the start, and accuracy after training, deep and shallow."""
    data = moons(design.points)
    x, y = data[:2]
    sizes, deep, shallow, early = list[list[float]](), list[float](), list[float](), list[float]()
    curves: dict[str, list[list[float]]] = {"deep": [], "shallow": []}
    small = _with_blocks(design, design.shallow_blocks)
    for seed in lab.each(design.each_seed, "seeds"):
        sizes.append(gradient_sizes(deep_mlp(nn.Sigmoid, design, seed), x, y))
        early.append(share_of_early_uses(repeated_block(design, seed), x, y))
        for name, which, found in (("deep", design, deep), ("shallow", small, shallow)):
            accuracy, curve = trained_accuracy(lambda w=which, s=seed: deep_mlp(nn.Sigmoid, w, s), design, data)
            found.append(accuracy)
            curves[name].append(curve)
    repeated = repeated_block(design, design.seed)
    distinct = sum(isinstance(each, nn.Linear) for each in repeated.modules()) - 2  # without the first and the last
    return Findings(
        (
            measured(RATIO, [log_ratio(each) for each in sizes]),
            measured(DEEP, deep),
            measured(SHALLOW, shallow),
            exact(SHARED, distinct),
            measured(EARLY_USES, early),
        ),
        {
            "gradient": geometric_curve([[max(value, 1e-300) for value in each] for each in sizes]),
            **{f"loss, {name}": mean_curve(each) for name, each in curves.items()},
        },
    )


def _with_blocks(design: Sigmoids, blocks: int) -> Deep:
    return Deep(blocks=blocks, width=design.width, points=design.points, steps=design.steps,
        learning_rates=design.learning_rates)  # fmt: skip


def judge(found: Findings) -> Ruling:
    """True if the first layer's gradient is below a millionth of the last block's, the deep network ends below 60 %
    right (50 % is chance), and the shallow one, whose gradients arrive, above 75 %."""
    ratio, deep, shallow = found[RATIO], found[DEEP], found[SHALLOW]
    return ruled(
        every(below(ratio, -6), below(deep, 0.6), above(shallow, 0.75)),
        f"the gradient at the first layer is {10**ratio.value:.1g} of that in the last block; after training the deep "
        f"network has {deep.value:.0%} right and the shallow one {shallow.value:.0%}.",
    )


def draw(found: Findings) -> Figure:
    """Gradients by layer, and losses by step."""
    sizes = found.curves["gradient"]
    by_layer = Axis(
        lines=[Line(name="gradient", x=list(range(1, len(sizes) + 1)), y=sizes)],
        x_label="linear layer, first to last",
        y_label="gradient by the layer's output (rms)",
        y_scale="log",
        title="before training",
    )
    losses = Axis(
        lines=[
            Line(name=f"{name} network", x=list(range(1, len(curve) + 1)), y=curve)
            for name in ("deep", "shallow")
            if (curve := found.curves[f"loss, {name}"])
        ],
        x_label="step",
        y_label="training loss (nats per point)",
        levels={"chance": math.log(2)},
        title="in training",
    )
    return lines(by_layer, losses, title="A deep network of sigmoids")


STUDY = Study(
    name="sigmoid-24",
    topic="activations",
    question="The loss of a network of 24 blocks, each a linear layer and a sigmoid, stands still. Is it because the "
    "gradients vanish on the way to the first layers?",
    claim="A network of 24 sigmoid blocks stops training because its gradients vanish on the way to the first layers.",
    design=Sigmoids(),
    quick={"steps": 150, "seeds": 5},
    held_fixed="two moons, full batches, SGD with momentum 0.9, PyTorch's initial weights",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The slope of the sigmoid is at most 1/4, and PyTorch's initial weights shrink a gradient once more, to about "
        "0.58 of its size. So each block leaves about a seventh of the gradient, and 24 blocks leave almost nothing: "
        "the first layers stay as they were drawn, and what they pass on says nothing of the input. "
        "Written as [Linear, Sigmoid] * 24 the network has one layer that is used 24 times: its weights do get a "
        "gradient, but all of it comes from the last uses."
    ),
    source="Hochreiter 1991; Glorot and Bengio 2010, section 3",
    wrong_answer=(
        '"The learning rate is too small": a rate ten times as high trains the shallow network and not the deep one.'
    ),
)
