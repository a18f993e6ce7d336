"""Numerical gradients: how far from the gradient at which step size, and at what cost."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.streams import stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, below, every, exact, measured, ruled

KINDS = tuple(itertools.product(("central", "one-sided"), ("float64", "float32")))
POWERS = {"central": 1 / 3, "one-sided": 1 / 2}
"""The best step is about the rounding error of the type to this power."""


@dataclass(frozen=True, kw_only=True)
class NumericalGradient(Repeated):
    """The loss of a small network, differentiated by differences of losses."""

    steps: tuple[float, ...] = tuple(float(f"{mantissa}e-{power}") for power in range(1, 15) for mantissa in (3, 1))
    """Step sizes ε to try."""
    inputs: Annotated[int, Range(1, 1_000)] = 5
    """Inputs of the network."""
    hidden: Annotated[int, Range(1, 1_000)] = 8
    """Hidden units (tanh)."""
    classes: Annotated[int, Range(2, 1_000)] = 3
    """Classes, of which cross-entropy is the loss."""
    examples: Annotated[int, Range(1, 100_000)] = 20
    """Examples that the loss is the mean of."""

    def rules(self) -> Iterator[Rule]:
        within = all(0 < step <= 1_000 for step in self.steps)
        yield len(self.steps) >= 2 and within, "steps", "two numbers or more, above 0 and at most 1,000"


class Loss:
    """Mean cross-entropy of a two-layer network on random examples, as a function of all parameters in one vector."""

    def __init__(self, design: NumericalGradient, seed: int) -> None:
        generator = stream(seed, "network and examples")
        self.shapes = (
            (design.hidden, design.inputs), (design.hidden,), (design.classes, design.hidden), (design.classes,)
        )  # fmt: skip
        self.x = torch.randn(design.examples, design.inputs, generator=generator)
        self.labels = torch.randint(design.classes, (design.examples,), generator=generator)
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        self.sizes = sizes
        # float32 numbers in both types: rounding the parameters is not what is measured
        self.parameters = torch.randn(sum(sizes), generator=generator) * 0.5  # (P,)
        self.evaluations = 0

    def __call__(self, parameters: Tensor) -> Tensor:
        """Parameters (P,) to the loss, computed in their type."""
        self.evaluations += 1
        w1, b1, w2, b2 = (
            part.view(shape) for part, shape in zip(parameters.split(self.sizes), self.shapes, strict=True)
        )
        hidden = torch.tanh(self.x.to(parameters.dtype) @ w1.T + b1)  # (N, hidden)
        return functional.cross_entropy(hidden @ w2.T + b2, self.labels)

    def gradient(self) -> Tensor:
        """Autograd's, in float64 (P,)."""
        parameters = self.parameters.double().requires_grad_()
        return torch.autograd.grad(self(parameters), parameters)[0]


def numerical_gradient(
    loss: Callable[[Tensor], Tensor], parameters: Tensor, step: float, *, kind: str = "central", perturbs: bool = True
) -> Tensor:
    """One entry after the other: (L(w + ε) − L(w − ε)) / 2ε, or one-sided (L(w + ε) − L(w)) / ε; float64 (P,).

    With `perturbs` False the parameter stays as it is, a common mistake.
    """
    gradient = torch.zeros(len(parameters), dtype=torch.float64)
    here = None if kind == "central" else loss(parameters).double()
    for i in range(len(parameters)):
        moved = parameters.clone()
        moved[i] += step if perturbs else 0
        above = loss(moved).double()
        if here is None:
            moved = parameters.clone()
            moved[i] -= step if perturbs else 0
            gradient[i] = (above - loss(moved).double()) / (2 * step)
        else:
            gradient[i] = (above - here) / step
    return gradient


def relative_error(gradient: Tensor, reference: Tensor) -> float:
    """Distance over the length of the reference."""
    return float((gradient - reference).norm() / reference.norm())


