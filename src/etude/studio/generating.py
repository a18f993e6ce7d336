"""What the page asks of networks that make examples: samples from a seed, ways between them, verdicts, denoising."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.errors import UsageError
from etude.families.abilities import Denoises, Generates, Judges, Samples
from etude.streams import stream
from etude.studio.answers import Arrays
from etude.studio.opened import MOST_IMAGES, Opened, levels, numbers, whole

MOST_SAMPLES, MOST_SEED = 64, 2**31 - 1
MOST_DENOISED = 16


def _labels(opened: Opened, given: dict[str, Any], count: int) -> Tensor | None:
    """A label for all, or the classes in turn, for conditional networks."""
    if not opened.run.conditional:
        return None
    num_classes = len(opened.run.class_names)
    if given.get("label") is None:
        return torch.arange(count) % num_classes
    return torch.full((count,), whole(given["label"], "label", 0, num_classes - 1))


@torch.no_grad()
def samples(opened: Opened, given: dict[str, Any]) -> Arrays:
    """New images (N, H, W, C) from a seed, their noise (N, numbers), and what the discriminator says of each."""
    seed, count = whole(given.get("seed"), "seed", 0, MOST_SEED), whole(given.get("num"), "num", 1, MOST_SAMPLES)
    labels = _labels(opened, given, count)
    if "Generates" not in opened.abilities:
        trained: Samples = opened.ability("Samples")
        with opened.run.sampling_precision():
            return Arrays(images=levels(trained.sample(count, labels=labels, generator=stream(seed, "sample")).float()))
    generates: Generates = opened.ability("Generates")
    noise = generates.noise(count, generator=stream(seed, "sample"))
    with opened.run.sampling_precision():
        images = generates.generate(noise, labels).float()
    return Arrays(
        _scale(opened),
        images=levels(images),
        noise=noise.flatten(1).numpy(),
        **_verdicts(opened, images, labels),
    )


@torch.no_grad()
def generate(opened: Opened, given: dict[str, Any]) -> Arrays:
    """The images (N, H, W, C) of given noise (N, numbers): ways between samples."""
    trained: Generates = opened.ability("Generates")
    shape = trained.noise(1, generator=stream(0, "sample")).shape[1:]
    rows = given.get("noise")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_IMAGES:
        raise UsageError(f"noise (allowed: a list of 1 to {MOST_IMAGES}).")
    noise = torch.stack([numbers(row, "noise", shape.numel(), low=-100, high=100).view(shape) for row in rows])
    labels = _labels(opened, {"label": given.get("label") or 0}, len(noise))
    with opened.run.sampling_precision():
        images = trained.generate(noise, labels).float()
    return Arrays(_scale(opened), images=levels(images), **_verdicts(opened, images, labels))


@torch.no_grad()
def judge(opened: Opened, given: dict[str, Any]) -> Arrays:
    """What the discriminator says of an image that was drawn on the page."""
    opened.ability("Judges")
    image = opened.examples(given.get("pixels"))
    return Arrays(_scale(opened), images=levels(image), **_verdicts(opened, image, _labels(opened, given, 1)))


@torch.no_grad()
def denoise(opened: Opened, given: dict[str, Any]) -> Arrays:
    """The way from noise to new images, (steps + 1, N, H, W, C)."""
    trained: Denoises = opened.ability("Denoises")
    seed, count = whole(given.get("seed"), "seed", 0, MOST_SEED), whole(given.get("num"), "num", 1, MOST_DENOISED)
    with opened.run.sampling_precision():
        way = trained.way(count, labels=_labels(opened, given, count), generator=stream(seed, "sample")).float()
    return Arrays(images=np.stack([levels(images) for images in way]))


def _scale(opened: Opened) -> dict[str, Any]:
    """What the discriminator's output is, where there is one: a probability, a label or a score."""
    if "Judges" not in opened.abilities:
        return {}
    trained: Judges = opened.ability("Judges")
    return {"verdicts": "probability" if trained.judges_by == "logit" else trained.judges_by}


def _verdicts(opened: Opened, images: Tensor, labels: Tensor | None) -> dict[str, np.ndarray]:
    """The discriminator's output for each image: a probability where it is a logit."""
    if "Judges" not in opened.abilities:
        return {}
    trained: Judges = opened.ability("Judges")
    said = trained.judge(trained.inputs(images.clamp(0, 1), generator=stream(0, "inputs")), labels)
    return {"verdicts": (said.sigmoid() if trained.judges_by == "logit" else said).numpy()}
