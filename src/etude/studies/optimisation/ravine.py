"""A narrow quadratic ravine: steps that gradient descent, momentum, Adam and Newton's method need."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.studies import Design, Findings, Lab, Ruling, Study, below, exact, ruled, some

METHODS = ("gradient descent", "heavy ball", "Nesterov", "Adam", "Newton")


@dataclass(frozen=True, kw_only=True)
class Ravine(Design):
    """f(x) = ½ xᵀH x in the plane, with curvature 1 along the ravine and κ across it."""

    conditions: tuple[float, ...] = (10.0, 100.0, 1000.0)
    """Condition numbers κ."""
    angle: Annotated[float, Range(0, 90)] = 45.0
    """Degrees between the ravine and the first axis. Only Adam, which scales each axis by itself, can tell."""
    tolerance: Annotated[float, Range(above=0, below=1)] = 1e-6
    """The distance from the minimum at which a method is done, as a share of the first distance."""
    most_steps: Annotated[int, Range(1, 10_000_000)] = 100_000
    """Where to stop a method that is not done."""
    learning_rates: tuple[float, ...] = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    """Learning rates of Adam; its best counts. The others take the best one that is known in closed form."""

    def rules(self) -> Iterator[Rule]:
        within = all(1 <= each <= 1e9 for each in self.conditions)
        yield bool(self.conditions) and within, "conditions", "numbers from 1 to 1e9"
        within = all(0 < each <= 1_000 for each in self.learning_rates)
        yield bool(self.learning_rates) and within, "learning_rates", "numbers above 0, at most 1,000"


def hessian(condition: float, angle: float) -> np.ndarray:
    """Curvature 1 in the direction of the angle in degrees, `condition` across it; (2, 2)."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turn = np.array([[cos, -sin], [sin, cos]])
    return turn @ np.diag([1.0, condition]) @ turn.T


Points = Iterator[np.ndarray]
"""The points (runs, 2) that a method visits, the first one included."""


def momentum(h: np.ndarray, start: np.ndarray, rate: float, beta: float, *, ahead: bool = False) -> Points:
    """Heavy ball (Polyak 1964), or with `ahead` Nesterov's gradient at x + β (x − last x); beta = 0 is descent."""
    x = last = start
    while True:
        yield x
        trial = x + beta * (x - last)
        x, last = trial - rate * (trial if ahead else x) @ h, x


def newton(h: np.ndarray, start: np.ndarray) -> Points:
    """x − H⁻¹ ∇f(x)."""
    x = start
    while True:
        yield x
        x = x - np.linalg.solve(h, h @ x.T).T


def adam(h: np.ndarray, start: np.ndarray, rates: np.ndarray) -> Points:
    """β = 0.9 and 0.999, ε = 1e-8 (Kingma and Ba 2015), one run per learning rate (runs, 1)."""
    x, first, second = start, np.zeros_like(start), np.zeros_like(start)
    for step in range(1, 2**62):
        yield x
        gradient = x @ h
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        x = x - rates * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)


def methods(condition: float, design: Ravine) -> dict[str, Callable[[], Points]]:
    """Each with the steps and the momentum that are best for a quadratic (Lessard et al. 2016, table 1)."""
    h, root = hessian(condition, design.angle), math.sqrt(condition)
    along = np.array([[1.0, 0.0], [0.0, 1.0]])
    turn = np.linalg.eigh(h)[1].T if condition > 1 else along
    start = (turn.sum(axis=0) / math.sqrt(2))[None]  # as far along the ravine as across it; (1, 2)
    rates = np.array(design.learning_rates)[:, None]
    wide = math.sqrt(3 * condition + 1)
    return {
        "gradient descent": lambda: momentum(h, start, 2 / (1 + condition), 0.0),
        "heavy ball": lambda: momentum(h, start, 4 / (1 + root) ** 2, ((root - 1) / (root + 1)) ** 2),
        "Nesterov": lambda: momentum(h, start, 4 / (3 * condition + 1), (wide - 2) / (wide + 2), ahead=True),
        "Adam": lambda: adam(h, start.repeat(len(rates), 0), rates),
        "Newton": lambda: newton(h, start),
    }


