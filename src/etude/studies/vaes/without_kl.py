"""A VAE without the KL term: what happens to reconstructions, to samples from the prior, and to the likelihood?"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import avg_pool2d

from etude.drawing.evidence import intervals
from etude.families.ranges import Range
from etude.losses import bernoulli_from_logits
from etude.metrics import frechet_distance
from etude.models import VAE
from etude.runs import Run
from etude.streams import stream
from etude.studies import Evidence, Findings, Lab, Ruling, Study, above, every, measured, ruled
from etude.studies.pictures import bars
from etude.studies.vaes.autoencoders import Autoencoders, Codes, codes_of, measured_of, train

WITH, WITHOUT = "with the KL term", "without it"
RECONSTRUCTION = "reconstruction of training images, nats per image, {}"
TEST = "reconstruction of test images, nats per image, {}"
DISTANCE = "Fréchet distance of samples from the prior to real images, {}"
LIKELIHOOD = "−log p(x) of test images, importance-weighted, nats, {}"
WIDTHS, DRAWS, IMAGES = (1, 4, 16), 70, 100
"""For each image, `DRAWS` latents are drawn from each of three Gaussians: as wide as the posterior, 4 and 16 times."""
KL = "KL of q(z|x) from the prior, nats, {}"


@dataclass(frozen=True, kw_only=True)
class WithoutKL(Autoencoders):
    """Two VAEs that differ in the weight of the KL term."""

    latent_dim: Annotated[int, Range(1, 100)] = 10
    """Latents per image."""
    beta: Annotated[float, Range(0, 1000)] = 0.0
    """Weight of the KL term in the VAE "without" it."""
    features: Literal["pixels", "classifier"] = "classifier"
    """What the Fréchet distance compares: 7×7 means of pixels, or what a classifier of the same images sees (FID)."""


def coarse(images: Tensor) -> Tensor:
    """Images (N, C, H, W) as 7×7 means of their pixels, (N, C · 49)."""
    return avg_pool2d(images, images.shape[-1] // 7).flatten(1)


def distance(run: Run, features: str) -> float:
    """Fréchet distance of samples from the prior to real images."""
    if features == "classifier":
        return measured_of(run, "fid")["fid"]
    dataset = run.dataset()
    real = torch.cat([dataset.train.images, dataset.test.images]).float() / 255
    return frechet_distance(coarse(real), coarse(run.sample(len(real), seed=run.recipe.seed)))


@torch.no_grad()
def negative_log_likelihood(codes: Codes, network: VAE, generator: torch.Generator) -> Tensor:
    """−log p(x) of images (N, ...), each from latents of a mixture of Gaussians around its posterior's mean: nats (N,).

    An upper bound on average, for any mixture (Burda et al. 2016). Posteriors that were trained without the KL term
    are too narrow to draw from alone.
    """
    widths = torch.tensor(WIDTHS)[:, None, None]  # (widths, 1, 1)
    found = []
    for image, mean, logvar in zip(codes.images, codes.mean.double(), codes.logvar.double(), strict=True):
        std = (0.5 * logvar).exp()  # (latent_dim,)
        noise = torch.randn(len(WIDTHS), DRAWS, len(mean), generator=generator, dtype=torch.float64)
        z = (mean + widths * std * noise).flatten(0, 1)  # (draws, latent_dim)
        each = (z - mean) / (widths * std)  # (widths, draws, latent_dim)
        log_q = (-0.5 * each.square() - (widths * std).log()).sum(2).logsumexp(0) - math.log(len(WIDTHS))
        log_prior = -0.5 * z.square().sum(1)  # the constants of both Gaussians cancel
        logits = network.decode_logits(z.float())
        log_likelihood = -bernoulli_from_logits(logits, image.expand_as(logits)).double()
        found.append(math.log(len(z)) - (log_likelihood + log_prior - log_q).logsumexp(0))
    return torch.stack(found)


def experiment(design: WithoutKL, lab: Lab) -> Findings:
    """Train both with each seed, and measure both."""
    evidence: list[Evidence] = []
    for name, beta in ((WITH, 1.0), (WITHOUT, design.beta)):
        runs = train(lab, design, latent_dim=design.latent_dim, beta=beta)
        last = [run.metrics().last() for run in runs]
        likelihood, distances = [], []
        for run in lab.each(runs, f"runs {name}"):
            codes, generator = codes_of(run), stream(run.recipe.seed, "without-kl")
            first = Codes(*(each[:IMAGES] for each in codes))
            likelihood.append(float(negative_log_likelihood(first, cast(VAE, run.model), generator).mean()))
            distances.append(distance(run, design.features))
        evidence += [
            measured(RECONSTRUCTION.format(name), [each["train/reconstruction_nats"] for each in last]),
            measured(TEST.format(name), [each["test/reconstruction_nats"] for each in last]),
            measured(DISTANCE.format(name), distances),
            measured(LIKELIHOOD.format(name), likelihood),
            measured(KL.format(name), [each["test/kl_nats"] for each in last]),
        ]
    return Findings(tuple(evidence))


def judge(found: Findings) -> Ruling:
    """The claim holds if, in more than half of the seeds, reconstructions cost fewer nats and samples are farther."""
    with_kl, without = ({each: found[each.format(name)] for each in (TEST, DISTANCE)} for name in (WITH, WITHOUT))
    better = measured("seeds", [gain < 0 for gain in (without[TEST] - with_kl[TEST]).values])
    farther = measured("seeds", [ratio > 1 for ratio in (without[DISTANCE] / with_kl[DISTANCE]).values])
    return ruled(
        every(above(better, 0.5), above(farther, 0.5)),
        f"without the KL term, reconstructions of test images cost {without[TEST].value:.4g} nats instead of "
        f"{with_kl[TEST].value:.4g} (fewer in {better.value:.0%} of the seeds); samples from the prior are "
        f"{without[DISTANCE].value:.3g} from real images instead of {with_kl[DISTANCE].value:.3g} (farther in "
        f"{farther.value:.0%}).",
    )


def draw(found: Findings) -> Figure:
    """Differences of reconstructions, likelihood and samples, seed by seed."""
    nats = [found[what.format(WITHOUT)] - found[what.format(WITH)] for what in (TEST, LIKELIHOOD)]
    return intervals(
        bars(nats, names=["reconstruction", "−log p(x)"], label="nats per test image, without minus with", level=0,
             title="of images", level_means="no difference"),
        bars([found[DISTANCE.format(WITHOUT)] / found[DISTANCE.format(WITH)]], names=["samples"], level=1,
             label="Fréchet distance, without over with", title="of samples from the prior",
             level_means="no difference"),
        title="What leaving the KL term out does; lower is better",
    )  # fmt: skip


STUDY = Study(
    name="without-kl",
    topic="vaes",
    question="A VAE is trained without the KL term. What happens to reconstructions, and to samples from the prior?",
    claim="Without the KL term reconstructions get better, and samples from the prior get worse.",
    design=WithoutKL(),
    quick={"seeds": 4, "epochs": 12, "features": "pixels"},
    quick_cannot="how far samples are by FID, nor always the reconstructions, since runs differ much so early",
    held_fixed="same network, images, steps and seeds; grey pixels, whose nats are a cross-entropy",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "Without the term nothing keeps posteriors wide or near 0: they shrink and spread out, each image gets a place "
        "of its own, and reconstructions profit. Samples still come from N(0, I), which now lies where few latents of "
        "images are, so the decoder was never taught what to draw there. The likelihood counts both, and falls."
    ),
    source="Kingma and Welling 2014, equation 3",
    wrong_answer='"Both get better, as nothing holds the network back": the term ties q to the prior of the samples.',
)
