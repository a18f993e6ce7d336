"""Can digits be told apart by the latents of a VAE that never saw a label?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.evidence import intervals
from etude.families.ranges import Rule
from etude.metrics import accuracy, nearest_neighbours_probe
from etude.runs import Run
from etude.studies import Evidence, Findings, Lab, Ruling, Study, below, exact, measured, ruled
from etude.studies.pictures import bars
from etude.studies.vaes.autoencoders import QUICK, Autoencoders, codes_of, measured_of, train

LINEAR, NEIGHBOURS = "accuracy of a linear probe, {} latents", "accuracy of ten nearest neighbours, {} latents"
SHUFFLED = "accuracy of ten nearest neighbours, {} latents of other images"
PIXELS = "accuracy of ten nearest neighbours, all pixels"
KNOWN = 0.3


@dataclass(frozen=True, kw_only=True)
class ClassifyLatents(Autoencoders):
    """VAEs, and simple classifiers fitted on the latents of the training images."""

    latents: tuple[int, ...] = (2, 10)
    """Numbers of latents."""

    def rules(self) -> Iterator[Rule]:
        """See `Design`."""
        fit = bool(self.latents) and len(set(self.latents)) == len(self.latents)
        yield fit and all(1 <= each <= 1000 for each in self.latents), "latents", "numbers from 1 to 1000, each once"


def shuffled_accuracy(run: Run) -> float:
    """What the neighbours get right where training latents belong to other images' labels: the share of a guess."""
    fit, test = codes_of(run, "train"), codes_of(run)
    order = np.random.default_rng(run.recipe.seed).permutation(len(fit.labels))
    scores = nearest_neighbours_probe(fit.mean, fit.labels[order], test.mean, num_classes=len(run.class_names))
    return accuracy(scores, test.labels)


def pixels_accuracy(run: Run) -> float:
    """The same classifier on the images themselves."""
    fit, test = codes_of(run, "train"), codes_of(run)
    scores = nearest_neighbours_probe(
        fit.images.flatten(1), fit.labels, test.images.flatten(1), num_classes=len(run.class_names)
    )
    return accuracy(scores, test.labels)


def experiment(design: ClassifyLatents, lab: Lab) -> Findings:
    """Train with each number of latents, and probe the latents of the test images."""
    evidence: list[Evidence] = []
    for number in design.latents:
        runs = train(lab, design, latent_dim=number)
        probes = [
            measured_of(run, "linear_probe", "nearest_neighbours_probe") for run in lab.each(runs, f"{number} latents")
        ]
        evidence += [
            measured(LINEAR.format(number), [each["linear_probe"] for each in probes]),
            measured(NEIGHBOURS.format(number), [each["nearest_neighbours_probe"] for each in probes]),
            measured(SHUFFLED.format(number), [shuffled_accuracy(run) for run in runs]),
        ]
        if number == design.latents[-1]:
            evidence.append(exact(PIXELS, pixels_accuracy(runs[0])))
    return Findings(tuple(evidence), {"latents": list(design.latents)})


def judge(found: Findings) -> Ruling:
    """The claim holds if neighbours among the fewest latents are right in less than 0.3, three times a guess."""
    few, many = (int(found.curves["latents"][place]) for place in (0, -1))
    first, last = found[NEIGHBOURS.format(few)], found[NEIGHBOURS.format(many)]
    return ruled(
        below(first, KNOWN),
        f"from {few} latents {first.value:.0%} of the test images are told right, from {many} {last.value:.0%}, "
        f"from all pixels {found[PIXELS].value:.0%}; from latents of other images "
        f"{found[SHUFFLED.format(few)].value:.0%}.",
    )


def draw(found: Findings) -> Figure:
    """All accuracies."""
    rows: list[tuple[Evidence, str]] = []
    for number in map(int, found.curves["latents"]):
        rows += [
            (found[LINEAR.format(number)], f"{number} latents, linear"),
            (found[NEIGHBOURS.format(number)], f"{number} latents, neighbours"),
            (found[SHUFFLED.format(number)], f"{number} latents, shuffled"),
        ]
    rows.append((found[PIXELS], "pixels, neighbours"))
    return intervals(
        bars([each for each, _ in rows], names=[name for _, name in rows], label="accuracy on test images"),
        title="The class, read from the latents of a VAE",
    )


STUDY = Study(
    name="classify-latents",
    topic="vaes",
    question="Can digits be told apart by the latents of a VAE, which never saw a label?",
    claim="Latents of a VAE cannot tell the classes apart, since it never saw a label.",
    design=ClassifyLatents(),
    quick=QUICK,
    held_fixed="classifiers fitted on means of the training images, tested on those of the test images",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "Images of one digit look alike, and a decoder that must draw them all from a few numbers gains by giving "
        "similar images neighbouring codes. So classes become clusters, though nothing asked for them. With two "
        "latents clusters overlap; with more, hardly less of the class is left than in the pixels."
    ),
    source="Kingma and Welling 2014, figure 4; Alain and Bengio 2017 for probes",
    wrong_answer='"No, without labels nothing can be learned about classes": the images themselves come in clusters.',
)
