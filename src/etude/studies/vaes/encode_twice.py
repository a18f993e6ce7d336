"""Encode an image twice with a VAE: are the two reconstructions the same?"""

from dataclasses import dataclass
from typing import Annotated

from matplotlib.figure import Figure

from etude.drawing.evidence import intervals
from etude.families.ranges import Range
from etude.streams import stream
from etude.studies import Findings, Lab, Ruling, Study, below, measured, ruled
from etude.studies.pictures import bars
from etude.studies.vaes.autoencoders import QUICK, Autoencoders, codes_of, rms, train

GREY = 255
"""Grey levels are counted from 0 to 255."""
DRAWN, MEAN = "difference of two reconstructions, latents drawn", "difference of two reconstructions, means decoded"
SHARE = "images whose two reconstructions differ by more than one grey level"
ERROR = "difference of a reconstruction from its image"
WIDTH = "standard deviation of a latent, mean over images"


@dataclass(frozen=True, kw_only=True)
class EncodeTwice(Autoencoders):
    """A VAE, and the test images, each encoded twice."""

    beta: Annotated[float, Range(0, 1000)] = 1.0
    """Weight of the KL term in training."""
    latent_dim: Annotated[int, Range(1, 100)] = 2
    """Latents per image."""


def experiment(design: EncodeTwice, lab: Lab) -> Findings:
    """Draw two latents for each test image, decode both, and compare them; the same with the mean in place of draws."""
    found: dict[str, list[float]] = {name: [] for name in (DRAWN, MEAN, SHARE, ERROR, WIDTH)}
    runs = train(lab, design, beta=design.beta, latent_dim=design.latent_dim)
    for run in lab.each(runs, "runs"):
        codes, generator = codes_of(run), stream(run.recipe.seed, "encode-twice")
        first, second = (GREY * run.decode(codes.draw(generator)) for _ in range(2))
        mean, again = (GREY * run.decode(run.encode(codes.images)) for _ in range(2))
        each = (first - second).square().flatten(1).mean(1).sqrt()
        found[DRAWN].append(rms(first - second))
        found[MEAN].append(rms(mean - again))
        found[SHARE].append(float((each > 1).double().mean()))
        found[ERROR].append(rms(first - GREY * codes.images))
        found[WIDTH].append(float((0.5 * codes.logvar).exp().mean()))
    return Findings(tuple(measured(name, values) for name, values in found.items()))


def judge(found: Findings) -> Ruling:
    """The claim holds if the two reconstructions differ by less than one grey level of 255 (root mean square)."""
    return ruled(
        below(found[DRAWN], 1),
        f"the two reconstructions of an image differ by {found[DRAWN].value:.3g} grey levels of 255 (root mean square "
        f"over pixels), and by {found[MEAN].value:.3g} where the mean is decoded both times; each differs by "
        f"{found[ERROR].value:.3g} from the image.",
    )


def draw(found: Findings) -> Figure:
    """The differences side by side."""
    names = ["two reconstructions,\nlatents drawn", "two reconstructions,\nmeans decoded", "reconstruction\nand image"]
    return intervals(
        bars([found[DRAWN], found[MEAN], found[ERROR]], names=names, label="difference, grey levels of 255 (RMS)",
             level=1, level_means="one grey level"),
        title="The same image, encoded twice",
    )  # fmt: skip


STUDY = Study(
    name="encode-twice",
    topic="vaes",
    question="Encode the same image twice with a trained VAE and decode both. Are the two reconstructions the same?",
    claim="Encoding the same image twice gives the same reconstruction.",
    design=EncodeTwice(),
    quick=QUICK,
    held_fixed="one network per seed, all test images; differences in grey levels of 255",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The encoder does not give a point but a Gaussian q(z|x), and a latent is drawn from it each time: "
        "z = μ + σ ε. Two draws lie about σ √2 apart in each latent, and the decoder shows it. Only if the mean is "
        "decoded instead, as run.decode(run.encode(x)) does, is the way from image to reconstruction a function."
    ),
    source="Kingma and Welling 2014, section 2.4",
    wrong_answer='"Yes, since the weights are fixed": the weights are, the noise ε is not.',
)
