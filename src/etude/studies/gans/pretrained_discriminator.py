"""A discriminator with a head start: can it help the generator?"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.studies import Evidence, Findings, Lab, Ruling, Study, below, measured, ruled, some
from etude.studies.gans.games import Data, PointGame, Training, factor, log_ratio, real_points

HELP = 0.9
"""A ratio of distances from the data that counts as help."""
NUM_REPORTS = 10
"""Times at which distances are noted."""
RATIO = "distance over that without a head start, head start "


@dataclass(frozen=True, kw_only=True)
class HeadStart(PointGame):
    """A GAN whose discriminator takes some steps before the generator begins."""

    data: Data = "mixture"
    """The points: two moons, two rings, or eight Gaussians on a circle."""
    seeds: Annotated[int, Range(2, 10_000)] = 24
    head_starts: tuple[int, ...] = (10, 100, 1000)
    """Steps of the discriminator before the first one of the generator; none at all is what they are compared with."""
    steps: Annotated[int, Range(1, 100_000)] = 300
    """Steps of both players after the head start."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 3e-3
    loss: Literal["nonsaturating", "minimax", "least_squares", "hinge"] = "nonsaturating"
    """The adversarial loss."""

    def rules(self) -> Iterator[Rule]:
        """Head starts are positive and differ; distances are noted at 10 steps."""
        fine = len(set(self.head_starts)) == len(self.head_starts) > 0
        yield (
            fine and all(1 <= each <= 100_000 for each in self.head_starts),
            "head_starts",
            "one or more different numbers from 1 to 100000",
        )
        yield self.steps >= NUM_REPORTS, "steps", f"at least {NUM_REPORTS}"


def experiment(design: HeadStart, lab: Lab) -> Findings:
    """Train with each head start; distances from the test points along the way and at the end."""
    distances: dict[int, Evidence] = {}
    curves: dict[str, list[float]] = {}
    for head_start in (0, *design.head_starts):
        training = Training(design, real_points(design.data), loss=design.loss)
        for _ in range(head_start):
            training.games.step_discriminator(next(training.real), next(training.noise))
        curves["step"], curves[f"distance {head_start}"] = [], []
        for step in lab.each(range(design.steps + 1), f"steps, head start {head_start:,}"):
            if step * NUM_REPORTS // design.steps > (step - 1) * NUM_REPORTS // design.steps:
                curves["step"].append(step)
                curves[f"distance {head_start}"].append(sum(training.distances()) / design.seeds)
            if step < design.steps:
                training.round()
        distances[head_start] = measured(f"distance from the data, head start {head_start:,}", training.distances())
    ratios = [log_ratio(f"{RATIO}{each:,}", distances[each], distances[0]) for each in design.head_starts]
    return Findings((*distances.values(), *ratios), curves)


def judge(found: Findings) -> Ruling:
    """True if with one of the head starts the distance is below 0.9 times that without; false if with none."""
    start = f"log10 of the {RATIO}"
    ratios = [each for each in found if each.what.startswith(start)]
    said = ", ".join(f"{factor(each):.2f} after {each.what.removeprefix(start)} steps" for each in ratios)
    return ruled(
        some(*(below(each, math.log10(HELP)) for each in ratios)),
        f"after the same steps of the generator the distance from the data, over that without a head start, is {said}.",
    )


def draw(found: Findings) -> Figure:
    """The mean distance along the steps, for each head start."""
    curves = found.curves
    names = [each.removeprefix("distance ") for each in curves if each.startswith("distance")]
    panel = Axis(
        lines=[
            Line(name=f"head start of {int(name):,}" if int(name) else "none", x=curves["step"],
                y=curves[f"distance {name}"])
            for name in names
        ],
        x_label="step of both players",
        y_label="distance of generated from real points",
    )  # fmt: skip
    return lines(panel, title="A head start of the discriminator")


STUDY = Study(
    name="pretrained-discriminator",
    topic="gans",
    question="Can it help to train the discriminator a little before the generator begins?",
    claim="Training the discriminator a little first can help.",
    design=HeadStart(),
    quick={"seeds": 40, "head_starts": (100,)},
    quick_cannot="how long a head start helps most",
    held_fixed="Adam; the same initial weights and points for all, and as many steps of the generator",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "A discriminator with its initial weights knows nothing of the data, and the generator's first steps follow "
        "it all the same. One with a head start sends the samples too far at first, and to the data sooner, since its "
        "slope means something from the beginning. It does not always help: 1,000 steps gain less than 100, and with "
        "slower players (`--learning-rate 0.001`) there is nothing to gain."
    ),
    source="Goodfellow et al. 2014, section 3; Arjovsky and Bottou 2017, section 2",
    wrong_answer=(
        '"It never helps, since a discriminator that is too good leaves no gradient": that is so of a perfect one '
        "with the saturating loss, and a little training does not make it perfect."
    ),
)
