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
    first, second = planes[0], planes[1]
    turned = procrustes(first, second)
    curves = {
        f"{name}, latent {latent}": plane[:, latent].tolist()
        for name, plane in (("first", first), ("second", second), ("turned", turned))
        for latent in range(min(2, design.latent_dim))
    }
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
    """The latents of each test image in two networks, as they are and after the best rotation."""
    curves = found.curves

    def panel(other: str, title: str) -> Axis:
        dots = [
            Line(name=name, x=curves[f"first, latent {latent}"], y=curves[f"{other}, latent {latent}"], dots=True)
            for latent, name in enumerate(("first latent", "second latent"))
            if f"first, latent {latent}" in curves
        ]
        return Axis(
            lines=[*dots, Line(name="equal", x=[-2.5, 2.5], y=[-2.5, 2.5], dashed=True)], square=True, title=title,
            x_label="latent of an image, one seed", y_label="the same, another seed",
        )  # fmt: skip

    return lines(
        panel("second", "as they are"),
        panel("turned", "after the best rotation and reflection"),
        title="The latents of the same images in two trainings",
    )


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
