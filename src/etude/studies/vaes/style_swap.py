"""Keep the latent of an image and change the label: is it another digit in the same style?"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude.drawing.evidence import intervals
from etude.families.ranges import Range
from etude.metrics import accuracy, linear_probe
from etude.runs import Run
from etude.studies import Evidence, Findings, Lab, Ruling, Study, above, every, measured, ruled
from etude.studies.pictures import bars
from etude.studies.vaes.autoencoders import QUICK, Autoencoders, codes_of, train

CLASS = "decoded images that a classifier takes for the label they were given"
REAL = "test images that the classifier takes for their own label"
SLANT, INK = "correlation of slant under two labels, same latent", "correlation of ink under two labels, same latent"
SHUFFLED = "correlation of slant under two labels, latents of two images"
RIGHT, SAME = 0.7, 0.3


@dataclass(frozen=True, kw_only=True)
class StyleSwap(Autoencoders):
    """A conditional VAE that decodes the latents of test images with every label."""

    latent_dim: Annotated[int, Range(1, 100)] = 2
    """Latents per image."""


class Style(NamedTuple):
    """Two numbers per image of how it is written."""

    slant: Tensor
    """How far a row is shifted from the row below, in pixels: −μ₁₁/μ₀₂ of the grey values' moments."""
    ink: Tensor
    """Mean grey value."""


def style_of(images: Tensor) -> Style:
    """The style of grey images (..., 1, H, W)."""
    grey = images.double().squeeze(-3) + 1e-9
    rows = torch.arange(grey.shape[-2], dtype=torch.float64)[:, None]
    columns = torch.arange(grey.shape[-1], dtype=torch.float64)
    total = grey.sum((-2, -1), keepdim=True)
    row, column = ((grey * place).sum((-2, -1), keepdim=True) / total for place in (rows, columns))
    shear = (grey * (rows - row) * (columns - column)).sum((-2, -1)) / (grey * (rows - row) ** 2).sum((-2, -1))
    return Style(-shear, grey.mean((-2, -1)))


def correlation_between_labels(values: Tensor, shift: int = 0) -> float:
    """Mean correlation over the images between two labels, of values (labels, images).

    With a shift, an image is compared with another one.
    """
    labels = range(len(values))
    pairs = [(a, b) for a in labels for b in labels if a < b]
    found = [np.corrcoef(values[a].numpy(), values[b].roll(shift).numpy())[0, 1] for a, b in pairs]
    return float(np.mean(found))


def swapped(run: Run) -> tuple[Tensor, Tensor]:
    """Test images (N, 1, H, W), and what their latents become under every label, (labels, N, 1, H, W)."""
    codes = codes_of(run)
    return codes.images, torch.stack([run.decode(codes.mean, label) for label in range(len(run.class_names))])


def experiment(design: StyleSwap, lab: Lab) -> Findings:
    """Encode test images with their label, decode with all labels; read the class, the slant and the ink."""
    found: dict[str, list[float]] = {name: [] for name in (CLASS, REAL, SLANT, INK, SHUFFLED)}
    for run in lab.each(train(lab, design, "cvae", latent_dim=design.latent_dim), "runs"):
        images, decoded = swapped(run)
        data, num_labels = run.dataset(), len(run.class_names)
        fit = data.train.images.flatten(1).float() / 255
        read = linear_probe(
            fit, data.train.labels, torch.cat([images, decoded.flatten(0, 1)]).flatten(1), num_classes=num_labels
        )
        asked = torch.arange(num_labels).repeat_interleave(len(images))
        style = style_of(decoded)
        found[REAL].append(accuracy(read[: len(images)], data.test.labels))
        found[CLASS].append(accuracy(read[len(images) :], asked))
        found[SLANT].append(correlation_between_labels(style.slant))
        found[INK].append(correlation_between_labels(style.ink))
        found[SHUFFLED].append(correlation_between_labels(style.slant, shift=1))
    return Findings(tuple(measured(name, values) for name, values in found.items()))


def judge(found: Findings) -> Ruling:
    """The claim holds if 70 % of the decoded images have the given label, and slants correlate by more than 0.3."""
    right, slant = found[CLASS], found[SLANT]
    return ruled(
        every(above(right, RIGHT), above(slant, SAME)),
        f"a classifier takes {right.value:.0%} of the decoded images for the label they were given; slants of the same "
        f"latent under two labels correlate by {slant.value:.2g}, of two images' latents by "
        f"{found[SHUFFLED].value:.2g}.",
    )


def draw(found: Findings) -> Figure:
    """How often the label is obeyed, and how much of the style stays."""
    shares: list[Evidence] = [found[CLASS], found[REAL]]
    styles = [found[SLANT], found[INK], found[SHUFFLED]]
    return intervals(
        bars(shares, names=["decoded with\nany label", "test images"], label="share that has its label",
             title="the label decides the digit", level=RIGHT, level_means="70 %"),
        bars(styles, names=["slant, same latent", "ink, same latent", "slant, two latents"], label="correlation",
             title="the latent decides the style", level=SAME, level_means="0.3"),
        title="One latent under ten labels",
    )  # fmt: skip


STUDY = Study(
    name="style-swap",
    topic="vaes",
    question="Take the latent of an image in a conditional VAE and change the label. What comes out?",
    claim="Another label with the same latent gives another digit in the same style.",
    design=StyleSwap(),
    quick=QUICK,
    held_fixed="all test images, encoded with their own label and decoded with all ten; a linear classifier of pixels",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The decoder gets the digit from the label, so that the latents are free for what differs within a class. "
        "Slant and thickness are worth the most nats, and one axis for all classes costs the least. Nothing in the "
        "loss demands that an axis mean the same for each digit; the correlations say how far it does."
    ),
    source="Kingma et al. 2014, figure 1; Sohn et al. 2015",
    wrong_answer='"The same digit, since z is the code of the image": in a conditional VAE z need not hold the digit.',
)