def experiment(design: NumericalGradient, lab: Lab) -> Findings:
    """The error of each kind at each step size, the calls of the loss, and the version that never perturbs."""
    steps = sorted(design.steps, reverse=True)
    errors = {kind: np.zeros((design.seeds, len(steps))) for kind in KINDS}
    calls: dict[str, float] = {}
    forgotten: list[float] = []
    for row, seed in enumerate(lab.each(design.each_seed, "seeds")):
        loss = Loss(design, seed)
        reference = loss.gradient()
        for kind, dtype in KINDS:
            parameters = loss.parameters.to(getattr(torch, dtype))
            before = loss.evaluations
            for column, step in enumerate(steps):
                found = numerical_gradient(loss, parameters, step, kind=kind)
                errors[kind, dtype][row, column] = relative_error(found, reference)
            calls[kind] = (loss.evaluations - before) / len(steps) / len(parameters)
        unmoved = numerical_gradient(loss, loss.parameters.double(), steps[len(steps) // 2], perturbs=False)
        forgotten.append(relative_error(unmoved, reference))
    evidence = []
    for kind, dtype in KINDS:
        table = errors[kind, dtype]
        best = table.min(axis=1)
        expected = torch.finfo(getattr(torch, dtype)).eps ** POWERS[kind]
        evidence += [
            measured(f"right digits at the best step, {kind}, {dtype}", (-np.log10(np.maximum(best, 1e-300))).tolist()),
            measured(
                f"best step over the rounding error to the power 1/{1 / POWERS[kind]:.0f}, {kind}, {dtype}",
                [steps[column] / expected for column in table.argmin(axis=1)],
            ),
            measured(
                f"digits lost at the smallest step, {kind}, {dtype}",
                np.log10(np.maximum(table[:, -1], 1e-300) / np.maximum(best, 1e-300)).tolist(),
            ),
        ]
    evidence += [exact(f"calls of the loss per parameter, {kind}", number) for kind, number in calls.items()]
    evidence.append(measured("relative error of a version that never perturbs", forgotten))
    curves: dict[str, list[float]] = {"steps": steps}
    for (kind, dtype), table in errors.items():
        curves[f"{kind}, {dtype}"] = np.exp(np.log(np.maximum(table, 1e-300)).mean(axis=0)).tolist()
    return Findings(tuple(evidence), curves)


def judge(found: Findings) -> Ruling:
    """The claim holds if the smallest step loses less than 0.3 digits (a factor of 2) against the best step.

    It must hold for central and one-sided differences, in float64 and in float32.
    """
    lost = [found[f"digits lost at the smallest step, {kind}, {dtype}"] for kind, dtype in KINDS]
    forgotten = found["relative error of a version that never perturbs"].value
    return ruled(
        every(*(below(each, 0.3) for each in lost)),
        f"at the smallest step central differences lose {lost[0].value:.1f} digits in float64 and {lost[1].value:.1f} "
        f"in float32 against the best step; one that never perturbs is {100 * forgotten:.0f} % off.",
    )


def draw(found: Findings) -> Figure:
    """Error against step size, in both types."""
    steps, forgotten = found.curves["steps"], found["relative error of a version that never perturbs"].value
    panels = [
        Axis(
            lines=[
                *(Line(name=kind, x=steps, y=found.curves[f"{kind}, {dtype}"]) for kind in ("central", "one-sided")),
                Line(name="never perturbs", x=[steps[0], steps[-1]], y=[forgotten] * 2, dashed=True),
            ],
            x_label="step size ε",
            y_label="relative error of the gradient",
            x_scale="log",
            y_scale="log",
            title=dtype,
        )
        for dtype in ("float64", "float32")
    ]
    return lines(*panels, title="Numerical gradients against autograd")


STUDY = Study(
    name="numerical-gradient",
    topic="optimisation",
    question="How small should the step of a numerical gradient be, and what does such a gradient cost?",
    claim="The smaller the step, the better the numerical gradient.",
    design=NumericalGradient(),
    quick={"seeds": 4},
    held_fixed="cross-entropy of a two-layer tanh network on random examples; autograd in float64 is the reference",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "A central difference is off by about ε² L‴/6, a one-sided one by ε L″/2, and both by the rounding of the loss "
        "over ε, which grows as ε shrinks. The sum is smallest near ε = eps^(1/3), that is 6e-6 in float64 and 5e-3 in "
        "float32, or eps^(1/2) for one-sided differences. Each parameter costs two calls of the loss (one and a single "
        "shared one, if one-sided), where backpropagation gets all of them for the price of a few calls."
    ),
    source="Press et al. 2007, Numerical Recipes, section 5.7",
    wrong_answer=(
        "A function that returns zeros because it never changes the parameter: compare with autograd, and its error is "
        "100 %."
    ),
)
