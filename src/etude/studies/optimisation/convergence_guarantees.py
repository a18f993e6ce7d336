"""Where gradient descent ends: on a convex function, beside a saddle, with a second minimum, and with noise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range
from etude.streams import stream_seed
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, below, every, measured, ruled

Function = Callable[[np.ndarray], np.ndarray]
HIGH = 1e12
"""The height of a run that diverged."""


@dataclass(frozen=True, kw_only=True)
class ConvergenceGuarantees(Repeated):
    """Descent on three functions of x and y, from random starts."""

    step_size: Annotated[float, Range(above=0, high=10)] = 0.1
    """Step size."""
    steps: Annotated[int, Range(1, 1_000_000)] = 2_000
    """Steps from each start."""
    starts: Annotated[int, Range(1, 100_000)] = 100
    """Starts per seed, uniform in a square from -2 to 2."""
    tilt: Annotated[float, Range(0, 0.38)] = 0.1
    """How much lower one of two minima is: the factor of y in that function. From 0.385 on there is only one."""
    noise: Annotated[float, Range(0, 100)] = 0.5
    """Standard deviation of the noise of SGD's gradients, per coordinate."""
    near: Annotated[float, Range(above=0, high=1)] = 0.01
    """How close to the lowest value a run has to end."""


def functions(tilt: float) -> dict[str, tuple[Function, Function]]:
    """Value (n,) and derivative (n,) by y; all three have ½ x² added, so that all that is hard is in y."""

    def two_minima(tilt: float) -> tuple[Function, Function]:
        return lambda y: y**4 / 4 - y**2 / 2 + tilt * y, lambda y: y**3 - y + tilt

    return {
        "convex": (lambda y: np.logaddexp(y, -y) - np.log(2), np.tanh),
        "saddle": two_minima(0),
        "second minimum": two_minima(tilt),
    }


def lowest(function: Function) -> float:
    """Its lowest value, to 1e-9."""
    return float(function(np.linspace(-3, 3, 200_001)).min())


