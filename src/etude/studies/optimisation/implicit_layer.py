"""An optimisation problem as a layer: must it be solved by gradient descent for gradients to get through?"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.optimize import minimize
from torch import Tensor

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range
from etude.streams import stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, measured, no, ruled, some

DESCENT = "gradient descent"


@dataclass(frozen=True, kw_only=True)
class ImplicitLayer(Repeated):
    """The layer y* = argmin ½‖A y − b‖² + ½ λ‖y‖² + ¼ q Σ y⁴, and a loss ½‖y* − target‖² after it."""

    outputs: Annotated[int, Range(1, 8)] = 3
    """Numbers in y."""
    inputs: Annotated[int, Range(1, 1_000)] = 6
    """Numbers in b: the rows of A."""
    ridge: Annotated[float, Range(1e-6, 1_000)] = 0.5
    """λ."""
    quartic: Annotated[float, Range(above=0, high=1_000)] = 1.0
    """q of the second problem, which has no closed form; in the first it is 0."""
    steps: Annotated[int, Range(1, 20_000)] = 400
    """Steps of gradient descent on y."""


@dataclass(frozen=True)
class Problem:
    """The layer's parameters in float64, and the loss after it."""

    a: Tensor
    """(inputs, outputs)"""
    b: Tensor
    """(inputs,), what goes into the layer"""
    ridge: Tensor
    """()"""
    quartic: float
    target: Tensor
    """(outputs,)"""

    @property
    def given(self) -> tuple[Tensor, ...]:
        """What the gradient is asked for."""
        return self.a, self.b, self.ridge

    def with_given(self, a: Tensor, b: Tensor, ridge: Tensor) -> "Problem":
        """The same with other numbers."""
        return Problem(a, b, ridge, self.quartic, self.target)

    def objective(self, y: Tensor) -> Tensor:
        """What y* (outputs,) makes smallest."""
        return (
            (self.a @ y - self.b).square().sum() + self.ridge * y.square().sum() + self.quartic / 2 * y.pow(4).sum()
        ) / 2

    def gradient(self, y: Tensor) -> Tensor:
        """The objective's, by y (outputs,)."""
        return self.a.T @ (self.a @ y - self.b) + self.ridge * y + self.quartic * y**3

    def hessian(self, y: Tensor) -> Tensor:
        """(outputs, outputs)"""
        return self.a.T @ self.a + torch.diag(self.ridge + 3 * self.quartic * y**2)

    def loss(self, y: Tensor) -> Tensor:
        """The loss after the layer."""
        return (y - self.target).square().sum() / 2


def draw_problem(design: ImplicitLayer, seed: int, quartic: float) -> Problem:
    """A random one."""
    generator = stream(seed, "problem")

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    ridge = torch.tensor(design.ridge, dtype=torch.float64)
    return Problem(
        normal(design.inputs, design.outputs), normal(design.inputs), ridge, quartic, normal(design.outputs)
    )  # fmt: skip


def closed_form(problem: Problem) -> Tensor:
    """(AᵀA + λ)⁻¹ Aᵀ b, which is right without the quartic term."""
    return torch.linalg.solve(problem.hessian(torch.zeros_like(problem.target)), problem.a.T @ problem.b)


def newton(problem: Problem) -> Tensor:
    """Newton's method from 0."""
    y = torch.zeros_like(problem.target)
    for _ in range(100):
        gradient = problem.gradient(y)
        if float(gradient.norm()) < 1e-13:
            break
        y = y - torch.linalg.solve(problem.hessian(y), gradient)
    return y


def without_gradients(problem: Problem) -> Tensor:
    """Nelder and Mead's simplex, which sees values of the objective alone."""
    found = minimize(
        lambda y: float(problem.objective(torch.from_numpy(y))), np.zeros(len(problem.target)), method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-15, "maxiter": 4_000, "maxfev": 8_000},
    )  # fmt: skip
    return torch.from_numpy(found.x)


def descent(problem: Problem, steps: int) -> Tensor:
    """Gradient descent from 0; with differentiable numbers, autograd can go through all its steps.

    The step is one over a bound of the curvature where the objective is below its value at 0: there, ¼ q y⁴ ≤ ½‖b‖².
    """
    with torch.no_grad():
        widest = torch.linalg.eigvalsh(problem.a.T @ problem.a)[-1] + problem.ridge
        size = 1 / (widest + 3 * (2 * problem.quartic) ** 0.5 * problem.b.norm())
    y = torch.zeros_like(problem.target)
    for _ in range(steps):
        y = y - size * problem.gradient(y)
    return y


def implicit_gradient(problem: Problem, y: Tensor) -> Tensor:
    """The loss's gradient by A, b and λ at a solution y, however it was found; one vector.

    Since ∇f(y*, θ) = 0, dy*/dθ = −H⁻¹ ∂∇f/∂θ, so that the loss's is −uᵀ ∂∇f/∂θ with H u = y* − target.
    """
    y = y.detach()
    u = torch.linalg.solve(problem.hessian(y), y - problem.target).detach()
    asked = [each.detach().requires_grad_() for each in problem.given]
    gradient = problem.with_given(*asked).gradient(y)
    return -torch.cat([each.flatten() for each in torch.autograd.grad(gradient @ u, asked)])


def unrolled_gradient(problem: Problem, solve: Callable[[Problem], Tensor]) -> Tensor:
    """The same by autograd through the solver."""
    asked = [each.detach().requires_grad_() for each in problem.given]
    loss = problem.loss(solve(problem.with_given(*asked)))
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, asked)])


