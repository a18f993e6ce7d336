"""The latent planes of two trainings that differ only in the seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.evidence import Axis, Line, lines
from etude.families.ranges import Range
from etude.studies import Findings, Lab, Ruling, Study, above, measured, ruled
from etude.studies.vaes.autoencoders import QUICK, Autoencoders, codes_of, train

AS_IS, ROTATED, LINEAR = (
    "correlation of two seeds' latents, latent by latent",
    "the same after the best rotation and reflection",
    "the same after the best linear map",
)
LOSS_SPREAD = "difference of the test losses of two seeds, nats"
ENOUGH = 0.9


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Retrain(Autoencoders):
    """The same VAE trained with several seeds, of which each is compared with all others."""

    latent_dim: Annotated[int, Range(1, 100)] = 2
    """Latents per image."""


def standardised(codes: np.ndarray) -> np.ndarray:
    """Codes (N, latents) with mean 0 and, over all latents together, variance 1."""
    centred = codes - codes.mean(axis=0)
    return centred / centred.std()


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of codes (N, latents), both centred, over images and latents: 1 if they are equal up to scale."""
    return float((one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum()))


def procrustes(wanted: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Centred `given` (N, latents), rotated, reflected and scaled to be nearest to `wanted` (Schönemann 1966)."""
    u, singular, v = np.linalg.svd(given.T @ wanted)
    return given @ (u @ v) * (singular.sum() / (given**2).sum())


def linear(wanted: np.ndarray, given: np.ndarray) -> np.ndarray:
    """`given` under the linear map that brings it nearest to `wanted`."""
    return given @ np.linalg.lstsq(given, wanted, rcond=None)[0]


def with_others(items: Sequence[T], compare: Callable[[T, T], float]) -> list[float]:
    """The mean comparison of each item with all others."""
    return [
        float(np.mean([compare(one, other) for place, other in enumerate(items) if place != number]))
        for number, one in enumerate(items)
    ]


def experiment(design: Retrain, lab: Lab) -> Findings:
    """Encode the test images with each network, and compare each network with all others."""
    runs = train(lab, design, latent_dim=design.latent_dim)
    each = [codes_of(run) for run in lab.each(runs, "runs")]
    planes = [standardised(codes.mean.double().numpy()) for codes in each]
    losses = [run.metrics().last()["test/loss_nats"] for run in runs]
    evidence = (
        measured(AS_IS, with_others(planes, agreement)),
        measured(ROTATED, with_others(planes, lambda one, other: agreement(one, procrustes(one, other)))),
        measured(LINEAR, with_others(planes, lambda one, other: agreement(one, linear(one, other)))),
        measured(LOSS_SPREAD, with_others(losses, lambda one, other: abs(one - other))),
    )
    curves: dict[str, list[float]] = {}
    if design.latent_dim == 2:
        first, second, labels = planes[0], planes[1], each[0].labels.numpy()
        for name, plane in (("first", first), ("second", second), ("aligned", procrustes(first, second))):
            centres = np.array([plane[labels == label].mean(axis=0) for label in np.unique(labels)])
            curves[f"x, {name}"], curves[f"y, {name}"] = centres.T.tolist()
    return Findings(evidence, curves)


def judge(found: Findings) -> Ruling:
    """The claim holds if the latents of two seeds correlate by more than 0.9, latent by latent."""
    as_is, rotated = found[AS_IS], found[ROTATED]
    return ruled(
        above(as_is, ENOUGH),
        f"latents of two seeds correlate by {as_is.value:.2f} one by one, and by {rotated.value:.2f} after the best "
        f"rotation and reflection, while their losses differ by {found[LOSS_SPREAD].value:.2g} nats.",
    )


def draw(found: Findings) -> Figure:
    """The centres of the ten digits in two planes, and in the second turned onto the first."""
    curves = found.curves
    if "x, first" not in curves:
        values = [found[name].value for name in (AS_IS, ROTATED, LINEAR)]
        panel = Axis(
            lines=[Line(name="", x=[0, 1, 2], y=values)],
            x_label="as it is, rotated, any linear map",
            y_label="correlation",
        )
        return lines(panel, title="The latents of two seeds")

    def path(name: str, called: str, dashed: bool = False) -> Line:
        return Line(name=called, x=curves[f"x, {name}"], y=curves[f"y, {name}"], dashed=dashed)

    return lines(
        Axis(lines=[path("first", "seed 1"), path("second", "seed 2")], x_label="first latent", y_label="second latent",
             square=True, title="as they are"),
        Axis(lines=[path("first", "seed 1"), path("aligned", "seed 2, turned")], x_label="first latent",
             y_label="second latent", square=True, title="after the best rotation and reflection"),
        title="Centres of the digits 0 to 9 in the latent planes of two seeds, joined in this order",
    )  # fmt: skip


STUDY = Study(
    name="retrain",
    topic="vaes",
    question="Train the same VAE again with another seed. Does each digit get the same place in the latent plane?",
    claim="Training again gives the same latent plane.",
    design=Retrain(),
    quick=QUICK,
    held_fixed="same network, images and steps; each seed against all others, on the means of all test images",
    experiment=experiment,
    judge=judge,
    draw=draw,
    explanation=(
        "The prior N(0, I) and the loss do not change if the plane is turned or reflected, so nothing fixes the axes. "
        "Digits may also change their neighbours, since many layouts have nearly the same loss and the initial weights "
        "choose one; a rotation cannot undo that. Compare losses and samples of two trainings, never single latents."
    ),
    source="Locatello et al. 2019, theorem 1; Schönemann 1966",
    wrong_answer='"Yes up to small noise, since the data are the same", or "yes, up to a rotation".',
)
