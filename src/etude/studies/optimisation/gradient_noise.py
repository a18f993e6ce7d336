"""The noise of a gradient: its variance against the batch size."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from etude.data import load
from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range, Rule
from etude.streams import stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, measured, no, ruled
from etude.studies.pictures import line


@dataclass(frozen=True, kw_only=True)
class GradientNoise(Repeated):
    """Gradients of batches of digits, at the same weights."""

    batch_sizes: tuple[int, ...] = (1, 4, 16, 64, 256)
    """Batch sizes to compare."""
    batches: Annotated[int, Range(2, 100_000)] = 400
    """Batches of each size."""
    samples: Annotated[int, Range(2, 1_500)] = 1_000
    """Digits that batches are drawn from."""
    hidden: Annotated[int, Range(1, 1_000)] = 16
    """Hidden units (tanh) of the network."""
    replacement: bool = True
    """Draw a batch with replacement; without, the noise of a batch of all samples is zero."""
    trained_steps: Annotated[int, Range(0, 10_000)] = 50
    """Full-batch steps of training before the gradients are looked at."""

    def rules(self) -> Iterator[Rule]:
        sizes = self.batch_sizes
        yield (
            len(set(sizes)) >= 2 and all(size >= 1 for size in sizes),
            "batch_sizes",
            "two different numbers or more, from 1",
        )
        yield all(size <= self.samples for size in sizes), "batch_sizes", "at most the number of samples"


def digits(count: int) -> tuple[Tensor, Tensor]:
    """The first training images as rows of 14×14 numbers in [-1, 1] (N, 196), and their labels (N,)."""
    train = load("digits").train
    images = train.images[:count].float() / 127.5 - 1  # (N, 1, 28, 28)
    return functional.avg_pool2d(images, 2).flatten(1), train.labels[:count]


def sample_gradients(design: GradientNoise, seed: int) -> Tensor:
    """The gradient of each sample's cross-entropy with a two-layer tanh network (N, P)."""
    x, labels = digits(design.samples)
    generator = stream(seed, "initial weights")
    w1 = torch.randn(design.hidden, x.shape[1], generator=generator) / math.sqrt(x.shape[1])
    w2 = torch.randn(10, design.hidden, generator=generator) / math.sqrt(design.hidden)

    def signals() -> tuple[Tensor, Tensor, Tensor]:
        """Hidden units (N, hidden), and each sample's gradient by them before tanh and by the logits (N, 10)."""
        hidden = torch.tanh(x @ w1.T)
        to_logits = functional.softmax(hidden @ w2.T, dim=1) - functional.one_hot(labels, 10)
        return hidden, (to_logits @ w2) * (1 - hidden**2), to_logits

    for _ in range(design.trained_steps):
        hidden, to_hidden, to_logits = signals()
        w1, w2 = w1 - 0.5 * to_hidden.T @ x / len(x), w2 - 0.5 * to_logits.T @ hidden / len(x)
    hidden, to_hidden, to_logits = signals()
    # the gradient of a linear layer for one sample is an outer product
    first = torch.einsum("nh,nx->nhx", to_hidden, x).flatten(1)
    return torch.cat([first, torch.einsum("nk,nh->nkh", to_logits, hidden).flatten(1)], dim=1)


def variance(gradients: Tensor, batch_size: int, design: GradientNoise, generator: torch.Generator) -> float:
    """Mean squared distance of the gradients of random batches from the full gradient, over that of single samples."""
    full = gradients.mean(dim=0)
    of_one = float((gradients - full).square().sum(dim=1).mean())
    total = 0.0
    for _ in range(design.batches):
        if design.replacement:
            rows = torch.randint(len(gradients), (batch_size,), generator=generator)
        else:
            rows = torch.randperm(len(gradients), generator=generator)[:batch_size]
        total += float((gradients[rows].mean(dim=0) - full).square().sum())
    return total / design.batches / of_one


def experiment(design: GradientNoise, lab: Lab) -> Findings:
    """The variance for every batch size and seed, and the slope of its logarithm."""
    sizes = sorted(set(design.batch_sizes))
    found: dict[int, list[float]] = {size: [] for size in sizes}
    for seed in lab.each(design.each_seed, "seeds"):
        gradients, generator = sample_gradients(design, seed), stream(seed, "batches")
        for size in sizes:
            found[size].append(variance(gradients, size, design, generator))
    table = np.maximum(np.array([found[size] for size in sizes]), 1e-12)  # (sizes, seeds)
    slopes = np.polyfit(np.log(sizes), np.log(table), 1)[0]
    evidence = [
        measured(f"variance of the gradient over that of one sample, batch size {size}", found[size]) for size in sizes
    ]
    evidence += [
        measured("powers of ten between the variances of the smallest and the largest batch",
                 np.log10(table[0] / table[-1]).tolist()),
        measured("slope of log variance against log batch size", slopes.tolist()),
    ]  # fmt: skip
    return Findings(tuple(evidence), {"sizes": list(map(float, sizes))})


def judge(found: Findings) -> Ruling:
    """The claim holds if the variance of the smallest batch is below that of the largest.

    That is, if the interval of the logarithm of their ratio lies below 0.
    """
    powers = found["powers of ten between the variances of the smallest and the largest batch"]
    small, large = min(found.curves["sizes"]), max(found.curves["sizes"])
    slope = found["slope of log variance against log batch size"].value
    return ruled(
        no(above(powers, 0)),
        f"the variance at batch size {small:.0f} is {10**powers.value:.3g} times that at {large:.0f}; "
        f"it goes with the batch size to the power {slope:.2f}.",
    )


def draw(found: Findings) -> Figure:
    """Variance against batch size, with 1/B."""
    sizes = found.curves["sizes"]
    each = [found[f"variance of the gradient over that of one sample, batch size {size:.0f}"] for size in sizes]
    panel = Axis(
        lines=[
            line("measured", sizes, each),
            Line(
                name="one over the batch size",
                x=sizes,
                y=[1 / size for size in sizes],
                dashed=True,
            ),
        ],
        x_label="batch size",
        y_label="variance of the gradient, over that of one sample",
        x_scale="log",
        y_scale="log",
    )
    return lines(panel, title="Noise of the gradient")


STUDY = Study(
    name="gradient-noise",
    topic="optimisation",
    question="Does the gradient of SGD vary less, or more, than that of larger batches?",
    claim="The gradients of SGD have less variance than those of large batches.",
    design=GradientNoise(),
    quick={"seeds": 4, "batches": 100},
    held_fixed="the weights at which all gradients are taken, and the digits",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "A batch's gradient is the mean of B samples' gradients, and the variance of a mean of independent samples is "
        "1/B of that of one. SGD with one sample has the noisiest steps, and the full batch has none of this noise. "
        "Without replacement the variance is smaller by another factor of (N − B)/(N − 1)."
    ),
    source="Goodfellow, Bengio and Courville 2016, section 8.1.3; Bottou, Curtis and Nocedal 2018, section 4",
    wrong_answer=(
        '"Less, since it sees less data at a time": fewer samples are averaged, so more of their differences is left.'
    ),
)
