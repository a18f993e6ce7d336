"""Out of the basin of a poor minimum: gradient descent and SGD, from the same start with the same step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.streams import stream_seed
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, measured, ruled

RUNS_SHOWN = 3
BESIDE = 0.1
"""Where runs begin that show whether SGD stays at the right w."""


@dataclass(frozen=True, kw_only=True)
class Escape(Repeated):
    """Fit sin(w x) to samples of a sine: one weight, and a loss with many minima."""

    samples: Annotated[int, Range(2, 100_000)] = 256
    """Training samples."""
    frequency: Annotated[float, Range(above=0, high=100)] = 4.0
    """The right w."""
    start: Annotated[float, Range(-100, 100)] = 6.6
    """Where w begins; gradient descent goes from here to the minimum of the basin."""
    label_noise: Annotated[float, Range(0, 10)] = 0.0
    """Standard deviation of noise on the labels. Without it, the noise of SGD vanishes at the right w."""
    learning_rate: Annotated[float, Range(above=0, high=100)] = 0.2
    """Step size, the same for all."""
    steps: Annotated[int, Range(1, 1_000_000)] = 2_000
    """Steps of a run."""
    runs: Annotated[int, Range(1, 10_000)] = 50
    """Runs per seed, each with other batches."""
    batch_sizes: tuple[int, ...] = (1, 4, 16)
    """Batch sizes of SGD; the smallest counts. All samples are tried as well: gradient descent."""

    def rules(self) -> Iterator[Rule]:
        sizes = self.batch_sizes
        yield bool(sizes) and all(size >= 1 for size in sizes), "batch_sizes", "numbers from 1"
        yield all(size < self.samples for size in sizes), "batch_sizes", "below the number of samples"


@dataclass(frozen=True)
class Sine:
    """Samples x and y (N,) to fit sin(w x) to."""

    x: np.ndarray
    y: np.ndarray

    def loss(self, w: np.ndarray) -> np.ndarray:
        """Half the mean squared error for every w (n,)."""
        return ((np.sin(np.outer(w, self.x)) - self.y) ** 2).mean(axis=1) / 2

    def gradient(self, w: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Its derivative for every w (n,), of all samples or of each run's rows (n, B)."""
        x, y = (self.x[None], self.y[None]) if rows is None else (self.x[rows], self.y[rows])
        waves = w[:, None] * x
        return ((np.sin(waves) - y) * np.cos(waves) * x).mean(axis=1)


def draw_samples(design: Escape, numbers: np.random.Generator) -> Sine:
    """x is uniform from -3 to 3."""
    x = numbers.uniform(-3, 3, design.samples)
    return Sine(x, np.sin(design.frequency * x) + design.label_noise * numbers.standard_normal(design.samples))


def descend(sine: Sine, start: np.ndarray, design: Escape, batch_size: int, numbers: np.random.Generator) -> np.ndarray:
    """The path (steps + 1, runs) of runs from their starts (runs,)."""
    path = [start]
    for _ in range(design.steps):
        rows = None
        if batch_size < design.samples:
            rows = numbers.integers(design.samples, size=(len(start), batch_size))
        path.append(path[-1] - design.learning_rate * sine.gradient(path[-1], rows))
    return np.stack(path)


def experiment(design: Escape, lab: Lab) -> Findings:
    """Go to the poor minimum by gradient descent, then on from there with each batch size."""
    sizes = [*sorted(set(design.batch_sizes)), design.samples]
    shares: dict[int, list[float]] = {size: [] for size in sizes}
    ends: dict[int, list[float]] = {size: [] for size in sizes}
    poor_losses, back, curves = [], [], {}
    for seed in lab.each(design.each_seed, "seeds"):
        numbers = np.random.default_rng(stream_seed(seed, "samples and batches"))
        sine = draw_samples(design, numbers)
        poor = descend(sine, np.array([design.start]), design, design.samples, numbers)[-1]
        poor_loss = float(sine.loss(poor)[0])
        poor_losses.append(poor_loss)
        for size in sizes:
            path = descend(sine, poor.repeat(design.runs), design, size, numbers)
            losses = sine.loss(path[-1])
            shares[size].append(float((losses < poor_loss / 2).mean()))
            ends[size].append(float(losses.mean()))
            if seed == design.seed:
                for run in range(min(RUNS_SHOWN, design.runs)):
                    curves[f"path {run}, batch size {size}"] = path[:, run].tolist()
        beside = np.full(design.runs, design.frequency + BESIDE)
        path = descend(sine, beside, design, sizes[0], numbers)
        back.append(float((sine.loss(path[-1]) >= poor_loss / 2).mean()))
        if seed == design.seed:
            grid = np.linspace(*_span(design), 400)
            curves |= {"w": grid.tolist(), "loss": sine.loss(grid).tolist()}
    names = {size: "gradient descent" if size == design.samples else f"batch size {size}" for size in sizes}
    evidence = [
        measured("loss of the poor minimum", poor_losses),
        *(measured(f"share of runs that end at less than half that loss, {names[size]}", shares[size])
          for size in sizes),
        *(measured(f"loss at the end, {names[size]}", ends[size]) for size in sizes),
        measured(f"share of runs that end elsewhere, begun {BESIDE} beside the right w, {names[sizes[0]]}", back),
    ]  # fmt: skip
    return Findings(tuple(evidence), {**curves, "right w": [design.frequency], "sizes": list(map(float, sizes))})


