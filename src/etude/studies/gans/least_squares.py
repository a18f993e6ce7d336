"""The least-squares loss: gradients far from the boundary, and games that end alike from seed to seed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.losses import ADVERSARIAL
from etude.studies import Evidence, Findings, Lab, Ruling, Study, above, below, every, exact, measured, ruled
from etude.studies.gans.games import Data, PointGame, Training, factor, real_points

LOSSES = {"non-saturating": "nonsaturating", "least-squares": "least_squares"}
BOUNDARY = {"non-saturating": 0.0, "least-squares": 0.5}
"""The score between what each discriminator takes for generated and for real."""
RATIO = "least-squares over non-saturating gradient, score beyond the boundary by "
SPREAD = "deviation of the log10 of a seed's distance from the median seed, "
DIFFERENCE = "deviation with least squares minus that with the non-saturating loss"


@dataclass(frozen=True, kw_only=True)
class LeastSquares(PointGame):
    """A GAN with either loss, and the gradients of both for samples that already pass for real."""

    data: Data = "mixture"
    """The points: two moons, two rings, or eight Gaussians on a circle."""
    seeds: Annotated[int, Range(5, 10_000)] = 32  # of two, both are as far from their median
    steps: Annotated[int, Range(1, 100_000)] = 1000
    beyond: tuple[float, ...] = (2.0, 5.0, 10.0)
    """How far the score of a sample is beyond the boundary, on the side of real ones."""

    def rules(self) -> Iterator[Rule]:
        """Scores that can be told apart and compared in float64."""
        fine = len(set(self.beyond)) == len(self.beyond) > 0 and all(0 < each <= 30 for each in self.beyond)
        yield fine, "beyond", "one or more different numbers above 0, up to 30"


def gradients(name: str, scores: list[float]) -> list[float]:
    """Sizes of the gradients of the generator's loss by a sample's score, by autograd in float64."""
    given = torch.tensor(scores, dtype=torch.float64, requires_grad=True)
    losses = torch.stack([ADVERSARIAL[LOSSES[name]].generator(each) for each in given])
    (gradient,) = torch.autograd.grad(losses.sum(), given)
    return gradient.abs().tolist()


def experiment(design: LeastSquares, lab: Lab) -> Findings:
    """The gradients of both losses, and the spread over seeds of the distances that both games end at."""
    evidence: list[Evidence] = []
    curves: dict[str, list[float]] = {"beyond": np.linspace(-6, 12, 200).tolist()}
    for name, boundary in BOUNDARY.items():
        curves[f"gradient, {name}"] = gradients(name, [boundary + each for each in curves["beyond"]])
    for beyond in design.beyond:
        sizes = {name: gradients(name, [boundary + beyond])[0] for name, boundary in BOUNDARY.items()}
        evidence += [exact(f"gradient of the {name} loss, beyond by {beyond:g}", size) for name, size in sizes.items()]
        evidence.append(exact(f"{RATIO}{beyond:g}", sizes["least-squares"] / sizes["non-saturating"]))
    spreads: dict[str, Evidence] = {}
    for name, loss in LOSSES.items():
        training = Training(design, real_points(design.data), loss=loss)
        for _ in lab.each(range(design.steps), f"steps, {name} loss"):
            training.round()
        distances = np.array(training.distances())
        evidence.append(measured(f"distance from the data, {name} loss", distances.tolist()))
        logs = np.log10(distances)
        spreads[name] = measured(f"{SPREAD}{name} loss", np.abs(logs - np.median(logs)).tolist())
        curves[f"distances, {name}"] = np.sort(distances).tolist()
    difference = spreads["least-squares"] - spreads["non-saturating"]
    return Findings((*evidence, *spreads.values(), Evidence(DIFFERENCE, difference.values)), curves)


def judge(found: Findings) -> Ruling:
    """True if at each score the gradient of least squares is the larger one, and the deviations are smaller.

    A seed's deviation is how far the logarithm of its distance from the data is from that of the median seed (Brown
    and Forsythe 1974).
    """
    ratios = [each for each in found if each.what.startswith(RATIO)]
    spreads = [found[f"{SPREAD}{name} loss"] for name in ("least-squares", "non-saturating")]
    said = ", ".join(f"{each.value:.3g}" for each in ratios)
    far = ", ".join(each.what.removeprefix(RATIO) for each in ratios)
    return ruled(
        every(*(above(each, 1) for each in ratios), below(found[DIFFERENCE], 0)),
        f"the gradient of least squares is {said} times as large for scores {far} beyond the boundary; a seed's "
        f"distance from the data deviates {factor(spreads[0]):.2f}-fold from the median with least squares, and "
        f"{factor(spreads[1]):.2f}-fold with the non-saturating loss.",
    )


def draw(found: Findings) -> Figure:
    """Gradients against the score, and the distances of all seeds in their order."""
    curves = found.curves
    sizes = Axis(
        lines=[Line(name=name, x=curves["beyond"], y=curves[f"gradient, {name}"]) for name in LOSSES],
        x_label="score beyond the boundary, to the side of real samples",
        y_label="size of the gradient by the score",
        y_scale="log",
        title="gradient of a generated sample (0 at its target)",
    )
    num_seeds = len(curves["distances, least-squares"])
    shares = [(place + 1) / num_seeds for place in range(num_seeds)]
    spread = Axis(
        lines=[Line(name=name, x=curves[f"distances, {name}"], y=shares) for name in LOSSES],
        x_label="distance of generated from real points",
        y_label="share of seeds that end as near, or nearer",
        x_scale="log",
        title="where the seeds end",
    )
    return lines(sizes, spread, title="Least squares and cross-entropy")


STUDY = Study(
    name="least-squares",
    topic="gans",
    question=(
        "Does the least-squares loss have a gradient for samples that already pass for real, and do short games with "
        "it end more alike from seed to seed?"
    ),
    claim=(
        "Least squares have a gradient far beyond the boundary, where cross-entropy has none, and short games with "
        "them end more alike from seed to seed."
    ),
    design=LeastSquares(),
    quick={"seeds": 24, "steps": 900},
    held_fixed="Adam; the same initial weights, points and noise for both losses",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "For a sample with score s the least-squares loss has the gradient s − 1, which grows with the distance from "
        "1, and −log σ(s) has σ(s) − 1, which vanishes beyond the boundary. So least squares also pull back samples "
        "that pass for real but lie far off, and the scores of both players stay near 0 and 1. In games of a thousand "
        "steps all seeds are near the data while some with the other loss are still astray; after 4,000 steps "
        "(`--steps 4000`) both losses end alike."
    ),
    source="Mao et al. 2017, sections 3.1 and 3.2",
    wrong_answer='"A sample that passes for real needs no gradient": it may lie far from all data.',
)
