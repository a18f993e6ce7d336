"""Is the posterior of one image N(0, I), or only the mixture of all posteriors?"""

from dataclasses import dataclass
from typing import Annotated

import torch
from matplotlib.figure import Figure

from etude.drawing.evidence import intervals
from etude.families.ranges import Range
from etude.losses import kl_to_standard_normal
from etude.studies import Findings, Lab, Ruling, Study, below, measured, ruled
from etude.studies.pictures import bars
from etude.studies.vaes.autoencoders import QUICK, Autoencoders, Codes, codes_of, train

ONE = "KL of an image's posterior from N(0, I), mean over images, nats"
ALL = "KL of the Gaussian with all posteriors' mean and covariance from N(0, I), nats"
WIDTH = "standard deviation of one image's posterior, mean over images and latents"
WIDTH_ALL = "standard deviation of all posteriors together, mean over latents"
MARGIN_NATS = 0.1


@dataclass(frozen=True, kw_only=True)
class PosteriorOfOneImage(Autoencoders):
    """A VAE, and the posteriors of the test images."""

    beta: Annotated[float, Range(0, 1000)] = 1.0
    """Weight of the KL term in training: with a large one, posteriors do become the prior."""
    latent_dim: Annotated[int, Range(1, 100)] = 2
    """Latents per image."""


def aggregate(codes: Codes) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (latents,) and covariance (latents, latents) of the mixture of all posteriors."""
    mean = codes.mean.double()
    covariance = torch.cov(mean.T, correction=0).reshape(mean.shape[1], -1)
    return mean.mean(0), covariance + torch.diag(codes.logvar.double().exp().mean(0))


def kl_of_gaussian(mean: torch.Tensor, covariance: torch.Tensor) -> float:
    """KL(N(mean, covariance) ‖ N(0, I)) in nats."""
    return float(0.5 * (mean.square().sum() + covariance.trace() - len(mean) - torch.logdet(covariance)))


def experiment(design: PosteriorOfOneImage, lab: Lab) -> Findings:
    """Encode the test images, and compare each posterior, and all together, with the prior."""
    found: dict[str, list[float]] = {name: [] for name in (ONE, ALL, WIDTH, WIDTH_ALL)}
    for run in lab.each(train(lab, design, beta=design.beta, latent_dim=design.latent_dim), "runs"):
        codes = codes_of(run)
        mean, covariance = aggregate(codes)
        found[ONE].append(float(kl_to_standard_normal(codes.mean, codes.logvar).sum(1).double().mean()))
        found[ALL].append(kl_of_gaussian(mean, covariance))
        found[WIDTH].append(float((0.5 * codes.logvar).exp().double().mean()))
        found[WIDTH_ALL].append(float(covariance.diagonal().sqrt().mean()))
    return Findings(tuple(measured(name, values) for name, values in found.items()))


def judge(found: Findings) -> Ruling:
    """The claim holds if the KL of one image's posterior from N(0, I) is below 0.1 nats on average."""
    one, everyone, width = found[ONE], found[ALL], found[WIDTH]
    return ruled(
        below(one, MARGIN_NATS),
        f"the posterior of one image is {one.value:.3g} nats from N(0, I), with a standard deviation of "
        f"{width.value:.2g} where the prior has 1; all images together are {everyone.value:.2g} nats from it.",
    )


def draw(found: Findings) -> Figure:
    """Both distances from the prior, and both widths."""
    names = ["one image", "all images\ntogether"]
    return intervals(
        bars([found[ONE], found[ALL]], names=names, label="KL from N(0, I), nats", title="distance from the prior",
             level=MARGIN_NATS, level_means="0.1 nats"),
        bars([found[WIDTH], found[WIDTH_ALL]], names=names, label="standard deviation of a latent", title="width",
             level=1, level_means="prior"),
        title="Posteriors q(z|x) and the prior N(0, I)",
    )  # fmt: skip


STUDY = Study(
    name="posterior-of-one-image",
    topic="vaes",
    question="The KL term pulls q(z|x) towards N(0, I). Is q(z|x) of one image N(0, I) after training?",
    claim="In a trained VAE, the posterior q(z|x) of each image is N(0, I).",
    design=PosteriorOfOneImage(),
    quick=QUICK,
    held_fixed="one network per seed, all test images",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "If q(z|x) were N(0, I) for each image, z would tell nothing of x, and every image would be decoded to the "
        "same mean picture. The reconstruction pays for narrow posteriors in different places; the KL term only sets "
        "the price. What should look like the prior is their mixture over all images, since samples begin there."
    ),
    source="Hoffman and Johnson 2016; Kingma and Welling 2014, section 2.3",
    wrong_answer=(
        '"Yes, that is what the KL term is for": it is for the mixture; an image with KL 0 has lost its code '
        "(posterior collapse)."
    ),
)
