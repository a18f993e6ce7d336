"""Dropout: the factor 1/(1 − p), two dropouts in a row, and its place before or after the activation."""

from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import dropout

from etude.drawing.evidence import intervals
from etude.families.ranges import Range
from etude.streams import global_stream, stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, above, below, every, exact, measured, ruled
from etude.studies.pictures import bars

MEAN = "mean after both dropouts over the mean before"
UNSCALED = "the same without the factors 1/(1 − p)"
DROPPED = "share of units that two dropouts in a row drop"
PRODUCT = "1 − (1 − p₁)(1 − p₂)"
SUM = "p₁ + p₂"
DISTANCE = "distance of the dropped share from 1 − (1 − p₁)(1 − p₂), over that from p₁ + p₂"
RELU = "largest difference of dropout before ReLU from dropout after it, equal masks"
SIGMOID = "largest difference of dropout before sigmoid from dropout after it, equal masks"


@dataclass(frozen=True, kw_only=True)
class Dropouts(Repeated):
    """Two dropouts of a row of units."""

    first: Annotated[float, Range(0, below=1)] = 0.1
    """Probability p₁ with which the first dropout drops a unit."""
    second: Annotated[float, Range(0, below=1)] = 0.2
    """Probability p₂ of the second one."""
    units: Annotated[int, Range(100, 10_000_000)] = 1_000_000
    """Units, all above 0, that both dropouts act on."""


def before_and_after(activation: str, x: Tensor, p: float, seed: int) -> float:
    """Largest difference of f(dropout(x)) from dropout(f(x)) if both drop the same units."""
    function = {"relu": torch.relu, "sigmoid": torch.sigmoid}[activation]
    results = list[Tensor]()
    for drop_first in (True, False):
        with global_stream(seed, "mask"):
            results.append(function(dropout(x, p)) if drop_first else dropout(function(x), p))
    return float((results[0] - results[1]).abs().max())


def experiment(design: Dropouts, lab: Lab) -> Findings:
    """Drop twice and count; then drop before and after an activation."""
    means, unscaled, dropped, distance = list[float](), list[float](), list[float](), list[float]()
    relu, sigmoid = list[float](), list[float]()
    product, total = 1 - (1 - design.first) * (1 - design.second), design.first + design.second
    for seed in lab.each(design.each_seed, "seeds"):
        x = 0.5 + torch.rand(design.units, generator=stream(seed, "units"), dtype=torch.float64)
        with global_stream(seed, "dropout"):
            after = dropout(dropout(x, design.first), design.second)
        means.append(float(after.mean() / x.mean()))
        unscaled.append(means[-1] * (1 - design.first) * (1 - design.second))
        share = float((after == 0).double().mean())
        dropped.append(share)
        distance.append(abs(share - product) / max(abs(share - total), 1e-12))
        signed = torch.randn(1000, generator=stream(seed, "signed units"), dtype=torch.float64)
        relu.append(before_and_after("relu", signed, design.second, seed))
        sigmoid.append(before_and_after("sigmoid", signed, design.second, seed))
    return Findings(
        (
            measured(MEAN, means),
            measured(UNSCALED, unscaled),
            measured(DROPPED, dropped),
            exact(PRODUCT, product),
            exact(SUM, total),
            measured(DISTANCE, distance),
            measured(RELU, relu),
            measured(SIGMOID, sigmoid),
        )
    )


def judge(found: Findings) -> Ruling:
    """True if the mean stays within 1 % of what it was, the dropped share lies nearer to 1 − (1 − p₁)(1 − p₂) than a
    tenth of its distance from p₁ + p₂, and dropout before and after ReLU differ by rounding only."""
    mean, dropped, distance, relu = (found[name] for name in (MEAN, DROPPED, DISTANCE, RELU))
    return ruled(
        every(above(mean, 0.99), below(mean, 1.01), below(distance, 0.1), below(relu, 1e-9)),
        f"after both dropouts the mean is {mean.value:.4f} of what it was, and {dropped.value:.2%} of the units are 0; "
        f"before and after ReLU differ by {relu.value:.2g}, before and after a sigmoid by {found[SIGMOID].value:.2f}.",
    )


def draw(found: Findings) -> Figure:
    """Means, and shares that are dropped."""
    means = bars(
        [found[MEAN], found[UNSCALED]], names=["with 1/(1 − p)", "without"], label="mean after over mean before",
        title="the expectation", level=1, level_means="as before",
    )  # fmt: skip
    shares = bars(
        [found[DROPPED], found[PRODUCT], found[SUM]], names=["measured", PRODUCT, SUM],
        label="share of units that are 0", title="two dropouts in a row",
    )  # fmt: skip
    return intervals(means, shares, title="Two dropouts in a row")


STUDY = Study(
    name="dropout-scaling",
    topic="generalisation",
    question="Two dropouts follow each other, with p₁ and p₂ and the usual factors 1/(1 − p). What happens to a unit's "
    "expectation, which share is dropped, and does it matter whether dropout comes before or after ReLU?",
    claim="Two dropouts in a row keep the expectation and act as one with q = 1 − (1 − p₁)(1 − p₂); before or after "
    "ReLU is the same.",
    design=Dropouts(),
    quick={"units": 300_000},
    held_fixed="units between 0.5 and 1.5 for means and shares, normal ones for the order; PyTorch's dropout",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "A unit is kept with probability 1 − p and then multiplied by 1/(1 − p), so its expectation stays. It passes "
        "both dropouts with probability (1 − p₁)(1 − p₂), which for 0.1 and 0.2 drops 0.28 and not 0.3. The mask "
        "multiplies by 0 or by a positive factor, and ReLU lets both through; a sigmoid does not, since σ(0) = ½ and "
        "σ(mx) is not m σ(x)."
    ),
    source="Srivastava et al. 2014, section 10; Goodfellow, Bengio and Courville 2016, section 7.12",
    wrong_answer='"q = p₁ + p₂": that counts the units that both would have dropped twice.',
)
