"""A generator's loss that falls beside a discriminator's that stays high: a success, or a warning?"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.metrics.fid import frechet_distance
from etude.studies import Evidence, Findings, Lab, Ruling, Study, above, below, every, measured, ruled
from etude.studies.gans.games import Data, PointGame, Training, factor, log_ratio, real_points, uniform_batches

ARMS = ("even players", "stopped discriminator")
NUM_REPORTS = 20
"""Times at which losses and distances are noted."""


@dataclass(frozen=True, kw_only=True)
class Signs(PointGame):
    """A GAN of even players, and one whose discriminator all but stops to learn."""

    data: Data = "mixture"
    """The points: two moons, two rings, or eight Gaussians on a circle."""
    stop: Annotated[int, Range(0, 100_000)] = 300
    """Steps after which one of the discriminators all but stops to learn."""
    weakness: Annotated[float, Range(above=1, high=1e9)] = 1000.0
    """By how much its learning rate is divided then."""

    def rules(self) -> Iterator[Rule]:
        """Losses are noted at 20 steps, and one discriminator stops before the end."""
        yield self.steps >= NUM_REPORTS, "steps", f"at least {NUM_REPORTS}"
        yield self.stop < self.steps, "stop", "less than --steps"


def experiment(design: Signs, lab: Lab) -> Findings:
    """Train both; losses and distances from the test points along the way and at the end."""
    evidence: list[Evidence] = []
    curves: dict[str, list[float]] = {}
    for arm in ARMS:
        training = Training(design, real_points(design.data))
        fresh = next(uniform_batches(design.each_seed, "losses", len(training.test), design.noise_dim))
        real = training.test.expand(design.seeds, -1, -1)
        reports: list[tuple[list[float], list[float], list[float]]] = []
        curves["step"], at_stop = [], training.games.losses(real, fresh)
        for step in lab.each(range(design.steps + 1), f"steps, {arm}"):
            if step == design.stop:
                at_stop = training.games.losses(real, fresh)
                if arm == ARMS[1]:
                    training.games.slow_discriminator(design.weakness)
            if step * NUM_REPORTS // design.steps > (step - 1) * NUM_REPORTS // design.steps:
                reports.append((*training.games.losses(real, fresh), training.distances()))
                curves["step"].append(step)
            if step < design.steps:
                training.round()
        for place, name in enumerate((D_LOSS, G_LOSS, "distance from the data")):
            curves[f"{name}, {arm}"] = [sum(each[place]) / design.seeds for each in reports]
            evidence.append(measured(f"{name}, {arm}", reports[-1][place]))
        fall = [before - after for before, after in zip(at_stop[1], reports[-1][1], strict=True)]
        evidence.append(measured(f"fall of the {G_LOSS} since step {design.stop:,}, {arm}", fall))
        points = training.points()
        frechet = [frechet_distance(training.test, each) for each in points]
        evidence.append(measured(f"Fréchet distance of the points, {arm}", frechet))
        curves["x real"], curves["y real"] = training.test.T.tolist()
        curves[f"x {arm}"], curves[f"y {arm}"] = points[0].T.tolist()
    even, stopped = (Findings(tuple(evidence))[f"distance from the data, {arm}"] for arm in ARMS)
    evidence.append(log_ratio(RATIO, stopped, even))
    return Findings(tuple(evidence), curves)


G_LOSS, D_LOSS = "generator's loss, nats", "discriminator's loss, nats"
RATIO = "distance from the data with the stopped discriminator over that of even players"


def judge(found: Findings) -> Ruling:
    """True if the samples of the stopped discriminator's game are nearer to the data than those of even players.

    Undecided unless that game is the one of the claim: its generator's loss has fallen and is below that of even
    players, and its discriminator's loss is above theirs.
    """
    even, stopped = ({name: found[f"{name}, {arm}"] for name in (G_LOSS, D_LOSS)} for arm in ARMS)
    (fall,) = (each for each in found if each.what.startswith("fall") and each.what.endswith(ARMS[1]))
    situation = every(
        above(fall, 0), below(stopped[G_LOSS] - even[G_LOSS], 0), above(stopped[D_LOSS] - even[D_LOSS], 0)
    )
    losses = (
        f"with a discriminator that stopped the losses end at {stopped[G_LOSS].value:.2g} nats (generator) and "
        f"{stopped[D_LOSS].value:.2g} (discriminator), with even players at {even[G_LOSS].value:.2g} and "
        f"{even[D_LOSS].value:.2g}"
    )
    if not situation:
        return ruled(None, f"{losses}: not the situation of the claim.")
    ratio = found[f"log10 of the {RATIO}"]
    return ruled(
        below(ratio, 0), f"{losses}; its samples are {factor(ratio):.2g} times as far from the data as theirs."
    )


def draw(found: Findings) -> Figure:
    """Losses of both games, distances along the way, and the points at the end."""
    curves, step = found.curves, found.curves["step"]
    losses = [
        Axis(
            lines=[
                Line(name=name.removesuffix(", nats"), x=step, y=curves[f"{name}, {arm}"]) for name in (G_LOSS, D_LOSS)
            ],
            x_label="step",
            y_label="loss, nats",
            levels={"log 4": math.log(4)},
            title=f"losses, {arm}",
        )
        for arm in ARMS
    ]
    distances = Axis(
        lines=[Line(name=arm, x=step, y=curves[f"distance from the data, {arm}"]) for arm in ARMS],
        x_label="step",
        y_label="distance from the data",
        y_scale="log",
        title="samples",
    )
    return lines(*losses, distances, title="What a falling loss of the generator is worth")


STUDY = Study(
    name="losses-as-signs",
    topic="gans",
    question="The generator's loss falls and the discriminator's stays high. Are the samples good?",
    claim="A low loss of the generator beside a high loss of the discriminator is the aim of the training.",
    design=Signs(),
    quick={"seeds": 6, "steps": 1200},
    held_fixed="non-saturating loss, Adam; initial weights, points and noise; both games are the same until one stops",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The generator's loss says how well it fools this discriminator, and nothing of the data: a discriminator that "
        "has stopped to learn is fooled by points far from all data, where it extrapolates. Its own loss stays high, "
        "since it takes them for real. At the aim both losses stand still, the discriminator's near log 4 = 1.39 and "
        "the generator's near log 2 = 0.69, and whether the samples are good only samples and distances such as FID "
        "can say."
    ),
    source="Goodfellow et al. 2014, section 4",
    wrong_answer=(
        '"The lower the loss, the better the samples": so it is for a classifier, whose loss compares with the data. '
        "A generator's compares with its opponent."
    ),
)
