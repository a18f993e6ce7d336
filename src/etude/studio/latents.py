"""What the page asks of networks that encode: decoded latents, the encoded test split, styles."""

from typing import Any

import torch

from etude.families.abilities import Bounds, Encodes
from etude.metrics.bayes import class_log_likelihoods, class_log_posterior
from etude.streams import stream
from etude.studio.answers import Arrays
from etude.studio.opened import Opened, latents, levels, whole

MOST_ENCODED = 5000
BAYES_LATENTS = 64
"""Latents per class in the bound of an image's likelihood."""


@torch.no_grad()
def decode(opened: Opened, given: dict[str, Any]) -> Arrays:
    """The images of latents z (N, latent_dim), with a label for all."""
    trained: Encodes = opened.ability("Encodes")
    z, label = latents(given.get("z"), trained.latent_dim), opened.label(given.get("label"))
    return Arrays(images=levels(trained.decode(z, None if label is None else label.expand(len(z)))))


@torch.no_grad()
def scatter(opened: Opened) -> Arrays:
    """Means of the latents of the test split, (N, latent_dim), its labels, and its rows."""
    trained: Encodes = opened.ability("Encodes")
    if "scatter" not in opened.kept:
        run, test = opened.run, opened.test
        rows = torch.linspace(0, len(test) - 1, min(len(test), MOST_ENCODED)).round().long()
        examples, labels = test[run.kind.column][rows], test.labels[rows]
        means = run.encode(examples, labels=labels if run.conditional else None)
        opened.kept["scatter"] = Arrays(
            {"latent_dim": trained.latent_dim},
            means=means.numpy(),
            labels=labels.to(torch.int32).numpy(),
            rows=rows.to(torch.int32).numpy(),
        )
    return opened.kept["scatter"]


@torch.no_grad()
def encode(opened: Opened, given: dict[str, Any]) -> Arrays:
    """An image of the page or of the test split: its latent (1, latent_dim), its deviations, its reconstruction."""
    trained: Encodes = opened.ability("Encodes")
    image, label = _image(opened, given)
    inputs = opened.run.inputs(image)
    mean, logvar = trained.encode(inputs, label)
    return Arrays(
        {"label": None if label is None else int(label)},
        mean=mean.numpy(),
        deviation=(logvar / 2).exp().numpy(),
        images=levels([inputs[0], trained.decode(mean, label)[0]]),
    )


@torch.no_grad()
def styles(opened: Opened, given: dict[str, Any]) -> Arrays:
    """The style of an image in every class, (classes, H, W, C), and the classes' probabilities by Bayes' rule."""
    trained: Bounds = opened.ability("Bounds")
    image, label = _image(opened, given)
    inputs = opened.run.inputs(image)
    num_classes = len(opened.run.class_names)
    mean, _ = trained.encode(inputs, label)
    if not opened.run.conditional:
        return Arrays(images=levels(trained.decode(mean, None)))
    decoded = trained.decode(mean.expand(num_classes, -1), torch.arange(num_classes))
    likelihoods = class_log_likelihoods(
        trained.network, inputs, num_classes=num_classes, num_samples=BAYES_LATENTS,
        seed=stream(0, "bayes"), reconstruction=trained.reconstruction,
    )  # fmt: skip
    posterior = class_log_posterior(likelihoods).exp()
    return Arrays(images=levels(decoded), probabilities=posterior[0].float().numpy())


def _image(opened: Opened, given: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The image (1, C, H, W) and its label (1,): drawn or dropped on the page, or a row of the test split."""
    if given.get("row") is None:
        return opened.examples(given.get("pixels")), opened.label(given.get("label"))
    row = whole(given["row"], "row", 0, len(opened.test) - 1)
    label = opened.test.labels[row : row + 1] if opened.run.conditional else None
    return opened.test[opened.run.kind.column][row : row + 1], label
