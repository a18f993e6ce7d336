"""Is a VAE with more latents always better?"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Rule
from etude.studies import Evidence, Findings, Lab, Ruling, Study, above, every, measured, ruled
from etude.studies.pictures import line
from etude.studies.vaes.autoencoders import QUICK, Autoencoders, measured_of, train

LOSS = "test loss (−ELBO), nats per image, {} latents"
RECONSTRUCTION = "reconstruction, nats per image, {} latents"
KL = "KL, nats per image, {} latents"
ACTIVE = "latents in use, of {}"
MARGIN_NATS = 1.0


@dataclass(frozen=True, kw_only=True)
class MoreLatents(Autoencoders):
    """VAEs with more and more latents."""

    latents: tuple[int, ...] = (2, 5, 10, 20, 50)
    """Numbers of latents."""

    def rules(self) -> Iterator[Rule]:
        """See `Design`."""
        fit = len(self.latents) >= 2 and all(a < b for a, b in pairwise(self.latents))
        yield (
            fit and all(1 <= each <= 1000 for each in self.latents),
            "latents",
            "two or more numbers from 1 to 1000, rising",
        )


def experiment(design: MoreLatents, lab: Lab) -> Findings:
    """Train with each number, and measure both terms of the loss and the latents in use."""
    evidence: list[Evidence] = []
    for number in design.latents:
        runs = train(lab, design, latent_dim=number)
        terms = [run.metrics().last() for run in runs]
        used = [measured_of(run, "active_latents")["active_latents"] for run in lab.each(runs, f"{number} latents")]
        evidence += [
            measured(LOSS.format(number), [each["test/loss_nats"] for each in terms]),
            measured(RECONSTRUCTION.format(number), [each["test/reconstruction_nats"] for each in terms]),
            measured(KL.format(number), [each["test/kl_nats"] for each in terms]),
            measured(ACTIVE.format(number), used),
        ]
    return Findings(tuple(evidence), {"latents": list(design.latents)})


def judge(found: Findings) -> Ruling:
    """The claim holds if every step to more latents lowers the loss by over a nat in more than half of the seeds."""
    numbers = [int(each) for each in found.curves["latents"]]
    gains = [found[LOSS.format(few)] - found[LOSS.format(many)] for few, many in pairwise(numbers)]
    shares = [measured("seeds that gain", [value > MARGIN_NATS for value in gain.values]) for gain in gains]
    told = ", ".join(f"{found[LOSS.format(number)].value:.4g} with {number}" for number in numbers)
    counts = ", ".join(
        f"{share.value:.0%} from {few} to {many}" for share, (few, many) in zip(shares, pairwise(numbers), strict=True)
    )
    return ruled(
        every(*(above(share, 0.5) for share in shares)),
        f"mean test losses are {told} latents; the share of the seeds that gain is {counts}.",
    )


def draw(found: Findings) -> Figure:
    """The loss and its terms, and the latents in use, by the number of latents."""
    numbers = found.curves["latents"]

    def by_number(what: str, name: str) -> Line:
        return line(name, numbers, [found[what.format(int(number))] for number in numbers])

    return lines(
        Axis(lines=[by_number(LOSS, "loss"), by_number(RECONSTRUCTION, "reconstruction")], x_label="latents",
             y_label="nats per test image", title="loss"),
        Axis(lines=[by_number(KL, "KL, nats per image"), by_number(ACTIVE, "latents in use")], x_label="latents",
             y_label="nats, or number", title="what the latents carry"),
        title="VAEs with more latents",
    )  # fmt: skip


STUDY = Study(
    name="more-latents",
    topic="vaes",
    question="Does a VAE get better with every further latent?",
    claim="Every further latent makes a VAE better.",
    design=MoreLatents(),
    quick={**QUICK, "latents": (2, 10, 50)},
    quick_cannot="from which number on more latents do not help, as it tries three",
    held_fixed="same network except for the number of latents, same images, steps and seeds",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The first latents lower the reconstruction by more than their KL costs. A latent that does not pay for its KL "
        "is turned off: its posterior becomes the prior, it costs nothing and says nothing. The encoder's last hidden "
        "layer has 16 units here, so that no more than 16 numbers can pass; and many latents bring much noise to begin "
        "with, so that training may turn all of them off (posterior collapse)."
    ),
    source="Burda et al. 2016, section 5.2; Kingma and Welling 2014, section 5",
    wrong_answer='"Yes, always, since they can be ignored": then they do not make it better either.',
)