def finite_differences(problem: Problem, step: float = 1e-5) -> Tensor:
    """The same by solving again with each number moved to both sides."""
    flat = torch.cat([each.flatten() for each in problem.given])
    sizes = [each.numel() for each in problem.given]

    def loss(numbers: Tensor) -> float:
        parts = [part.view_as(each) for part, each in zip(numbers.split(sizes), problem.given, strict=True)]
        changed = problem.with_given(*parts)
        return float(changed.loss(newton(changed)))

    moves = step * torch.eye(len(flat), dtype=flat.dtype)
    return torch.tensor([(loss(flat + move) - loss(flat - move)) / (2 * step) for move in moves], dtype=flat.dtype)


def right_digits(found: Tensor, reference: Tensor) -> float:
    """−log10 of the relative error, at most 16."""
    return -math.log10(max(1e-16, float((found - reference).norm() / reference.norm())))


def experiment(design: ImplicitLayer, lab: Lab) -> Findings:
    """Solve both problems by each solver and compare the gradients with finite differences."""
    digits: dict[str, list[float]] = {}
    counts = sorted({max(1, round(design.steps ** (k / 12))) for k in range(13)})
    ways = {"unrolled": np.zeros((design.seeds, len(counts))), "implicit": np.zeros((design.seeds, len(counts)))}
    for row, seed in enumerate(lab.each(design.each_seed, "seeds")):
        for name, quartic in (("quadratic", 0.0), ("quartic", design.quartic)):
            problem = draw_problem(design, seed, quartic)
            reference = finite_differences(problem)

            def add(what: str, found: Tensor, reference: Tensor = reference) -> None:
                digits.setdefault(f"right digits of the gradient, {what}", []).append(right_digits(found, reference))

            solvers = {"closed form": closed_form} if quartic == 0 else {}
            solvers |= {"Newton": newton, "without gradients": without_gradients}
            for solver, solve in solvers.items():
                add(f"{name}, {solver}, implicit", implicit_gradient(problem, solve(problem)))
            add(f"{name}, {DESCENT}, implicit", implicit_gradient(problem, descent(problem, design.steps)))
            add(f"{name}, {DESCENT}, unrolled", unrolled_gradient(problem, lambda each: descent(each, design.steps)))
        for column, count in enumerate(counts):  # of the quartic problem
            for way, found in (
                ("unrolled", unrolled_gradient(problem, lambda each, count=count: descent(each, count))),
                ("implicit", implicit_gradient(problem, descent(problem, count))),
            ):
                ways[way][row, column] = right_digits(found, reference)
    curves = {way: table.mean(axis=0).tolist() for way, table in ways.items()}
    evidence = tuple(measured(what, values) for what, values in digits.items())
    return Findings(evidence, {**curves, "steps": list(map(float, counts))})


def judge(found: Findings) -> Ruling:
    """The claim holds if no solver but gradient descent gives a gradient with four right digits."""
    others = [each for each in found if DESCENT not in each.what]
    unrolled = found[f"right digits of the gradient, quartic, {DESCENT}, unrolled"]
    worst = min(others, key=lambda each: each.value)
    return ruled(
        no(some(*(above(each, 4) for each in others))),
        f"without descent the gradient has at least {worst.value:.1f} right digits ({_shortened(worst.what)}), and "
        f"{unrolled.value:.1f} with autograd through all steps of gradient descent.",
    )


def _shortened(what: str) -> str:
    return what.removeprefix("right digits of the gradient, ").removesuffix(", implicit")


def draw(found: Findings) -> Figure:
    """The right digits against the steps of descent, unrolled and implicit, with the other solvers as levels."""
    steps = found.curves["steps"]
    levels = {
        name: found[f"right digits of the gradient, quartic, {name}, implicit"].value
        for name in ("Newton", "without gradients")
    }
    panel = Axis(
        lines=[
            Line(name="descent, autograd through its steps", x=steps, y=found.curves["unrolled"]),
            Line(name="descent, implicit function theorem", x=steps, y=found.curves["implicit"]),
            *(
                Line(name=f"{name}, implicit function theorem", x=steps, y=[level] * len(steps), dashed=True)
                for name, level in levels.items()
            ),
        ],
        x_label="steps of gradient descent on y",
        y_label="right digits of the layer's gradient",
        x_scale="log",
    )
    return lines(panel, title="Gradients through argmin, against finite differences (quartic problem)")


STUDY = Study(
    name="implicit-layer",
    topic="optimisation",
    question="If a layer's output is the solution of an optimisation problem, must gradient descent solve it?",
    claim="A layer that solves an optimisation problem must do so by gradient descent, or no gradient gets through.",
    design=ImplicitLayer(),
    quick={"seeds": 4},
    held_fixed="float64; finite differences of the solved layer are the reference for the gradients by A, b and λ",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "At a solution ∇f(y*, θ) = 0, and the implicit function theorem gives dy*/dθ = −H⁻¹ ∂∇f/∂θ from the solution "
        "alone, however it was found: by a formula, by Newton's method, or by a search without gradients. Autograd "
        "through the steps of descent comes to the same gradient, but keeps every step in memory. The theorem needs "
        "an invertible Hessian H at the solution."
    ),
    source="Amos and Kolter 2017, OptNet; Blondel et al. 2022, Efficient and Modular Implicit Differentiation",
    wrong_answer=(
        '"Yes, since backpropagation needs differentiable steps": it needs the derivative of the solution, not of the '
        "way to it."
    ),
)
