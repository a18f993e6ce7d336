"""Batch normalisation: the noise of the batch's statistics in training, their averages at inference."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.streams import global_stream, stream
from etude.studies import Evidence, Findings, Lab, Repeated, Ruling, Study, above, below, every, measured, ruled
from etude.studies.generalisation.small_digits import (
    CLASSES,
    Examples,
    accuracy,
    batches,
    digits,
    divided,
    train,
    with_wrong_labels,
)

SIDE = 7
NONE, WHOLE, BATCH = "no normalisation", "statistics of all training images", "statistics of the batch"
KINDS = (NONE, WHOLE, BATCH)
AT_REST = "spread at inference"
FALL = "fall of training accuracy by the noise"
GAIN = "gain of test accuracy by the noise"
LAW = "spread at the largest batch over √(1.5 / size)"


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Repeated):
    """One example in batches of others, and a small network trained with and without batch normalisation."""

    sizes: tuple[int, ...] = (4, 16, 64, 256)
    """Batch sizes."""
    examples: Annotated[int, Range(2, 10_000)] = 64
    """Examples of which each is put into many batches."""
    draws: Annotated[int, Range(2, 100_000)] = 400
    """Batches for each example."""
    images: Annotated[int, Range(20, 1_500)] = 300
    """Digits to train the network on. All others test."""
    batch_size: Annotated[int, Range(2, 1_500)] = 10
    """Digits per step."""
    wrong: Annotated[float, Range(0, 1)] = 0.2
    """Share of their labels that are wrong, so that there is something not to learn by heart."""
    epochs: Annotated[int, Range(1, 1_000)] = 20
    """Passes over them."""
    width: Annotated[int, Range(1, 1024)] = 64
    """Units of each of two hidden layers."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 3e-3
    """Adam's learning rate."""
    seeds: Annotated[int, Range(2, 10_000)] = 20
    """How often it is repeated, with other examples, divisions and initial weights. Intervals are over these."""

    def rules(self) -> Iterator[Rule]:
        """At least two sizes, rising."""
        rising = list(self.sizes) == sorted(set(self.sizes)) and len(self.sizes) > 1 and self.sizes[0] >= 2
        yield rising, "sizes", "two or more, rising, from 2"
        yield self.batch_size <= self.images, "batch_size", "at most --images"


def named(size: int) -> str:
    """What the evidence on a batch size is called."""
    return f"spread of one example's output in training, batch of {size}"


def spread(norm: nn.BatchNorm1d, examples: Tensor, size: int, draws: int, generator: torch.Generator) -> float:
    """Standard deviation of a unit's normalised value for one example while the others of its batch are drawn again.

    Root mean square over the examples (E,). Units are normal, so that outputs at inference have the size 1.
    """
    variances = list[Tensor]()
    for example in examples:
        batch = torch.randn(size, draws, generator=generator, dtype=examples.dtype)  # a feature for each draw
        batch[0] = example
        outputs = norm(batch)[0]  # (draws,)
        variances.append((outputs - outputs[0]).var())  # without rounding where all are equal
    return float(torch.stack(variances).mean().sqrt())


