"""The discriminator's loss also has a gradient by the generator's weights: what if a step follows it?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range
from etude.studies import Evidence, Findings, Lab, Ruling, Study, below, every, exact, measured, ruled
from etude.studies.gans.games import Data, PointGame, Training, descend, factor, log_ratio, real_points

HARM = 1.25
"""A ratio of distances from the data that counts as worse."""
ARMS = ("detached", "gradient cleared", "gradient added", "optimizer of both")
LEAKS = ARMS[2:]


@dataclass(frozen=True, kw_only=True)
class Leak(PointGame):
    """A GAN whose discriminator's step does, or does not, reach the generator."""

    data: Data = "mixture"
    """The points: two moons, two rings, or eight Gaussians on a circle."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 3e-3
    loss: Literal["nonsaturating", "minimax"] = "nonsaturating"
    """The generator's loss."""


def trained(arm: str, design: Leak, lab: Lab) -> Training:
    """Train by one of four programs, which differ in what becomes of the discriminator's gradient."""
    training = Training(design, real_points(design.data), loss=design.loss)
    games = training.games
    # A discriminator's optimizer that was given the weights of both networks
    adam = torch.optim.Adam(games.generator, design.learning_rate, (0.5, 0.999), fused=True)
    for _ in lab.each(range(design.steps), f"steps, {arm}"):
        real, noise = next(training.real), next(training.noise)
        leaked: Sequence[Tensor] | None = None
        if arm == "detached":
            games.step_discriminator(real, noise)
        else:
            loss = games.discriminator_loss(real, games.generate(noise))
            leaked = torch.autograd.grad(loss, games.generator, retain_graph=True)
            games.descend_discriminator(loss)
            if arm == "optimizer of both":
                descend(adam, games.generator, leaked)
        games.descend_generator(games.generator_loss(next(training.noise)), leaked if arm == "gradient added" else None)
    return training


def experiment(design: Leak, lab: Lab) -> Findings:
    """Train with each program, and compare the distances from the test points."""
    evidence: list[Evidence] = []
    curves: dict[str, list[float]] = {}
    distances: dict[str, Evidence] = {}
    points: dict[str, Tensor] = {}
    for arm in ARMS:
        training = trained(arm, design, lab)
        points[arm] = training.points()
        curves["x real"], curves["y real"] = training.test.T.tolist()
        curves[f"x {arm}"], curves[f"y {arm}"] = points[arm][0].T.tolist()
        distances[arm] = measured(f"distance from the data, {arm}", training.distances())
    change = (points[ARMS[1]] - points[ARMS[0]]).abs().max()
    evidence += distances.values()
    evidence.append(exact("largest change of a point by a gradient that is cleared", float(change)))
    evidence += [log_ratio(f"{RATIO}{arm}", distances[arm], distances["detached"]) for arm in LEAKS]
    return Findings(tuple(evidence), curves)


RATIO = "distance over that of a detached step, "


def judge(found: Findings) -> Ruling:
    """True if the distance from the data stays below 1.25 times that of a detached step, by both ways of leaking.

    False if it does not by one of them.
    """
    ratios = [found[f"log10 of the {RATIO}{arm}"] for arm in LEAKS]
    return ruled(
        every(*(below(each, math.log10(HARM)) for each in ratios)),
        f"the distance from the data is {factor(ratios[0]):.2g} times as large if the gradient is added to the "
        f"generator's own, and {factor(ratios[1]):.2g} times if the discriminator's optimizer has both networks.",
    )


def draw(found: Findings) -> Figure:
    """Points of the first seed's generators over the real ones."""
    curves = found.curves
    panels = [
        Axis(
            lines=[
                Line(name="real", x=curves["x real"], y=curves["y real"], dots=True),
                Line(name="generated", x=curves[f"x {arm}"], y=curves[f"y {arm}"], dots=True),
            ],
            x_label="x",
            y_label="y",
            square=True,
            title=arm,
        )
        for arm in ("detached", *LEAKS)
    ]
    return lines(*panels, title="The discriminator's step: kept from the generator, or not")


STUDY = Study(
    name="leak-into-generator",
    topic="gans",
    question="While the discriminator trains, may its loss also change the generator?",
    claim="It does no harm if the discriminator's step changes the generator as well.",
    design=Leak(),
    quick={"seeds": 8, "steps": 1000},
    held_fixed="Adam; the same initial weights, points and noise for all",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "By the generator's weights the discriminator's loss has a gradient, too, and it points to samples that are "
        "easier to tell from real ones: the opposite of the generator's aim. By a sample's logit s the two gradients "
        "add up to 2 σ(s) − 1 with the non-saturating loss, which pulls to D = ½ instead of to “real”, and with the "
        "minimax loss they cancel. `detach()`, or clearing the gradients before the generator's step, keeps it out: a "
        "cleared gradient changes nothing and only costs time."
    ),
    source="Goodfellow et al. 2014, algorithm 1",
    wrong_answer=(
        '"The generator should learn from both losses": the discriminator\'s loss falls when samples get worse.'
    ),
)
