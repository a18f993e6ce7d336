"""Gradient steps on f(x, y) = x y: does the game reach its saddle?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range
from etude.studies import Design, Findings, Lab, Ruling, Study, below, every, exact, ruled

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class XYGame(Design):
    """A game of two numbers: x wants x y small, y wants it large."""

    step_size: Annotated[float, Range(above=0, high=10)] = 1.0
    """Step size η of both players."""
    steps: Annotated[int, Range(1, 100_000)] = 60
    """Steps of each player."""
    x: Annotated[float, Range(-1e6, 1e6)] = 1.0
    """Where x begins."""
    y: Annotated[float, Range(-1e6, 1e6)] = 1.0
    """Where y begins."""


def alternating(x: float, y: float, eta: float) -> Point:
    """y first, then x, which sees the new y."""
    y = y + eta * x
    return x - eta * y, y


def simultaneous(x: float, y: float, eta: float) -> Point:
    """Both from the same point."""
    return x - eta * y, y + eta * x


def extragradient(x: float, y: float, eta: float) -> Point:
    """A trial step first; the gradients there move both from where they were (Korpelevich 1976)."""
    trial_x, trial_y = simultaneous(x, y, eta)
    return x - eta * trial_y, y + eta * trial_x


def path(step: Callable[[float, float, float], Point], design: XYGame, eta: float) -> Iterator[Point]:
    """The points that the players visit, the first one included."""
    x, y = design.x, design.y
    yield x, y
    for _ in range(design.steps):
        x, y = step(x, y, eta)
        yield x, y


def optimistic_path(design: XYGame, eta: float) -> Iterator[Point]:
    """Each gradient counts twice, less the one before (Daskalakis et al. 2018)."""
    x, y = last_x, last_y = design.x, design.y
    yield x, y
    for _ in range(design.steps):
        new_x, new_y = x - eta * (2 * y - last_y), y + eta * (2 * x - last_x)
        last_x, last_y, x, y = x, y, new_x, new_y
        yield x, y


def growth(points: list[Point]) -> float:
    """Largest distance from the saddle in the last quarter of the steps, over that in the first quarter."""
    distances = np.hypot(*np.array(points).T)
    quarter = max(1, len(distances) // 4)
    return float(distances[-quarter:].max() / distances[:quarter].max())


def min_max(points: int = 201) -> float:
    """min over x of max over y of x y, both on a grid of [−1, 1]: the value of the game."""
    grid = np.linspace(-1, 1, points)
    return float(np.outer(grid, grid).max(axis=1).min())


LISTED = 6
"""How many of the first alternating steps are in the table."""


def experiment(design: XYGame, lab: Lab) -> Findings:
    """Play by four rules, and by two of them with steps a quarter as large."""
    eta = design.step_size
    rules = {"alternating": alternating, "simultaneous": simultaneous, "extragradient": extragradient}
    paths = {name: list(path(step, design, eta)) for name, step in rules.items()}
    paths["optimistic"] = list(optimistic_path(design, eta))
    small = {
        "extragradient": list(path(extragradient, design, eta / 4)),
        "optimistic": list(optimistic_path(design, eta / 4)),
    }
    period = next(
        (n for n in range(1, design.steps + 1) if np.allclose(paths["alternating"][n], paths["alternating"][0])), 0
    )
    evidence = [exact(f"growth of the distance, {name} steps", growth(each)) for name, each in paths.items()]
    evidence += [
        exact(f"growth of the distance, {name} steps of a quarter of the size", growth(each))
        for name, each in small.items()
    ]
    evidence.append(exact("steps until alternating players are back where they began, 0 if never", period))
    evidence.append(exact("min over x of max over y of x y, both in [−1, 1]", min_max()))
    for step, (x, y) in enumerate(paths["alternating"][1 : LISTED + 1], start=1):
        evidence += [exact(f"y after alternating step {step}", y), exact(f"x after alternating step {step}", x)]
    curves: dict[str, list[float]] = {}
    for name, each in paths.items():
        curves[f"x, {name}"], curves[f"y, {name}"] = ([point[axis] for point in each] for axis in (0, 1))
    return Findings(tuple(evidence), curves)


def judge(found: Findings) -> Ruling:
    """The claim holds if plain steps of both kinds end at a tenth of the distance at which they began, or nearer."""
    plain = [found[f"growth of the distance, {name} steps"] for name in ("alternating", "simultaneous")]
    nearer = [below(each, 0.1) for each in plain]
    period = found["steps until alternating players are back where they began, 0 if never"].value
    circle = (
        f"alternating players are back where they began after {period:.0f} steps"
        if period
        else (f"the distance of alternating players from the saddle grows {plain[0].value:.3g}-fold")
    )
    return ruled(every(*nearer), f"{circle}; with simultaneous steps the distance grows {plain[1].value:.3g}-fold.")


def draw(found: Findings) -> Figure:
    """The paths of alternating and of simultaneous players, and the distances of all."""
    curves = found.curves

    def steps(name: str, count: int) -> Line:
        return Line(name=name, x=curves[f"x, {name}"][:count], y=curves[f"y, {name}"][:count])

    plane = Axis(
        lines=[steps("alternating", 7), steps("simultaneous", 6)], x_label="x", y_label="y", square=True,
        title="the first steps",
    )  # fmt: skip
    names = ("alternating", "simultaneous", "extragradient", "optimistic")
    distances = {name: np.hypot(curves[f"x, {name}"], curves[f"y, {name}"]) for name in names}
    far = Axis(
        lines=[
            Line(name=name, x=list(range(len(each))), y=np.clip(each, 1e-6, 1e6).tolist())
            for name, each in distances.items()
        ],
        x_label="step",
        y_label="distance from the saddle",
        y_scale="log",
        title="the way to the saddle",
    )
    return lines(plane, far, title="Gradient steps on f(x, y) = x y")


STUDY = Study(
    name="xy-game",
    topic="gans",
    question="Two players move by gradient steps on f(x, y) = x y, x down and y up. Do they reach the saddle (0, 0)?",
    claim="Gradient steps of both players end at the saddle, as gradient descent ends at a minimum.",
    design=XYGame(),
    held_fixed="the same start and step size for all rules",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The gradient of each player is at a right angle to the way to the saddle, so that small steps go round it. "
        "Simultaneous steps multiply the distance by √(1 + η²) each time; alternating ones have eigenvalues of size 1 "
        "and go round for ever, with η = 1 in six steps. Steps that look ahead (extragradient, below η = 1) or "
        "remember the last gradient (optimistic, below 1/√3) do shrink it."
    ),
    source="Gidel et al. 2019, section 3; Daskalakis et al. 2018",
    wrong_answer=(
        '"It converges, since the saddle is the solution of the game": the solution is not where these steps lead.'
    ),
)
