"""100 % right on training data and far fewer on test data: which remedies help?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from matplotlib.figure import Figure

from etude.drawing.evidence import intervals
from etude.families.ranges import Range, Rule
from etude.streams import global_stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, below, every, measured, no, ruled
from etude.studies.generalisation.small_digits import (
    Examples,
    accuracy,
    digits,
    divided,
    mlp,
    train,
    with_wrong_labels,
)
from etude.studies.pictures import bars

SIDE = 7
BEFORE, MORE, PENALTY, CHOSEN, BIGGER = "no remedy", "more data", "L2", "choosing by validation", "a bigger model"
REMEDIES = (MORE, PENALTY, CHOSEN, BIGGER)
HELPS = 0.05
"""Gains of test accuracy from here on are help."""


@dataclass(frozen=True, kw_only=True)
class Overfitting(Repeated):
    """A network that knows its few training images by heart, wrong labels included, and four changes of it."""

    images: Annotated[int, Range(10, 1_400)] = 70
    """Images to train on."""
    more_images: Annotated[int, Range(10, 1_400)] = 1_000
    """Images to train on with more data."""
    validation_images: Annotated[int, Range(10, 1_000)] = 200
    """Images to choose a step by. All that are left test, with right labels."""
    wrong: Annotated[float, Range(0, 1)] = 0.4
    """Share of wrong labels, in training and validation images."""
    width: Annotated[int, Range(1, 4096)] = 64
    """Hidden units."""
    bigger_width: Annotated[int, Range(1, 4096)] = 512
    """Hidden units of the bigger model."""
    penalty: Annotated[float, Range(0, 10)] = 0.02
    """λ of the L2 penalty λ‖w‖² on the weights."""
    steps: Annotated[int, Range(1, 100_000)] = 150
    """Steps of Adam on all training images at once."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 1e-2
    """Adam's learning rate."""
    seeds: Annotated[int, Range(2, 10_000)] = 30
    """How often it is repeated, with other divisions, wrong labels and initial weights. Intervals are over these."""

    def rules(self) -> Iterator[Rule]:
        """More is more; some images are left to test on."""
        yield self.more_images > self.images, "more_images", "more than --images"
        yield self.bigger_width > self.width, "bigger_width", "more than --width"
        left = 1_797 - self.more_images - self.validation_images
        yield left >= 100, "more_images", "at most 1,697 with --validation-images, of 1,797 images"


def fit(
    parts: Sequence[Examples], design: Overfitting, seed: int, *, width: int, penalty: float = 0.0
) -> tuple[float, float, float]:
    """Accuracy on training images, on test images, and on these at the step that is best on validation images."""
    to_train, to_choose, to_test = parts
    with global_stream(seed, "initial weights"):
        network = mlp(SIDE * SIDE, width)
    best, chosen = -1.0, 0.0

    def after(step: int) -> None:
        nonlocal best, chosen
        if step % 5 == 0 and (now := accuracy(network, to_choose)) > best:
            best, chosen = now, accuracy(network, to_test)

    train(network, (to_train for _ in range(design.steps)), learning_rate=design.learning_rate, l2=penalty, after=after)
    return accuracy(network, to_train), accuracy(network, to_test), chosen


def experiment(design: Overfitting, lab: Lab) -> Findings:
    """Train without a remedy, and with each."""
    everything = digits(SIDE)
    right: dict[str, list[float]] = {name: [] for name in (BEFORE, *REMEDIES)}
    by_heart = list[float]()
    for seed in lab.each(design.each_seed, "seeds"):
        most, to_choose, to_test = divided(everything, (design.more_images, design.validation_images), seed)
        most, to_choose = (with_wrong_labels(part, design.wrong, seed + 2**40 * n)
                           for n, part in enumerate((most, to_choose)))  # fmt: skip
        few, width = (most[: design.images], to_choose, to_test), design.width
        learnt, plain, chosen = fit(few, design, seed, width=width)
        by_heart.append(learnt)
        right[BEFORE].append(plain)
        right[CHOSEN].append(chosen)
        right[MORE].append(fit((most, to_choose, to_test), design, seed, width=width)[1])
        right[PENALTY].append(fit(few, design, seed, width=width, penalty=design.penalty)[1])
        right[BIGGER].append(fit(few, design, seed, width=design.bigger_width)[1])
    found = {name: measured(f"test accuracy, {name}", values) for name, values in right.items()}
    return Findings(
        (
            measured(f"training accuracy, {BEFORE}", by_heart),
            *found.values(),
            *(measured(gain(name), (found[name] - found[BEFORE]).values) for name in REMEDIES),
        )
    )


def gain(remedy: str) -> str:
    """What the evidence on a remedy is called."""
    return f"gain of test accuracy by {remedy}"


def judge(found: Findings) -> Ruling:
    """True if the network knows 99 % of its training labels and each of the first three gains more than five points of
    test accuracy, the bigger model at most as much."""
    gains = {name: found[gain(name)] for name in REMEDIES}
    helps = {name: above(each, HELPS) for name, each in gains.items()}
    sick = no(below(found[f"training accuracy, {BEFORE}"], 0.99))
    learnt, test = found[f"training accuracy, {BEFORE}"].value, found[f"test accuracy, {BEFORE}"].value
    return ruled(
        every(sick, helps[MORE], helps[PENALTY], helps[CHOSEN], no(helps[BIGGER])),
        f"from {learnt:.0%} on training and {test:.0%} on test images, test accuracy changes by "
        + ", ".join(f"{each.value:+.1%} with {name}" for name, each in gains.items())
        + ".",
    )


def draw(found: Findings) -> Figure:
    """Test accuracy with each remedy, and the gains."""
    names = (BEFORE, *REMEDIES)
    accuracies = bars(
        [found[f"test accuracy, {name}"] for name in names], names=names, label="test accuracy (share of images)"
    )
    gains = bars(
        [found[gain(name)] for name in REMEDIES], names=REMEDIES, label="gain of test accuracy", level=HELPS,
        level_means="help from here on",
    )  # fmt: skip
    return intervals(accuracies, gains, title="Remedies against overfitting")


STUDY = Study(
    name="overfitting-remedies",
    topic="generalisation",
    question="A network has 100 % of its training data right and few of the test data. Which of these help: more "
    "data, L2 regularisation, choosing the model by a validation set, a bigger model?",
    claim="More data, L2 and choosing by a validation set help against overfitting; a bigger model does not.",
    design=Overfitting(),
    quick={"seeds": 14},
    held_fixed="digits at 7×7 pixels, one hidden layer of ReLU, Adam on all training images at once",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The network has enough weights to know its examples by heart, wrong labels included. More examples "
        "cannot all be learnt by heart, an L2 penalty makes it costly, and a validation set shows the step at which it "
        "has learnt what examples share and not yet each one. A bigger model can learn even more by heart, and nothing "
        "in it tells what holds for other images."
    ),
    source="Goodfellow, Bengio and Courville 2016, sections 5.2, 7.1, 7.4 and 7.8",
    wrong_answer='"A bigger model helps, since it is more powerful": it is the power to learn by heart that it adds.',
)
