"""Wrong labels: does a network that fits its training data show them?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.streams import global_stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, below, measured, ruled
from etude.studies.generalisation.small_digits import (
    Examples,
    accuracy,
    digits,
    divided,
    mlp,
    train,
    with_wrong_labels,
)
from etude.studies.pictures import line

SIDE = 7


@dataclass(frozen=True, kw_only=True)
class Noise(Repeated):
    """One network, trained on labels of which a share is wrong."""

    shares: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.9)
    """Shares of wrong labels. 0.9 makes them random: a wrong label is one of the other nine."""
    images: Annotated[int, Range(20, 1_400)] = 300
    """Images to train on."""
    validation_images: Annotated[int, Range(20, 1_000)] = 300
    """Images that choose the best step, with as many wrong labels. All others test, with right ones."""
    width: Annotated[int, Range(1, 4096)] = 256
    """Hidden units."""
    steps: Annotated[int, Range(1, 100_000)] = 300
    """Steps of Adam on all training images at once."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 1e-2
    """Adam's learning rate."""
    seeds: Annotated[int, Range(2, 10_000)] = 6
    """How often it is repeated, with other divisions, wrong labels and initial weights. Intervals are over these."""

    def rules(self) -> Iterator[Rule]:
        """Shares in 0 to 1; some images are left to test on."""
        yield bool(self.shares) and all(0 <= each <= 1 for each in self.shares), "shares", "one or more, 0 to 1"
        left = 1_797 - self.images - self.validation_images
        yield left >= 100, "validation_images", "at most 1,697 with --images, of 1,797 images"


def named(what: str, share: float) -> str:
    """What a piece of evidence is called."""
    return f"{what}, {share:.0%} of the labels wrong"


TRAIN, TEST, CHOSEN = (
    "training accuracy, labels as given",
    "test accuracy",
    "test accuracy at the best step by validation",
)


def fit(parts: list[Examples], share: float, design: Noise, seed: int) -> tuple[float, float, float]:
    """Accuracy on the training labels as given, on the test images, and on these at the best step by validation."""
    to_train, to_choose, to_test = parts
    to_train = with_wrong_labels(to_train, share, seed)
    to_choose = with_wrong_labels(to_choose, share, seed + 2**40)
    with global_stream(seed, "initial weights"):
        network = mlp(SIDE * SIDE, design.width)
    best, chosen = -1.0, 0.0

    def after(step: int) -> None:
        nonlocal best, chosen
        if step % 5 == 0 and (now := accuracy(network, to_choose)) > best:
            best, chosen = now, accuracy(network, to_test)

    train(network, (to_train for _ in range(design.steps)), learning_rate=design.learning_rate, after=after)
    return accuracy(network, to_train), accuracy(network, to_test), chosen


def experiment(design: Noise, lab: Lab) -> Findings:
    """Train with each share of wrong labels."""
    everything, right = digits(SIDE), dict[tuple[str, float], list[float]]()
    for seed in lab.each(design.each_seed, "seeds"):
        parts = divided(everything, (design.images, design.validation_images), seed)
        for share in design.shares:
            for what, value in zip((TRAIN, TEST, CHOSEN), fit(parts, share, design, seed), strict=True):
                right.setdefault((what, share), []).append(value)
    evidence = tuple(measured(named(what, share), values) for (what, share), values in right.items())
    return Findings(evidence, {"shares": list(design.shares)})


def judge(found: Findings) -> Ruling:
    """The claim holds if with the largest share of wrong labels the network fits fewer than 95 % of its training
    labels; it is undecided if the interval holds 95 %."""
    share = max(found.curves["shares"])
    fitted, test = found[named(TRAIN, share)], found[named(TEST, share)]
    return ruled(
        below(fitted, 0.95),
        f"with {share:.0%} of the labels wrong the network fits {fitted.value:.1%} of its training labels, and has "
        f"{test.value:.1%} of the test images right.",
    )


def draw(found: Findings) -> Figure:
    """Accuracy against the share of wrong labels."""
    shares = found.curves["shares"]

    def accuracies(name: str, what: str) -> Line:
        return line(name, shares, [found[named(what, share)] for share in shares])

    panel = Axis(
        lines=[accuracies("training, labels as given", TRAIN), accuracies("test, at the end", TEST),
               accuracies("test, best step by validation", CHOSEN)],
        x_label="share of wrong training labels",
        y_label="accuracy (share of images)",
    )  # fmt: skip
    return lines(panel, title="Accuracy with wrong labels")


STUDY = Study(
    name="label-noise",
    topic="generalisation",
    question="Many training labels are wrong. Does the training accuracy show it?",
    claim="A network cannot fit wrong labels, so a training accuracy near 100 % says that the labels are right.",
    design=Noise(),
    quick={"seeds": 4, "shares": (0.0, 0.4, 0.9)},
    held_fixed="digits at 7×7 pixels, one hidden layer of ReLU, Adam on all training images at once, no regularisation",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "A network with more weights than examples can learn any labels by heart, even random ones. What it learns "
        "then holds for no other image, so test accuracy falls with the share of wrong labels while training accuracy "
        "stays at 100 %. It learns what examples have in common first: a step chosen by a validation set, even one "
        "with wrong labels, tests better than the last."
    ),
    source="Zhang et al. 2017, Understanding deep learning requires rethinking generalization, section 2",
    wrong_answer='"100 % on the training data means that it has understood them": it may know them by heart.',
)