class Normalised(nn.Module):
    """Hidden units (N, W) less their mean and over their deviation: of the batch, or of all training images."""

    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.norm = nn.BatchNorm1d(width)

    def forward(self, units: Tensor, of_all: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The units of a batch and of all training images, both normalised."""
        if self.kind == NONE:
            return units, of_all
        if self.kind == BATCH or of_all is None:
            return self.norm(units), of_all
        mean, variance = of_all.mean(0), of_all.var(0, unbiased=False)
        scale = self.norm.weight * (variance + self.norm.eps).rsqrt()
        with torch.no_grad():
            self.norm.running_mean, self.norm.running_var = mean.detach(), variance.detach()
        return (units - mean) * scale + self.norm.bias, (of_all - mean) * scale + self.norm.bias


class Network(nn.Module):
    """Two hidden layers of ReLU, each after its normalisation."""

    def __init__(self, kind: str, width: int, everything: Tensor) -> None:
        super().__init__()
        sizes = (SIDE * SIDE, width, width)
        self.linear = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(Normalised(width, kind) for _ in self.linear)
        self.last = nn.Linear(width, CLASSES)
        self.kind, self.everything = kind, everything

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1, S, S) to logits (N, 10)."""
        at = images.flatten(1)
        of_all = self.everything.flatten(1) if self.kind == WHOLE and self.training else None
        for linear, norm in zip(self.linear, self.norms, strict=True):
            at, of_all = norm(linear(at), None if of_all is None else linear(of_all))
            at, of_all = torch.relu(at), None if of_all is None else torch.relu(of_all)
        return self.last(at)


def generalisation(design: BatchNorm, everything: Examples, seed: int) -> Iterator[tuple[str, float, float]]:
    """Accuracy on the training labels as given and on test images, with each kind of statistics."""
    to_train, to_test = divided(everything, (design.images,), seed)
    to_train = with_wrong_labels(to_train, design.wrong, seed)
    for kind in KINDS:
        with global_stream(seed, "initial weights"):
            network = Network(kind, design.width, to_train.images)
        order = batches(to_train, design.batch_size, design.epochs, seed)
        train(network, order, learning_rate=design.learning_rate)
        yield kind, accuracy(network, to_train), accuracy(network, to_test)


def experiment(design: BatchNorm, lab: Lab) -> Findings:
    """Spread in training by batch size, spread at inference, and test accuracy with each kind of statistics."""
    everything = digits(SIDE)
    spreads: dict[int, list[float]] = {size: [] for size in design.sizes}
    learnt: dict[str, list[float]] = {kind: [] for kind in KINDS}
    right: dict[str, list[float]] = {kind: [] for kind in KINDS}
    at_rest, smallest, largest = list[float](), design.sizes[0], design.sizes[-1]
    for seed in lab.each(design.each_seed, "seeds"):
        generator = stream(seed, "examples and batches")
        examples = torch.randn(design.examples, generator=generator, dtype=torch.float64)
        norm = nn.BatchNorm1d(design.draws, affine=False, dtype=torch.float64)
        for size in design.sizes:
            spreads[size].append(spread(norm, examples, size, design.draws, generator))
        norm = nn.BatchNorm1d(design.draws, affine=False, dtype=torch.float64).eval()
        at_rest.append(spread(norm, examples[:4], smallest, design.draws, generator))
        for kind, trained, tested in generalisation(design, everything, seed):
            learnt[kind].append(trained)
            right[kind].append(tested)
    found = {kind: measured(f"test accuracy, {kind}", right[kind]) for kind in KINDS}
    fitted = {kind: measured(f"training accuracy, labels as given, {kind}", learnt[kind]) for kind in KINDS}
    evidence: list[Evidence] = [measured(named(size), values) for size, values in spreads.items()]
    evidence += [
        measured(AT_REST, at_rest),
        measured("spread at the largest batch over that at the smallest",
                 (measured("", spreads[largest]) / measured("", spreads[smallest])).values),
        measured(LAW, [value / (1.5 / largest) ** 0.5 for value in spreads[largest]]),
        *fitted.values(),
        *found.values(),
        measured(FALL, (fitted[WHOLE] - fitted[BATCH]).values),
        measured(GAIN, (found[BATCH] - found[WHOLE]).values),
    ]  # fmt: skip
    return Findings(tuple(evidence), {"sizes": [float(size) for size in design.sizes]})


def judge(found: Findings) -> Ruling:
    """True if an example's output in training spreads by more than a hundredth of its size at each batch size, at the
    largest by less than half of that at the smallest, at inference not at all, and if by it the network fits a
    hundredth fewer of its training labels."""
    sizes = [int(size) for size in found.curves["sizes"]]
    spreads = [found[named(size)] for size in sizes]
    falls = below(found["spread at the largest batch over that at the smallest"], 0.5)
    fall, gain = found[FALL], found[GAIN]
    listed = ", ".join(f"{each.value:.2f}" for each in spreads)
    return ruled(
        every(*(above(each, 0.01) for each in spreads), falls, below(found[AT_REST], 1e-6), above(fall, 0.01)),
        f"one example's output spreads by {listed} of its size in batches of {', '.join(map(str, sizes))}, and by "
        f"{found[AT_REST].value:.1g} at inference; by that noise training accuracy changes by "
        f"{-fall.value:+.1%} and test accuracy by {gain.value:+.1%}.",
    )


def draw(found: Findings) -> Figure:
    """Spread against batch size."""
    sizes = found.curves["sizes"]
    spreads = [found[named(int(size))] for size in sizes]
    panel = Axis(
        lines=[
            Line(name="measured", x=sizes, y=[each.value for each in spreads]),
            Line(name="√(1.5 / size)", x=sizes, y=[(1.5 / size) ** 0.5 for size in sizes], dashed=True),
        ],
        x_label="batch size (examples)",
        y_label="spread of one example's output, over its size",
        x_scale="log",
    )
    return lines(panel, title="The noise of batch normalisation in training")


STUDY = Study(
    name="batch-norm-noise",
    topic="generalisation",
    question="Why does batch normalisation regularise, and what differs between training and inference?",
    claim="It regularises by noise: in training the other examples of a batch change an example's output, less in "
    "larger batches, and at inference not at all.",
    design=BatchNorm(),
    quick={"seeds": 6},
    quick_cannot="whether test accuracy gains by the noise",
    held_fixed="normal units for the spread; for test accuracy digits at 7×7 pixels and two hidden layers, trained by "
    "Adam, with a share of wrong labels",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "In training an example is normalised by the mean and the variance of its batch, which depend on the examples "
        "that happen to be with it: a noise of variance (1 + x²/2) / size for an example at x. At inference running "
        "averages take their place, and the output depends on the example alone. The noise keeps a network from "
        "learning wrong labels by heart, as dropout does; statistics of all training images have no noise and do not."
    ),
    source="Ioffe and Szegedy 2015, sections 3.1 and 3.4; Luo et al. 2019",
    wrong_answer='"It uses the same statistics in both": then one image at inference would have none.',
)
