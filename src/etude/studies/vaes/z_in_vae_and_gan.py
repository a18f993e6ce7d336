"""z in a VAE and z in a GAN: does it tell the image?"""

from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure
from torch import Tensor

from etude.drawing.evidence import intervals
from etude.families.abilities import Encodes
from etude.families.ranges import Range
from etude.metrics import accuracy, nearest_neighbours_probe
from etude.runs import Run
from etude.streams import stream
from etude.studies import Evidence, Findings, Lab, Ruling, Study, below, every, exact, measured, ruled
from etude.studies.pictures import bars
from etude.studies.vaes.autoencoders import QUICK, Autoencoders, codes_of, rms, train

ERROR = "difference of an image from what its z becomes, over another z, {}"
PROBE = "accuracy of the class read from the z of an image, {}"
SPREAD = "standard deviation of z in training, {}"
ENCODES = "networks that give z for an image, {}"
KINDS = ("vae", "gan")
TELLS = 0.9


@dataclass(frozen=True, kw_only=True)
class ZInVAEAndGAN(Autoencoders):
    """A VAE and a GAN, trained on the same images."""

    latent_dim: Annotated[int, Range(1, 100)] = 2
    """Latents per image of the VAE."""
    gan_epochs: Annotated[int, Range(1, 1000)] = 20
    """Passes over the training images of the GAN."""


def z_of_vae(run: Run, split: str, generator: torch.Generator) -> Tensor:
    """The z with which the decoder is trained on each image: drawn from its posterior."""
    return codes_of(run, "train" if split == "train" else "test").draw(generator)


def z_of_gan(run: Run, count: int, generator: torch.Generator) -> Tensor:
    """The z with which the generator is trained in the step of an image: drawn without it."""
    return 2 * torch.rand(count, run.recipe.noise_dim, generator=generator) - 1  # type: ignore[attr-defined]


@torch.no_grad()
def compared(run: Run, kind: str) -> tuple[float, float, float]:
    """Error of an image's z, accuracy of its class read from z, and the spread of z."""
    data, generator = run.dataset(), stream(run.recipe.seed, "z-in-vae-and-gan")
    real = data.test.images.float() / 255
    if kind == "vae":
        fit, test = (z_of_vae(run, split, generator) for split in ("train", "test"))
        made = run.decode(test)
    else:
        fit, test = (z_of_gan(run, len(split), generator) for split in (data.train, data.test))
        made = (run.model(test) + 1) / 2
    scores = nearest_neighbours_probe(fit, data.train.labels, test, num_classes=len(run.class_names))
    made = made.reshape(real.shape)
    share = rms(real - made) / rms(real - made.roll(1, 0))
    return share, accuracy(scores, data.test.labels), float(fit.double().std())


def experiment(design: ZInVAEAndGAN, lab: Lab) -> Findings:
    """Train both, and ask of both what the z of a training step tells of the image of that step."""
    evidence: list[Evidence] = []
    for kind in KINDS:
        if kind == "vae":
            runs = train(lab, design, latent_dim=design.latent_dim)
        else:
            (cell,) = lab.train("gan", grid={}, seeds=design.each_seed, data=design.data, epochs=design.gan_epochs)
            runs = cell.runs
        errors, probes, spreads = zip(*(compared(run, kind) for run in lab.each(runs, f"runs of {kind}")), strict=True)
        evidence += [
            measured(ERROR.format(kind), errors),
            measured(PROBE.format(kind), probes),
            measured(SPREAD.format(kind), spreads),
            exact(ENCODES.format(kind), float(runs[0].can(Encodes))),
        ]
    return Findings(tuple(evidence))


def judge(found: Findings) -> Ruling:
    """The claim holds if, in both, an image differs from what its z becomes by less than 0.9 of another z's."""
    vae, gan = (found[ERROR.format(kind)] for kind in KINDS)
    read = [found[PROBE.format(kind)].value for kind in KINDS]
    return ruled(
        every(below(vae, TELLS), below(gan, TELLS)),
        f"an image differs from what its z becomes by {vae.value:.2f} of what it differs by from that of another z in "
        f"a VAE, by {gan.value:.2f} in a GAN; the class is read from z in {read[0]:.0%} and {read[1]:.0%} of cases.",
    )


def draw(found: Findings) -> Figure:
    """Both, side by side."""
    return intervals(
        bars([found[ERROR.format(kind)] for kind in KINDS], names=["VAE", "GAN"], title="image and what z becomes",
             label="difference, over that of another z (RMS)", level=1, level_means="another z"),
        bars([found[PROBE.format(kind)] for kind in KINDS], names=["VAE", "GAN"], title="the class, read from z",
             label="accuracy on test images", level=0.1, level_means="guessing"),
        title="What z tells of an image",
    )  # fmt: skip


STUDY = Study(
    name="z-in-vae-and-gan",
    topic="vaes",
    question="Both a VAE and a GAN make images of z. Is z the same thing in both?",
    claim="In a GAN as in a VAE, z is the code of an image.",
    design=ZInVAEAndGAN(),
    quick={**QUICK, "gan_epochs": 5},
    held_fixed="same images and seeds; z as it is in a training step: drawn from q(z|x), or from the noise alone",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "A VAE has an encoder: in training z is drawn from q(z|x) of the image that it must rebuild, so z is a code. "
        "A GAN draws z without looking at an image, and no network leads back; its z is only where samples begin. "
        "Both begin samples from a fixed distribution, N(0, I) in a VAE; in the GAN any will do, here a uniform one."
    ),
    source="Kingma and Welling 2014; Goodfellow et al. 2014; Donahue et al. 2017 add an encoder to a GAN",
    wrong_answer='"Yes, both are latent variables with a simple prior": the posterior is what a GAN lacks.',
)
