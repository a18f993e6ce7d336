"""The noise of a generator: uniform, normal, or from another distribution at every step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude.drawing.evidence import intervals
from etude.families.ranges import Range
from etude.streams import stream
from etude.studies import Evidence, Findings, Lab, Ruling, Study, below, every, measured, ruled
from etude.studies.gans.games import (
    BLOCK,
    Data,
    PointGame,
    Training,
    factor,
    log_ratio,
    normal_batches,
    real_points,
    uniform_batches,
)
from etude.studies.pictures import bars

WORSE = 1.25
"""A ratio of distances from the data that counts as worse."""
NUM_TESTS = 20
"""Batches of noise, as in training, with which a generator is compared with the data."""
ARMS = ("uniform", "N(0, I)", "another at every step", "another for every sample")
RATIO = "distance over that of uniform noise, "


@dataclass(frozen=True, kw_only=True)
class Noise(PointGame):
    """A GAN with noise from one distribution, or from many."""

    data: Data = "moons"
    """The points: two moons, two rings, or eight Gaussians on a circle."""
    loss: Literal["nonsaturating", "minimax", "least_squares", "hinge"] = "least_squares"
    """The adversarial loss. Least squares end most alike from seed to seed."""
    shift: Annotated[float, Range(0, 100)] = 1.0
    """Where noise changes, a new centre is drawn, uniform in [-shift, shift]."""
    scale: Annotated[float, Range(1, 100)] = 2.0
    """Where noise changes, it is stretched by a factor from 1/scale to scale, and uniform or normal by a coin."""


def changing_batches(design: Noise, purpose: str, num_samples: int, *, per_sample: bool) -> Iterator[Tensor]:
    """Noise (seeds, num_samples, noise_dim) from a new distribution for each batch, or for each row."""
    generators, dim = [stream(seed, purpose) for seed in design.each_seed], design.noise_dim
    num_chosen = num_samples if per_sample else 1

    def uniform(rows: int, columns: int) -> Tensor:
        """Numbers in [-1, 1], (BLOCK, seeds, rows, columns)."""
        return torch.stack([torch.rand(BLOCK, rows, columns, generator=each) for each in generators], 1) * 2 - 1

    while True:
        centres, stretches = design.shift * uniform(num_chosen, dim), design.scale ** uniform(num_chosen, 1)
        normal = torch.stack([torch.randn(BLOCK, num_samples, dim, generator=each) for each in generators], 1)
        shapes = torch.where(uniform(num_chosen, 1) < 0, uniform(num_samples, dim), normal)
        yield from centres + stretches * shapes


def batches(arm: str, design: Noise, purpose: str, num_samples: int) -> Iterator[Tensor]:
    """The noise of an arm."""
    shape = (num_samples, design.noise_dim)
    match arm:
        case "uniform":
            return uniform_batches(design.each_seed, purpose, *shape)
        case "N(0, I)":
            return normal_batches(design.each_seed, purpose, *shape)
        case _:
            return changing_batches(design, purpose, num_samples, per_sample=arm == "another for every sample")


def experiment(design: Noise, lab: Lab) -> Findings:
    """Train with each noise, and compare points from that noise with the test points."""
    distances: dict[str, Evidence] = {}
    for arm in ARMS:
        training = Training(design, real_points(design.data), loss=design.loss)
        training.noise = batches(arm, design, "noise", design.batch_size)
        for _ in lab.each(range(design.steps), f"steps, {arm}"):
            training.round()
        tests = batches(arm, design, "tests", len(training.test))
        found = [training.games.distances(training.test, next(tests)) for _ in range(NUM_TESTS)]
        distances[arm] = measured(f"distance from the data, {arm}", torch.tensor(found).mean(0).tolist())
    ratios = [log_ratio(f"{RATIO}{arm}", distances[arm], distances["uniform"]) for arm in ARMS[1:]]
    return Findings((*distances.values(), *ratios))


def judge(found: Findings) -> Ruling:
    """True if neither normal noise nor one that changes at every step makes the distance from the data 1.25 times as
    large as uniform noise; false if one does."""
    normal, changing, mixed = (found[f"log10 of the {RATIO}{arm}"] for arm in ARMS[1:])
    return ruled(
        every(*(below(each, math.log10(WORSE)) for each in (normal, changing))),
        f"compared with uniform noise the distance from the data is {factor(normal):.2f} times as large with N(0, I), "
        f"{factor(mixed):.2f} times with another distribution for every sample, and {factor(changing):.2f} times with "
        "another one at every step.",
    )


def draw(found: Findings) -> Figure:
    """The distances of all kinds of noise."""
    distances = [found[f"distance from the data, {arm}"] for arm in ARMS]
    return intervals(
        bars(distances, names=ARMS, label="distance of generated from real points (unit of the coordinates)"),
        title="What noise a generator is trained with",
    )


STUDY = Study(
    name="noise-distribution",
    topic="gans",
    question="Does it matter from which distribution the generator's noise comes, and whether it is always the same?",
    claim="Any noise will do, even from another distribution at every step.",
    design=Noise(),
    held_fixed="initial weights, points and loss; each generator is tested with the kind of noise it was trained with",
    experiment=experiment,
    judge=judge,
    draw=draw,
    quick={"seeds": 8, "steps": 1000},
    explanation=(
        "A generator maps one distribution to that of the data; if the noise is moved and stretched, so are the "
        "samples. A discriminator that meets other samples at every step chases them, and the generator with "
        "it. Which distribution it is hardly matters as long as it stays: N(0, I) does as well as uniform noise, and "
        "so does a mixture in which every sample has a distribution of its own."
    ),
    source="Goodfellow et al. 2014, section 3",
    wrong_answer=(
        '"The more varied the noise, the better": a mixture varies as much within each step as the changing noise does '
        "between steps, and its samples are no nearer to the data than those of uniform noise."
    ),
)
