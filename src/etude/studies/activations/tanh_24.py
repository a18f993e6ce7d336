"""Tanh in place of sigmoids in a network of 24 blocks: does it cure gradients that vanish?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from matplotlib.figure import Figure
from torch import Tensor, nn

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range
from etude.studies import Evidence, Findings, Lab, Ruling, Study, below, every, measured, no, ruled
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

SIGMOID, TANH, SCALED = "sigmoid", "tanh", "tanh with gain"


@dataclass(frozen=True, kw_only=True)
class Tanhs(Deep):
    """A deep network of sigmoids, of tanh, and of tanh with larger initial weights."""

    gain: Annotated[float, Range(above=0, high=10)] = 5 / 3
    """Gain of Xavier's initial weights for the third network."""


def ratio(name: str) -> str:
    """What the evidence on a network's gradients is called."""
    return f"log10 of the gradient at the first layer over that in the last block, {name}"


def accuracy(name: str) -> str:
    """What the evidence on a network's training is called."""
    return f"test accuracy, two classes, {name}"


def networks(design: Tanhs) -> dict[str, tuple[Callable[[], nn.Module], Callable[[Tensor], object] | None]]:
    """The activation and the initial weights of each network."""
    return {
        SIGMOID: (nn.Sigmoid, None),
        TANH: (nn.Tanh, None),
        SCALED: (nn.Tanh, lambda weight: nn.init.xavier_normal_(weight, gain=design.gain)),
    }


def experiment(design: Tanhs, lab: Lab) -> Findings:
    """Gradients at the start, and accuracy after training, of the three."""
    data = moons(design.points)
    kinds = networks(design)
    sizes: dict[str, list[list[float]]] = {name: [] for name in kinds}
    losses: dict[str, list[list[float]]] = {name: [] for name in kinds}
    right: dict[str, list[float]] = {name: [] for name in kinds}
    for seed in lab.each(design.each_seed, "seeds"):
        for name, (activation, start) in kinds.items():
            sizes[name].append(gradient_sizes(deep_mlp(activation, design, seed, start), *data[:2]))
            share, curve = trained_accuracy(
                lambda a=activation, i=start, s=seed: deep_mlp(a, design, s, i), design, data
            )
            right[name].append(share)
            losses[name].append(curve)
    evidence = list[Evidence]()
    for name in kinds:
        evidence.append(measured(ratio(name), [log_ratio(each) for each in sizes[name]]))
        evidence.append(measured(accuracy(name), right[name]))
    return Findings(
        tuple(evidence),
        {f"gradient, {name}": geometric_curve([[max(v, 1e-300) for v in each] for each in sizes[name]])
         for name in kinds}
        | {f"loss, {name}": mean_curve(losses[name]) for name in kinds},
    )  # fmt: skip


def judge(found: Findings) -> Ruling:
    """Sigmoids' gradients vanish (the first layer's is below a thousandth of the last block's); tanh cures them if with
    it, and with the same initial weights, the first layer gets a hundredth or more."""
    sick, cured = below(found[ratio(SIGMOID)], -3), no(below(found[ratio(TANH)], -2))
    sizes = {name: 10 ** found[ratio(name)].value for name in (SIGMOID, TANH, SCALED)}
    return ruled(
        every(sick, cured),
        f"the gradient at the first layer is {sizes[SIGMOID]:.1g} of that in the last block with sigmoids, "
        f"{sizes[TANH]:.1g} with tanh, and {sizes[SCALED]:.2g} with tanh and larger initial weights.",
    )


def draw(found: Findings) -> Figure:
    """Gradients by layer, and losses by step."""
    names = (SIGMOID, TANH, SCALED)

    def panel(what: str, x_label: str, y_label: str, title: str, *, log: bool) -> Axis:
        curves = {name: found.curves[f"{what}, {name}"] for name in names}
        return Axis(
            lines=[Line(name=name, x=list(range(1, len(each) + 1)), y=each) for name, each in curves.items()],
            x_label=x_label,
            y_label=y_label,
            y_scale="log" if log else "linear",
            title=title,
        )

    return lines(
        panel(
            "gradient",
            "linear layer, first to last",
            "gradient by the layer's output (rms)",
            "before training",
            log=True,
        ),
        panel("loss", "step", "training loss (nats per point)", "in training", log=False),
        title="Sigmoid and tanh in 24 blocks",
    )


STUDY = Study(
    name="tanh-24",
    topic="activations",
    question="In a network of 24 blocks gradients vanish behind the sigmoids. Does it help to take tanh instead?",
    claim="Tanh in place of the sigmoid is enough to cure the vanishing gradients of a network of 24 blocks.",
    design=Tanhs(),
    quick={"steps": 100, "seeds": 5},
    held_fixed="two moons, full batches, SGD with momentum 0.9, PyTorch's initial weights unless a gain is named",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The slope of tanh at 0 is 1, four times that of the sigmoid, so that the activations alone no longer shrink a "
        "gradient. PyTorch's initial weights still do: drawn from ±1/√n, each layer leaves about 0.58 of a gradient, "
        "and 24 of them a millionth or so. Weights with a gain of 5/3 make up for the slope below 1 away from 0, and "
        "then a gradient of useful size reaches the first layer."
    ),
    source="Glorot and Bengio 2010, sections 3.2 and 4.2",
    wrong_answer='"Tanh cures it, its slope is 1 where the sigmoid\'s is 1/4": the weights shrink gradients too.',
)