def distances(points: Points, design: Ravine) -> list[float]:
    """Distance from the minimum after every step, until it is below the tolerance for good in one of the runs.

    "For good" means at the end of 100 more steps as well: momentum may shoot through the minimum. Those are cut off.
    """
    path: list[np.ndarray] = []
    since: np.ndarray | None = None
    for step, point in enumerate(points):
        far = np.linalg.norm(point, axis=1)  # (runs,)
        path.append(far)
        since = np.full(len(far), -1) if since is None else since
        since = np.where(far > design.tolerance, -1, np.where(since < 0, step, since))
        done = (since >= 0) & (step - since >= 100)
        if done.any() or step >= design.most_steps:
            # of several that are done, or of none, the one that is nearest first
            run = int(np.argmin(np.where(since >= 0, since, 2**62))) if (since >= 0).any() else int(np.argmin(far))
            end = since[run] if since[run] >= 0 else step
            return [float(each[run]) for each in path[: end + 1]]
    raise AssertionError("the points of a method have no end")


def experiment(design: Ravine, lab: Lab) -> Findings:
    """Count each method's steps in each ravine."""
    evidence, curves = [], {}
    for condition in lab.each(sorted(design.conditions), "ravines"):
        for name, points in methods(condition, design).items():
            path = distances(points(), design)
            evidence.append(exact(f"steps of {name}, κ = {condition:g}", len(path) - 1))
            if condition == max(design.conditions):
                curves[name] = path
    curves["κ"] = sorted(design.conditions)
    return Findings(tuple(evidence), curves)


def judge(found: Findings) -> Ruling:
    """The claim holds if the heavy ball or Nesterov's method needs fewer steps than Newton's in one of the ravines."""
    wins = []
    for condition in found.curves["κ"]:
        newtons = found[f"steps of Newton, κ = {condition:g}"]
        wins += [
            below(found[f"steps of {name}, κ = {condition:g}"] - newtons, 0) for name in ("heavy ball", "Nesterov")
        ]
    narrow = max(found.curves["κ"])
    counts = [found[f"steps of {name}, κ = {narrow:g}"].value for name in ("Newton", "heavy ball", "gradient descent")]
    return ruled(
        some(*wins),
        f"at κ = {narrow:g} Newton's method takes {counts[0]:,.0f} step{'s' if counts[0] != 1 else ''}, "
        f"the heavy ball {counts[1]:,.0f} and gradient descent {counts[2]:,.0f}.",
    )


def draw(found: Findings) -> Figure:
    """The way to the minimum of the narrowest ravine, and the steps against its condition."""
    conditions = list(found.curves["κ"])
    way = Axis(
        lines=[
            Line(name=name, x=list(range(1, len(path) + 1)), y=np.maximum(path, 1e-14).tolist())
            for name in METHODS
            for path in [found.curves[name]]
        ],
        x_label="step, the start being 1",
        y_label="distance from the minimum",
        x_scale="log",
        y_scale="log",
        title=f"κ = {max(conditions):g}",
    )
    counts = Axis(
        lines=[
            Line(name=name, x=conditions, y=[found[f"steps of {name}, κ = {each:g}"].value for each in conditions])
            for name in METHODS
        ],
        x_label="condition number κ",
        y_label="steps to the minimum",
        x_scale="log",
        y_scale="log",
        title="all ravines",
    )
    return lines(way, counts, title="Down a quadratic ravine")


STUDY = Study(
    name="ravine",
    topic="optimisation",
    question="In a long, narrow quadratic ravine, which takes fewer steps: momentum or Newton's method?",
    claim="In a narrow quadratic ravine, gradient descent with momentum needs fewer steps than Newton's method.",
    design=Ravine(),
    held_fixed=(
        "exact gradients; the same start, as far along the ravine as across it; every method with its best settings, "
        "and at most most_steps steps"
    ),
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "Newton's step H⁻¹∇f undoes the curvature, and for a quadratic it ends at the minimum, whatever κ is. Gradient "
        "descent shrinks the distance by (κ − 1)/(κ + 1) per step and so needs about κ/2 steps for each factor of e, "
        "the heavy ball by (√κ − 1)/(√κ + 1), about √κ/2. Newton's step needs second derivatives and a linear solve, "
        "n² numbers and about n³/3 operations for n parameters: a large network cannot afford it, and uses momentum."
    ),
    source="Polyak 1964; Lessard, Recht and Packard 2016, table 1; Boyd and Vandenberghe 2004, section 9.5",
    wrong_answer=(
        '"Momentum, since it is made for ravines": it is better there than plain descent, but it does not know the '
        "curvature."
    ),
)
