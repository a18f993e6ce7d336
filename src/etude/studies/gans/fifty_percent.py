"""A discriminator that is right half the time: does more training of the generator alone help?"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.studies import Evidence, Findings, Lab, Ruling, Study, above, below, every, measured, ruled, some
from etude.studies.gans.games import Data, PointGame, Training, factor, log_ratio, real_points

BETTER = 0.8
"""A ratio of distances from the data that counts as better."""
HALF = (0.35, 0.65)
"""Accuracies that count as half."""
STARTS = ("trained players", "untrained players")


@dataclass(frozen=True, kw_only=True)
class FiftyPercent(PointGame):
    """Two situations with a discriminator of 50 %: both players are trained, or neither is."""

    seeds: Annotated[int, Range(2, 10_000)] = 24
    data: Data = "moons"
    """The points: two moons, two rings, or eight Gaussians on a circle."""

    more_steps: tuple[int, ...] = (20, 50, 200)
    """Further steps of the generator alone."""

    def rules(self) -> Iterator[Rule]:
        """Steps in their order."""
        fine = len(self.more_steps) > 0 and list(self.more_steps) == sorted(set(self.more_steps))
        yield fine and all(1 <= each <= 100_000 for each in self.more_steps), "more_steps", (
            "one or more rising numbers from 1 to 100000"
        )  # fmt: skip


def ratio_name(start: str, steps: int) -> str:
    """The name of a piece of evidence."""
    return f"distance after {steps:,} more steps of G over that before, {start}"


def experiment(design: FiftyPercent, lab: Lab) -> Findings:
    """From both starts: the accuracy, and the distances from the test points before and after more steps of G."""
    evidence: list[Evidence] = []
    curves: dict[str, list[float]] = {"more": [0, *design.more_steps]}
    for start, steps in zip(STARTS, (design.steps, 0), strict=True):
        training = Training(design, real_points(design.data))
        for _ in lab.each(range(steps), "steps of both"):
            training.round()
        evidence.append(measured(f"accuracy of the discriminator, {start}", training.accuracies()))
        before = measured(f"distance from the data, {start}", training.distances())
        evidence.append(before)
        curves["x real"], curves["y real"] = training.test.T.tolist()
        curves[f"x {start}, before"], curves[f"y {start}, before"] = training.points()[0].T.tolist()
        curves[f"distance, {start}"] = [before.value]
        for step in lab.each(range(1, design.more_steps[-1] + 1), "steps of the generator alone"):
            training.games.step_generator(next(training.noise))
            if step in design.more_steps:
                after = measured("after", training.distances())
                evidence.append(log_ratio(ratio_name(start, step), after, before))
                curves[f"distance, {start}"].append(after.value)
        evidence.append(measured(f"accuracy after these steps, {start}", training.accuracies()))
        curves[f"x {start}, after"], curves[f"y {start}, after"] = training.points()[0].T.tolist()
    return Findings(tuple(evidence), curves)


def judge(found: Findings) -> Ruling:
    """True if from one start, after one of the numbers of further steps, the distance is below 0.8 times that before.

    False if it is not after any of them. Undecided unless both accuracies are between 0.35 and 0.65.
    """
    accuracies = [found[f"accuracy of the discriminator, {start}"] for start in STARTS]
    ratios = [each for each in found if each.what.startswith("log10 of the distance after")]
    half = every(*(above(each, HALF[0]) for each in accuracies), *(below(each, HALF[1]) for each in accuracies))
    said = " and ".join(f"{each.value:.0%}" for each in accuracies)
    if not half:
        return ruled(None, f"the discriminators are right in {said}: not the situation of the claim.")
    best, worst = (choose(ratios, key=lambda each: each.value) for choose in (min, max))
    return ruled(
        some(*(below(each, math.log10(BETTER)) for each in ratios)),
        f"from discriminators that are right in {said}, more training of G alone multiplies the distance from the "
        f"data by {factor(best):.2f} to {factor(worst):.2f}.",
    )


def draw(found: Findings) -> Figure:
    """The distances along the further steps, and points before and after."""
    curves = found.curves
    distances = Axis(
        lines=[Line(name=start, x=curves["more"], y=curves[f"distance, {start}"]) for start in STARTS],
        x_label="steps of the generator alone",
        y_label="distance from the data",
        title="distance",
    )
    points = Axis(
        lines=[
            Line(name="real", x=curves["x real"], y=curves["y real"], dots=True),
            *(
                Line(name=when, x=curves[f"x {STARTS[0]}, {when}"], y=curves[f"y {STARTS[0]}, {when}"], dots=True)
                for when in ("before", "after")
            ),
        ],
        x_label="x",
        y_label="y",
        square=True,
        title="points of trained players, one seed",
    )
    return lines(distances, points, title="More training of the generator against a discriminator of 50 %")


STUDY = Study(
    name="fifty-percent",
    topic="gans",
    question="The discriminator is right half the time. Does it help to train the generator alone for longer?",
    claim="Where the discriminator is right half the time, more training of the generator alone improves the samples.",
    design=FiftyPercent(),
    held_fixed="non-saturating loss, Adam; the discriminator stays as it is while the generator trains alone",
    experiment=experiment,
    judge=judge,
    draw=draw,
    quick={"seeds": 16, "steps": 1000, "more_steps": (20, 100)},
    explanation=(
        "The generator learns only from the discriminator's slope. Where the discriminator is right half the time it "
        "either has learned nothing, so that its slope means nothing, or the samples are as good as it can tell, so "
        "that there is nothing to follow. Samples that follow it all the same leave the data: the discriminator has to "
        "learn again first."
    ),
    source="Goodfellow et al. 2014, sections 3 and 4",
    wrong_answer='"It gives the generator time to catch up": at 50 % it is not behind.',
)
