"""How a VAE trains: encode, draw a latent, decode, and minimise the negative evidence lower bound."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.compute import Execution
from etude.data import Dataset, Images, Split, Table
from etude.families.descent import Descent, Losses, Networks
from etude.families.inputs import EXAMPLES_AT_ONCE
from etude.families.learner import Batch, Learner
from etude.families.preview import ImageGrid, Preview, points
from etude.families.variational.own import OwnAutoencoder
from etude.families.variational.recipe import Variational
from etude.families.variational.trained import decoded, network_inputs, reconstruction
from etude.losses import kl_to_standard_normal, negative_elbo
from etude.models import VAE, TableVAE
from etude.streams import stream

NUM_PREVIEW_RECONSTRUCTIONS, NUM_PREVIEW_SAMPLES, NUM_PREVIEW_POINTS = 16, 32, 500


class VariationalLearner(Learner[Variational]):
    """Training of a VAE, conditional or not (Kingma and Welling 2014, equation 10 with one sample); final."""

    loss_names = ("loss_nats", "reconstruction_nats", "kl_nats")
    best_by = "validation/loss_nats"

    def __init__(
        self, recipe: Variational, networks: dict[str, nn.Module], dataset: Dataset, execution: Execution
    ) -> None:
        super().__init__(recipe, networks, dataset, execution)
        ((self.name, network),) = networks.items()
        assert isinstance(network, VAE | TableVAE | OwnAutoencoder)
        self.network, device, test = network, self.device, dataset.test
        purposes = ("latent", "binarize") if recipe.binarize == "dynamic" else ("latent",)
        self.streams = {purpose: stream(recipe.seed, purpose, device=device) for purpose in purposes}
        self.conditional = network.num_classes is not None
        self.beta = torch.tensor(float(recipe.beta), device=device)
        shown = NUM_PREVIEW_RECONSTRUCTIONS if isinstance(self.kind, Images) else NUM_PREVIEW_POINTS
        first = torch.arange(shown) % len(test)  # a small split starts over
        self.preview_split = test.take(first).to(device)

    def draws(self) -> Batch:
        """β, (); noise (batch, latents), standard normal; if pixels are binarised, thresholds (batch, C, H, W) in [0,
        1)."""
        draws = {"noise": self._noise(self.recipe.batch_size, self.streams["latent"]), "beta": self.beta}
        if self.recipe.binarize == "dynamic":
            shape = self.recipe.batch_size, *self.kind.shape
            draws["thresholds"] = torch.rand(shape, generator=self.streams["binarize"], device=self.device)
        return draws

    def _noise(self, num_images: int, generator: torch.Generator) -> Tensor:
        return torch.randn(num_images, self.recipe.latent_dim, generator=generator, device=self.device)

    def step(self, batch: Batch, descend: Descent) -> Losses:
        """One gradient step on the negative evidence lower bound of a batch."""
        images, classes = batch[self.kind.column], self.network.num_classes
        # Encoded here: for indices the network checks whether they are in range, and a step compiled as one graph
        # cannot.
        labels = None if classes is None else F.one_hot(batch["labels"], classes).to(images.dtype)
        if "thresholds" in batch:
            images = (batch["thresholds"] < images).to(images.dtype)

        def losses(networks: Networks) -> Losses:
            with self.autocast():
                logits, mean, logvar = networks[self.name](images, labels, noise=batch["noise"])
            return self._terms(images, logits.float(), mean.float(), logvar.float(), beta=batch["beta"])

        return descend(self.name, losses)

    def _terms(
        self, images: Tensor, logits: Tensor, mean: Tensor, logvar: Tensor, *, beta: Tensor
    ) -> dict[str, Tensor]:
        """The bound and its two terms, means over the batch, in nats per image."""
        nats = reconstruction(self.recipe, self.kind, logits, images)  # (batch,)
        kl = kl_to_standard_normal(mean, logvar)  # (batch, latents)
        return {
            "loss_nats": negative_elbo(nats, kl, beta=beta, free_bits_nats=self.recipe.free_bits_nats),
            "reconstruction_nats": nats.mean(),
            "kl_nats": kl.sum(dim=1).mean(),
        }

    def evaluate_epoch(self, validation: Split, test: Split) -> dict[str, float]:
        """The three losses on the validation split, if any, and on the test split."""
        splits = {"validation": validation, "test": test}
        return {
            f"{name}/{key}": value
            for name, split in splits.items()
            if len(split)
            for key, value in self._mean_terms(split)
        }

    @torch.no_grad()
    def _mean_terms(self, split: Split) -> list[tuple[str, float]]:
        generator = stream(self.recipe.seed, "evaluation", device=self.device)  # the same draws each time
        totals = torch.zeros(len(self.loss_names))
        parts = (split[name].split(EXAMPLES_AT_ONCE) for name in (self.kind.column, "labels"))
        for images, labels in zip(*parts, strict=True):
            images = network_inputs(self.recipe, self.kind, images, generator=generator)
            noise = self._noise(len(images), generator)
            outputs = self.network(images, labels if self.conditional else None, noise=noise)
            terms = self._terms(images, *outputs, beta=self.beta)
            totals += len(images) * torch.stack([terms[name] for name in self.loss_names]).cpu()
        return [(name, total / len(split)) for name, total in zip(self.loss_names, totals.tolist(), strict=True)]

    @torch.no_grad()
    def preview(self) -> Preview:
        """For images: four rows of samples from the prior, then two rows of test images, each above its reconstruction.
        For a table: samples over real rows."""
        generator = stream(self.recipe.seed, "preview", device=self.device)  # the same draws each time
        if isinstance(self.kind, Table):
            z = self._noise(NUM_PREVIEW_POINTS, generator)
            return points(self.kind, decoded(self.network, self.kind, z, self._turns(z)), self.preview_split)
        z = self._noise(NUM_PREVIEW_SAMPLES, generator)
        images = network_inputs(self.recipe, self.kind, self.preview_split[self.kind.column], generator=generator)
        labels = self.preview_split.labels if self.conditional else None
        samples = decoded(self.network, self.kind, z, self._turns(z))
        reconstructions = decoded(self.network, self.kind, self.network.encode(images, labels)[0], labels)
        pairs = torch.stack([images.unflatten(0, (-1, 8)), reconstructions.unflatten(0, (-1, 8))], dim=1)
        return ImageGrid(torch.cat([samples, pairs.flatten(0, 2)]))

    def _turns(self, z: Tensor) -> Tensor | None:
        """The classes in turn, one label per latent, if the network takes labels."""
        classes = self.network.num_classes
        return torch.arange(len(z), device=self.device) % classes if classes else None
