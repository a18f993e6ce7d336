"""A ring of Gaussians: does a generator make samples of all of them?"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.metrics.prdc import precision_recall
from etude.streams import stream
from etude.studies import Evidence, Findings, Lab, Ruling, Study, above, measured, ruled
from etude.studies.gans.games import PointGame, Training

RADIUS = 2.0
NUM_TRAINING, NUM_TEST = 2_000, 1_000
NEAR = 4.0
"""Standard deviations from a centre within which a point counts as a sample of that mode."""
LEAST_SHARE = 0.1
"""Of the samples that a mode ought to get: fewer, and it counts as lost."""
ALL = 0.8
"""Share of the modes that counts as all of them."""
MODES = "share of modes covered, steps of G at a time: "
ON_MODES = "share of samples on a mode, steps of G at a time: "
RECALL = "recall, steps of G at a time: "


@dataclass(frozen=True, kw_only=True)
class ModeCollapse(PointGame):
    """A GAN of narrow Gaussians on a circle of radius 2."""

    num_modes: Annotated[int, Range(2, 100)] = 8
    """Gaussians on the circle."""
    steps: Annotated[int, Range(1, 100_000)] = 1500
    learning_rate: Annotated[float, Range(above=0, high=1)] = 3e-3
    width: Annotated[int, Range(1, 1024)] = 64
    std: Annotated[float, Range(0.001, 1)] = 0.1
    """Standard deviation of each."""
    generator_steps: tuple[int, ...] = (1, 5)
    """Steps of the generator per step of the discriminator: a GAN is trained with each."""
    loss: Literal["nonsaturating", "least_squares", "minimax", "hinge"] = "nonsaturating"
    """The adversarial loss."""

    def rules(self) -> Iterator[Rule]:
        """Numbers of steps that can be told apart."""
        fine = len(set(self.generator_steps)) == len(self.generator_steps) > 0
        yield fine and all(1 <= each <= 1000 for each in self.generator_steps), "generator_steps", (
            "one or more different numbers from 1 to 1000"
        )  # fmt: skip


def centres(num_modes: int) -> Tensor:
    """Centres of the modes, (num_modes, 2)."""
    angles = torch.arange(num_modes) * (2 * math.pi / num_modes)
    return RADIUS * torch.stack([angles.cos(), angles.sin()], 1)


def ring_points(design: ModeCollapse, num_samples: int, purpose: str) -> Tensor:
    """Points (num_samples, 2), as many of each mode; the same for all seeds."""
    which = torch.arange(num_samples) % design.num_modes
    noise = torch.randn(num_samples, 2, generator=stream(0, purpose))
    return centres(design.num_modes)[which] + design.std * noise


def modes_of(points: Tensor, num_modes: int, std: float) -> tuple[float, int]:
    """The share of points (n, 2) within 4 standard deviations of a centre, and how many modes have enough of them."""
    distances, which = torch.cdist(points, centres(num_modes)).min(1)
    near = distances < NEAR * std
    counts = torch.bincount(which[near], minlength=num_modes)
    return float(near.float().mean()), int((counts >= LEAST_SHARE * len(points) / num_modes).sum())


def recall(test: Tensor, points: Tensor) -> float:
    """Share of test points (n, 2) among generated ones (n, 2), by Kynkäänniemi et al. 2019."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*neighbours nearer than rounding")  # collapsed samples are alike
        return precision_recall(test, points).recall


def experiment(design: ModeCollapse, lab: Lab) -> Findings:
    """Train with each number of the generator's steps; modes covered, samples on a mode, recall and losses."""
    evidence: list[Evidence] = []
    curves: dict[str, list[float]] = {}
    test = ring_points(design, NUM_TEST, "test points")
    curves["x real"], curves["y real"] = test.T.tolist()
    for steps in design.generator_steps:
        training = Training(design, (ring_points(design, NUM_TRAINING, "points"), test), loss=design.loss)
        for _ in lab.each(range(design.steps), f"steps, {steps} of the generator at a time"):
            training.round()
            for _ in range(steps - 1):
                training.games.step_generator(next(training.noise))
        points = training.points()
        shares, modes = zip(*(modes_of(each, design.num_modes, design.std) for each in points), strict=True)
        of_discriminators, of_generators = training.games.losses(test.expand_as(points), training.test_noise)
        evidence += [
            measured(f"{MODES}{steps}", [count / design.num_modes for count in modes]),
            measured(f"{ON_MODES}{steps}", shares),
            measured(f"{RECALL}{steps}", [recall(test, each) for each in points]),
            measured(f"discriminator's loss, steps of G at a time: {steps}", of_discriminators),
            measured(f"generator's loss, steps of G at a time: {steps}", of_generators),
        ]
        curves[f"x {steps}"], curves[f"y {steps}"] = points[0].T.tolist()
    return Findings(tuple(evidence), curves)


def judge(found: Findings) -> Ruling:
    """The claim holds for a number of steps if the mean share of modes covered is above 0.8: true if it holds for all.

    False if it holds for none. If it holds below a number of steps and not from there on, it depends on that.
    """
    covered = sorted((int(each.what.removeprefix(MODES)), each) for each in found if each.what.startswith(MODES))
    holds = [above(each, ALL) for _, each in covered]
    said = ", ".join(f"{each.value:.0%} with {steps}" for steps, each in covered)
    because = f"the share of modes covered is {said} of the generator's steps."
    if None in holds or all(holds) or not any(holds) or holds != sorted(holds, key=lambda part: not part):
        return ruled(None if None in holds else all(holds), because)
    last = sum(map(bool, holds))
    return Ruling(
        "only if",
        because,
        f"the generator does not run ahead: with up to {covered[last - 1][0]} of its steps per step of the "
        f"discriminator, not with {covered[last][0]}",
    )


def draw(found: Findings) -> Figure:
    """Real and generated points of the first seed, for each number of steps (the first three)."""
    curves = found.curves
    numbers = [each.what.removeprefix(MODES) for each in found if each.what.startswith(MODES)][:3]
    panels = [
        Axis(
            lines=[
                Line(name="real", x=curves["x real"], y=curves["y real"], dots=True),
                Line(name="generated", x=curves[f"x {steps}"], y=curves[f"y {steps}"], dots=True),
            ],
            x_label="x",
            y_label="y",
            square=True,
            title=f"{steps} of G per step of D: {found[f'{MODES}{steps}'].value:.0%} of modes",
        )
        for steps in numbers
    ]
    return lines(*panels, title="Modes that a generator covers")


STUDY = Study(
    name="mode-collapse",
    topic="gans",
    question="The data are eight Gaussians on a circle. Does the generator of a GAN make samples of all of them?",
    claim="A GAN makes samples of all modes of its data.",
    design=ModeCollapse(),
    quick={"seeds": 6, "steps": 1000},
    held_fixed="Adam; the same initial weights and points for all; the last step of each round is the generator's",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "Against a discriminator that stands still, the best that a generator can do is to put all samples where D is "
        "largest: one point is enough. Steps of the generator alone lead there, the discriminator then rejects this "
        "point, and the samples move on to another, together. The losses do not show it, as they stay near those of "
        "the optimum (1.39 and 0.69 nats); the modes covered and the recall do."
    ),
    source="Goodfellow 2016, section 5.1.1; Metz et al. 2017, section 3.1",
    wrong_answer=(
        '"If the discriminator is fooled, the samples are distributed as the data are": a discriminator sees one '
        "sample at a time, and a single point may fool it."
    ),
)
