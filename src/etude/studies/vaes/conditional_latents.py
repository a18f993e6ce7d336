"""What do the latents of a conditional VAE still know of the class?"""

from dataclasses import dataclass
from typing import Annotated

from matplotlib.figure import Figure

from etude.drawing.evidence import intervals
from etude.families.ranges import Range
from etude.studies import Evidence, Findings, Lab, Ruling, Study, above, measured, ruled
from etude.studies.pictures import bars
from etude.studies.vaes.autoencoders import QUICK, Autoencoders, measured_of, train

LINEAR, NEIGHBOURS = "accuracy of a linear probe, {}", "accuracy of ten nearest neighbours, {}"
DISTANCE = "largest Kolmogorov-Smirnov distance of a latent from N(0, 1), {}"
LOSS, KL = "test loss (−ELBO), nats per image, {}", "KL, nats per image, {}"
RECIPES = ("vae", "cvae")
MARGIN = 0.05


@dataclass(frozen=True, kw_only=True)
class ConditionalLatents(Autoencoders):
    """A VAE and a conditional VAE, which is given the label in both halves."""

    latent_dim: Annotated[int, Range(1, 100)] = 2
    """Latents per image."""


def experiment(design: ConditionalLatents, lab: Lab) -> Findings:
    """Train both, fit classifiers on the latents of each, and compare all latents together with the prior."""
    evidence: list[Evidence] = []
    for recipe in RECIPES:
        runs = train(lab, design, recipe, latent_dim=design.latent_dim)
        probes = [
            measured_of(run, "linear_probe", "nearest_neighbours_probe", "aggregate_posterior")
            for run in lab.each(runs, f"runs of {recipe}")
        ]
        last = [run.metrics().last() for run in runs]
        evidence += [
            measured(LINEAR.format(recipe), [each["linear_probe"] for each in probes]),
            measured(NEIGHBOURS.format(recipe), [each["nearest_neighbours_probe"] for each in probes]),
            measured(DISTANCE.format(recipe), [each["aggregate_posterior"] for each in probes]),
            measured(KL.format(recipe), [each["test/kl_nats"] for each in last]),
            measured(LOSS.format(recipe), [each["test/loss_nats"] for each in last]),
        ]
    return Findings(tuple(evidence))


def judge(found: Findings) -> Ruling:
    """The claim holds if neighbours among a cvae's latents are at most 5 points worse than among a vae's, by seed."""
    plain, given = (found[NEIGHBOURS.format(recipe)] for recipe in RECIPES)
    near, farther = (found[DISTANCE.format(recipe)] for recipe in RECIPES)
    return ruled(
        above(given - plain, -MARGIN),
        f"neighbours tell {plain.value:.0%} of the test images right from latents of a vae and {given.value:.0%} from "
        f"those of a cvae; their distances from the prior are {near.value:.2g} and {farther.value:.2g}.",
    )


def draw(found: Findings) -> Figure:
    """What is read from the latents of both, and how far they are from the prior."""
    probes = [found[what.format(recipe)] for what in (LINEAR, NEIGHBOURS) for recipe in RECIPES]
    names = [f"{recipe}, {what}" for what in ("linear", "neighbours") for recipe in RECIPES]
    distances = [found[DISTANCE.format(recipe)] for recipe in RECIPES]
    return intervals(
        bars(probes, names=names, label="accuracy on test images", title="the class, read from latents", level=0.1,
             level_means="guessing"),
        bars(distances, names=list(RECIPES), label="distance from N(0, 1)", title="all latents and the prior"),
        title="Latents of a VAE and of a conditional VAE",
    )  # fmt: skip


STUDY = Study(
    name="conditional-latents",
    topic="vaes",
    question="Can digits be classified by the latents of a conditional VAE as by those of a VAE?",
    claim="The latents of a conditional VAE tell the class as well as those of a VAE.",
    design=ConditionalLatents(),
    quick=QUICK,
    held_fixed="same images, steps, seeds and latents; classifiers fitted on means of the training images",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The decoder of a conditional VAE is told the label, so a latent that repeats it gains nothing and costs KL. "
        "The posteriors of all classes may then cover the same ground, and what is left in z is style; a VAE has to "
        "put the class into z, which divides the plane into clusters. How near all latents together are to the prior "
        "is another matter, in which the two need not differ."
    ),
    source="Sohn et al. 2015; Kingma et al. 2014",
    wrong_answer='"Better, since it has seen the labels": it has, and therefore need not store them.',
)