def height(function: Function, points: np.ndarray, low: float) -> np.ndarray:
    """How far points (..., 2) lie above the lowest value of the function; (...)."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = points[..., 0] ** 2 / 2 + function(points[..., 1]) - low
    return np.nan_to_num(found, nan=HIGH, posinf=HIGH).clip(max=HIGH)


def descend(
    derivative: Function, start: np.ndarray, design: ConvergenceGuarantees, *, noise: np.random.Generator | None = None,
    falling: bool = False,
) -> np.ndarray:  # fmt: skip
    """The points (steps + 1, n, 2) from the starts (n, 2); with noise added to the gradients as in SGD.

    `falling` steps go with 1/t, as Robbins and Monro (1951) ask for.
    """
    path = [start]
    for step in range(design.steps):
        x, y = path[-1].clip(-1e50, 1e50).T  # beyond, a run has diverged
        gradient = np.stack([x, derivative(y)], axis=1)
        if noise is not None:
            gradient = gradient + design.noise * noise.standard_normal(gradient.shape)
        size = design.step_size / (1 + design.step_size * step) if falling else design.step_size
        path.append(path[-1] - size * gradient)
    return np.stack(path)


def experiment(design: ConvergenceGuarantees, lab: Lab) -> Findings:
    """Descend on each function from each start, and on the ridge of the saddle; with and without noise."""
    known = functions(design.tilt)
    lows = {name: lowest(function) for name, (function, _) in known.items()}
    shares: dict[str, list[float]] = {}
    curves: dict[str, list[float]] = {}

    def add(what: str, value: float) -> None:
        shares.setdefault(what, []).append(float(value))

    for seed in lab.each(design.each_seed, "seeds"):
        numbers = np.random.default_rng(stream_seed(seed, "starts and noise"))
        start = numbers.uniform(-2, 2, (design.starts, 2))
        ridge = start * [1, 0]
        for name, (function, derivative) in known.items():
            ends = descend(derivative, start, design)[-1]
            add(
                f"share of starts that end at the lowest value, {name}",
                (height(function, ends, lows[name]) < design.near).mean(),
            )
        function, derivative = known["saddle"]
        for what, noise in (("", None), (", with noise", numbers)):
            path = descend(derivative, ridge, design, noise=noise)
            # with noise it stays near a minimum, not at it
            add(f"share of starts on the ridge of the saddle that leave it{what}", (abs(path[-1, :, 1]) > 0.5).mean())
            if seed == design.seed:
                curves[f"ridge{what}"] = height(function, path, lows["saddle"]).mean(axis=1).tolist()
        function, derivative = known["convex"]
        for what, falling in (("steps of one size", False), ("falling steps", True)):
            path = descend(derivative, start, design, noise=numbers, falling=falling)
            add(
                f"height above the minimum, convex, with noise, {what}",
                height(function, path[-1], lows["convex"]).mean(),
            )
            if seed == design.seed:
                curves[f"convex, noise, {what}"] = height(function, path, lows["convex"]).mean(axis=1).tolist()
        if seed == design.seed:
            for name, (function, derivative) in known.items():
                corner = np.array([[1.5, 1.5]])
                path = descend(derivative, corner, design)
                curves[name] = height(function, path[:, 0], lows[name]).tolist()
    return Findings(tuple(measured(what, values) for what, values in shares.items()), curves)


def judge(found: Findings) -> Ruling:
    """The claim holds if at least 99 % of the starts end at the lowest value of each function, the ridge included.

    If that is so for the convex function and not for the others, it holds only if the function is convex.
    """
    convex, saddle, second = (
        found[f"share of starts that end at the lowest value, {name}"]
        for name in ("convex", "saddle", "second minimum")
    )
    ridge = found["share of starts on the ridge of the saddle that leave it"]
    because = (
        f"{100 * convex.value:.3g} % of the starts end at the lowest value of the convex function, "
        f"{100 * second.value:.3g} % where there is a second minimum, {100 * saddle.value:.3g} % beside a saddle and "
        f"{100 * ridge.value:.3g} % from the ridge of that saddle."
    )
    rest = every(*(above(each, 0.99) for each in (saddle, second, ridge)))
    fails = [below(each, 0.99) for each in (saddle, second, ridge)]
    if above(convex, 0.99) and True in fails:
        return Ruling("only if", because, condition="the function is convex")
    return ruled(every(above(convex, 0.99), rest), because)


def draw(found: Findings) -> Figure:
    """The height above the minimum during descent."""

    def panel(title: str, names: dict[str, str]) -> Axis:
        return Axis(
            lines=[
                Line(name=name, x=list(range(1, len(found.curves[key]) + 1)),
                     y=np.maximum(found.curves[key], 1e-8).tolist())
                for key, name in names.items()
            ],
            x_label="step, the start being 1",
            y_label="height above the lowest value",
            x_scale="log",
            y_scale="log",
            title=title,
        )  # fmt: skip

    return lines(
        panel("exact gradients", {
            "convex": "convex", "saddle": "beside a saddle", "ridge": "on the saddle's ridge",
            "second minimum": "second minimum",
        }),
        panel("noisy gradients", {
            "convex, noise, steps of one size": "convex, steps of one size",
            "convex, noise, falling steps": "convex, falling steps",
            "ridge, with noise": "on the saddle's ridge",
        }),
        title="Where gradient descent ends",
    )  # fmt: skip


STUDY = Study(
    name="convergence-guarantees",
    topic="optimisation",
    question="Does gradient descent with small steps always end at a global minimum?",
    claim="Gradient descent with small steps ends at a global minimum, wherever it begins.",
    design=ConvergenceGuarantees(),
    quick={"seeds": 4, "starts": 50, "steps": 1_000},
    held_fixed="½ x² is part of every function; step size and starts are the same",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "Gradient descent with steps below 2 over the largest curvature always lowers the function and its gradient "
        "goes to zero, but that is also so at a saddle and at a higher minimum; only for a convex function is every "
        "such point a global minimum. SGD leaves the ridge of a saddle because of its noise. With steps of one size it "
        "does not settle even on a convex function; its guarantee needs steps that fall, with Σ η = ∞ and Σ η² < ∞."
    ),
    source="Bottou, Curtis and Nocedal 2018, section 4; Robbins and Monro 1951; Lee et al. 2016 on saddles",
    wrong_answer='"Yes, the loss falls at every step": it falls, but to a point where the gradient is zero, no more.',
)
