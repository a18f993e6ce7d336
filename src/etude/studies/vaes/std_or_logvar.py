"""An encoder that outputs the standard deviation itself, not its logarithm: what goes wrong, and how often?"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import softplus

from etude.data import load
from etude.drawing.evidence import intervals
from etude.families.ranges import Range
from etude.losses import bernoulli_from_logits
from etude.models import VAE
from etude.streams import global_stream, stream
from etude.studies import Findings, Lab, Repeated, Ruling, Study, below, measured, ruled
from etude.studies.pictures import bars


@dataclass(frozen=True, kw_only=True)
class StdOrLogvar(Repeated):
    """VAEs whose encoder's second output is read in different ways."""

    steps: Annotated[int, Range(1, 100_000)] = 300
    """Steps of training."""
    batch_size: Annotated[int, Range(1, 1500)] = 32
    """Images per step."""
    learning_rate: Annotated[float, Range(above=0, high=1)] = 1e-3
    """Step size of Adam."""
    latent_dim: Annotated[int, Range(1, 100)] = 2
    """Latents per image."""


class Reading(NamedTuple):
    """How the encoder's second output is read: as a standard deviation, and the logarithm of that for the KL."""

    std: Callable[[Tensor], Tensor]
    log_std: Callable[[Tensor], Tensor]
    first: float = 0.0
    """The bias that the output begins with."""


def _itself(raw: Tensor) -> Tensor:
    return raw


READINGS = {
    "log σ²": Reading(lambda raw: (0.5 * raw).exp(), lambda raw: 0.5 * raw),
    "σ": Reading(_itself, torch.log),
    "σ, which begins at 1": Reading(_itself, torch.log, first=1.0),
    "σ, with log σ² for log σ": Reading(_itself, lambda raw: 0.5 * raw.square().log()),
    "softplus of the output": Reading(softplus, lambda raw: softplus(raw).log(), first=math.log(math.e - 1)),
}
FAILED, NEGATIVE, GRADIENT, LOSS = (
    "runs that end with a loss of NaN, {}",
    "outputs below 0 in the first batch, {}",
    "largest gradient norm over its median, {}",
    "mean loss of the last tenth of the steps, nats, {}",
)


class Course(NamedTuple):
    """One training."""

    failed: bool
    negative: float
    peak: float
    loss: float


def course(design: StdOrLogvar, reading: Reading, images: Tensor, seed: int) -> Course:
    """Train a VAE whose encoder is read in this way, until the end or until the loss is not finite."""
    with global_stream(seed, "weights"):
        network = VAE((1, 28, 28), design.latent_dim)
    with torch.no_grad():
        network.encoder.logvar.bias.add_(reading.first)
    order, noise = stream(seed, "order"), stream(seed, "latent")
    optimizer = torch.optim.Adam(network.parameters(), lr=design.learning_rate)
    losses, norms, negative = [], [], 0.0
    for step in range(design.steps):
        batch = images[torch.randint(len(images), (design.batch_size,), generator=order)]
        mean, raw = network.encode(batch)
        if step == 0:
            negative = float((raw < 0).double().mean())
        std = reading.std(raw)
        logits = network.decode_logits(mean + std * torch.randn(mean.shape, generator=noise))
        kl = (0.5 * (mean.square() + std.square() - 1) - reading.log_std(raw)).sum(1)
        loss = (bernoulli_from_logits(logits, batch) + kl).mean()
        if not loss.isfinite():
            return Course(True, negative, math.nan, math.nan)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None]).item())
        optimizer.step()
    tail = losses[-max(1, len(losses) // 10) :]
    return Course(False, negative, max(norms) / float(torch.tensor(norms).median()), sum(tail) / len(tail))


def experiment(design: StdOrLogvar, lab: Lab) -> Findings:
    """Train with each reading and each seed."""
    images = load("digits").train.images.float() / 255
    found: dict[str, list[Course]] = {name: [] for name in READINGS}
    for seed in lab.each(design.each_seed, "seeds"):
        for name, reading in READINGS.items():
            found[name].append(course(design, reading, images, seed))
    evidence = []
    for name, courses in found.items():
        evidence += [
            measured(FAILED.format(name), [each.failed for each in courses]),
            measured(NEGATIVE.format(name), [each.negative for each in courses]),
        ]
        if not any(each.failed for each in courses):
            evidence += [
                measured(GRADIENT.format(name), [each.peak for each in courses]),
                measured(LOSS.format(name), [each.loss for each in courses]),
            ]
    return Findings(tuple(evidence))


def judge(found: Findings) -> Ruling:
    """The claim holds if fewer than one run in twenty with σ itself as the output ends in NaN."""
    plain, usual, begun = (found[FAILED.format(name)] for name in ("σ", "log σ²", "σ, which begins at 1"))
    return ruled(
        below(plain, 0.05),
        f"{plain.value:.0%} of the runs with σ as the output end in NaN, and {begun.value:.0%} where it begins at 1; "
        f"with log σ² {usual.value:.0%}.",
    )


def draw(found: Findings) -> Figure:
    """How often each reading fails, and how far the gradients of those that do not fail jump."""
    names, there = list(READINGS), [each.what for each in found]
    sound = [name for name in names if GRADIENT.format(name) in there]
    panels = [bars([found[FAILED.format(name)] for name in names], names=names, label="share of runs that end in NaN",
                   title="failures")]  # fmt: skip
    if sound:
        panels.append(bars([found[GRADIENT.format(name)] for name in sound], names=sound, title="jumps",
                           label="largest gradient norm, over the median"))  # fmt: skip
    return intervals(*panels, title="What the encoder's second output stands for")


STUDY = Study(
    name="std-or-logvar",
    topic="vaes",
    question="Could the encoder of a VAE output the standard deviation σ directly, in place of log σ²?",
    claim="An encoder may as well output σ itself: training goes the same way.",
    design=StdOrLogvar(),
    quick={"seeds": 4, "steps": 60},
    quick_cannot="how often σ falls below 0 later, if it begins at 1",
    held_fixed="same network, images (digits), order, noise and seeds; only the reading of one output differs",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "A linear layer gives any number, a standard deviation must be positive: about half of the first outputs are "
        "below 0, and the KL term takes their logarithm. With log σ² in place of log σ the loss is finite, but it "
        "has a wall at σ = 0 with gradients of size 1/σ, and the sign of σ means nothing. Every real output is a fit "
        "log σ², and exp keeps σ positive; softplus does so as well."
    ),
    source="Kingma and Welling 2014, appendix C.2",
    wrong_answer='"Yes, σ is only a number that the network learns": nothing keeps it above 0.',
)
