"""Steps in an epoch: one per sample with SGD, one per batch with mini-batches, one in all with the full batch."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.streams import global_stream, stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, below, every, measured, ruled


@dataclass(frozen=True, kw_only=True)
class EpochSteps(Repeated):
    """One epoch of training, with the steps of the optimizer counted."""

    seeds: Annotated[int, Range(2, 10_000)] = 4
    """How often it is repeated, each time in another order."""
    samples: Annotated[int, Range(1, 1_000_000)] = 1_500
    """Training samples."""
    batch_sizes: tuple[int, ...] = (4, 16, 64, 256)
    """Batch sizes between 1 (SGD) and all samples (full batch)."""
    replacement: bool = False
    """Draw samples with replacement instead of shuffling them."""
    drop_last: bool = False
    """Leave out samples that do not fill a batch."""

    def rules(self) -> Iterator[Rule]:
        yield all(1 <= size <= self.samples for size in self.batch_sizes), "batch_sizes", "1 to the number of samples"


def epoch(design: EpochSteps, batch_size: int, seed: int) -> tuple[int, int, int]:
    """Train a linear classifier for one epoch: the optimizer's steps, samples in just one step, samples in none."""
    generator = stream(seed, "samples")
    x = torch.randn(design.samples, 4, generator=generator)
    labels = (x.sum(dim=1) > 0).long()
    dataset = TensorDataset(x, labels, torch.arange(design.samples))
    order = RandomSampler(dataset, replacement=design.replacement, generator=stream(seed, "order"))
    with global_stream(seed, "initial weights"):
        model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    taken: list[None] = []
    optimizer.register_step_post_hook(lambda *_: taken.append(None))
    uses = torch.zeros(design.samples, dtype=torch.long)
    loader = DataLoader(dataset, batch_size, sampler=order, drop_last=design.drop_last,
        generator=stream(seed, "loader"))  # fmt: skip
    for features, targets, rows in loader:
        optimizer.zero_grad()
        functional.cross_entropy(model(features), targets).backward()
        optimizer.step()
        uses[rows] += 1
    return len(taken), int((uses == 1).sum()), int((uses == 0).sum())


def experiment(design: EpochSteps, lab: Lab) -> Findings:
    """An epoch for each batch size and seed."""
    sizes = sorted({1, *design.batch_sizes, design.samples})
    counts: dict[int, list[tuple[int, int, int]]] = {size: [] for size in sizes}
    for seed in lab.each(design.each_seed, "seeds"):
        for size in sizes:
            counts[size].append(epoch(design, size, seed))
    evidence = [measured(f"steps in an epoch, batch size {size}", [each[0] for each in counts[size]]) for size in sizes]
    evidence += [
        measured("steps of SGD over samples", [each[0] / design.samples for each in counts[1]]),
        measured("share of samples with just one step of SGD", [each[1] / design.samples for each in counts[1]]),
        measured("share of samples with no step of SGD", [each[2] / design.samples for each in counts[1]]),
    ]
    formula = [math.ceil(design.samples / size) for size in sizes]
    return Findings(tuple(evidence), {"sizes": list(map(float, sizes)), "samples over batch size, rounded up": formula})


def judge(found: Findings) -> Ruling:
    """The claim holds if SGD takes as many steps as there are samples, and 99.9 % of the samples get just one."""
    steps, once = found["steps of SGD over samples"], found["share of samples with just one step of SGD"]
    none = found["share of samples with no step of SGD"]
    return ruled(
        every(above(steps, 0.999), below(steps, 1.001), above(once, 0.999)),
        f"SGD's epoch has {steps.value:.3g} steps per sample; {100 * once.value:.3g} % of the samples get just one and "
        f"{100 * none.value:.3g} % none.",
    )


def draw(found: Findings) -> Figure:
    """Steps against batch size, with N/B rounded up."""
    sizes = found.curves["sizes"]
    counted = [found[f"steps in an epoch, batch size {size:.0f}"].value for size in sizes]
    name = "samples over batch size, rounded up"
    panel = Axis(
        lines=[Line(name="counted", x=sizes, y=counted), Line(name=name, x=sizes, y=found.curves[name], dashed=True)],
        x_label="batch size",
        y_label="optimizer steps in one epoch",
        x_scale="log",
        y_scale="log",
    )
    return lines(panel, title="Steps in an epoch")


STUDY = Study(
    name="epoch-steps",
    topic="optimisation",
    question="How many steps does SGD take in one epoch, and how many do mini-batches?",
    claim="In one epoch of SGD (batch size 1), every training sample gets one step of its own.",
    design=EpochSteps(),
    quick={"seeds": 2, "samples": 600},
    held_fixed="a linear classifier on random points, trained with PyTorch's DataLoader; the optimizer's steps count",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "An epoch is one pass over the shuffled samples, and SGD in the strict sense steps after each: N steps. With "
        "batches of B there are N/B, rounded up, or rounded down if the rest is left out; with the full batch there is "
        "one. If samples are drawn with replacement instead, 1/e = 37 % of them are in no step of an epoch's N."
    ),
    source="Goodfellow, Bengio and Courville 2016, sections 8.1.3 and 8.3.1",
    wrong_answer='"SGD takes one step per epoch": that is full-batch gradient descent.',
)