def _span(design: Escape) -> tuple[float, float]:
    low, high = sorted((design.frequency, design.start))
    return low - 4, high + 4


def judge(found: Findings) -> Ruling:
    """The claim holds if SGD with the smallest batch gets away in at least 20 % more of the runs than descent."""
    name = "share of runs that end at less than half that loss"
    sgd, descent = found[f"{name}, batch size {found.curves['sizes'][0]:.0f}"], found[f"{name}, gradient descent"]
    return ruled(
        above(sgd - descent, 0.2),
        f"{100 * sgd.value:.3g} % of the runs of SGD get from the poor minimum to less than half its loss, and "
        f"{100 * descent.value:.3g} % of gradient descent.",
    )


def draw(found: Findings) -> Figure:
    """The loss, the paths of a run of each kind, and how many get away."""
    sizes = [int(size) for size in found.curves["sizes"]]
    poor = found["loss of the poor minimum"].value
    landscape = Axis(
        lines=[
            Line(name="loss", x=found.curves["w"], y=found.curves["loss"]),
            Line(
                name="at the poor minimum", x=[found.curves["w"][0], found.curves["w"][-1]], y=[poor] * 2, dashed=True
            ),
        ],
        x_label="weight w",
        y_label="half the mean squared error",
        title="the loss of all samples",
    )
    small, descent = f"batch size {sizes[0]}", f"path 0, batch size {sizes[-1]}"
    shown = [name for name in found.curves if name.startswith("path ") and name.endswith(f", {small}")]
    paths = Axis(
        lines=[
            Line(name=name, x=list(range(len(found.curves[key]))), y=found.curves[key])
            for name, key in [
                ("gradient descent", descent),
                *((f"{small}, run {1 + n}", k) for n, k in enumerate(shown)),
            ]
        ],
        x_label="step",
        y_label="weight w",
        title=f"the right w is {found.curves['right w'][0]:g}",
    )
    name = "share of runs that end at less than half that loss"
    away = [found[f"{name}, batch size {size}"].value for size in sizes[:-1]]
    shares = Axis(
        lines=[Line(name="runs", x=sizes, y=[*away, found[f"{name}, gradient descent"].value])],
        x_label="batch size, up to all samples",
        y_label="share of runs that get away",
        x_scale="log",
        title="all runs of all seeds",
    )
    return lines(landscape, paths, shares, title="Out of a poor minimum")


STUDY = Study(
    name="escape",
    topic="optimisation",
    question="In the basin of a poor minimum, does SGD get out where gradient descent does not?",
    claim="SGD gets out of the basin of a poor minimum in which gradient descent stays.",
    design=Escape(),
    quick={"runs": 20},
    held_fixed="the same samples, start and step size; x is uniform from -3 to 3",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "At a minimum the mean gradient is zero, and gradient descent stays. The gradients of single samples are not "
        "zero there, so that SGD keeps moving and now and then climbs out, to wander about until it meets a better "
        "basin; the variance goes with 1/B, and with large batches it hardly ever gets out. At the right w every "
        "sample's own gradient is zero and SGD settles; with --label-noise it never does, and may leave a good minimum "
        "as well."
    ),
    source="Kleinberg, Li and Yuan 2018; Goodfellow, Bengio and Courville 2016, section 8.1.3",
    wrong_answer=(
        '"Neither, since both follow the gradient": SGD follows the gradient of a few samples, which is not zero where '
        "the mean is."
    ),
)
