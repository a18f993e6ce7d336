"""How a VAE trains: encode, draw a latent, decode, and descend the negative evidence lower bound."""

import torch
import torch.nn.functional as F
from torch import Tensor

from etude import recipes
from etude.data import Split
from etude.losses import bernoulli_from_logits, gaussian, kl_to_standard_normal, negative_elbo
from etude.models import VAE
from etude.runs.inputs import IMAGES_AT_ONCE, network_inputs
from etude.speed.execution import Execution
from etude.streams import stream
from etude.training.descent import Descent, Losses, Networks
from etude.training.learner import Batch, Learner, make_optimizer

NUM_PREVIEW_RECONSTRUCTIONS, NUM_PREVIEW_SAMPLES = 16, 32


class VariationalLearner(Learner[recipes.Variational]):
    """Training of a VAE, conditional or not (Kingma and Welling 2014, equation 10 with one sample); final."""

    loss_names = ("loss_nats", "reconstruction_nats", "kl_nats")
    best_by = "validation/loss_nats"

    def __init__(self, recipe: recipes.Variational, network: VAE, test: Split, execution: Execution) -> None:
        self.recipe, self.settings, self.network = recipe, recipe.optimizer, network
        self.execution, device = execution, execution.device
        self.networks = {recipe.network: network}
        self.optimizers = {recipe.network: make_optimizer(recipe.optimizer, network)}
        purposes = ("latent", "binarize") if recipe.binarize == "dynamic" else ("latent",)
        self.streams = {purpose: stream(recipe.seed, purpose, device=device) for purpose in purposes}
        self.conditional = recipe.network == "cvae"
        self.beta = torch.tensor(float(recipe.beta), device=device)
        first = torch.arange(NUM_PREVIEW_RECONSTRUCTIONS) % len(test)  # a small split begins anew
        self.preview_split = test.take(first).to(device)

    def draw(self) -> Batch:
        """β, (); noise (batch, latents), standard normal; to binarise, thresholds (batch, C, H, W) in [0, 1)."""
        draws = {"noise": self._noise(self.recipe.batch_size, self.streams["latent"]), "beta": self.beta}
        if self.recipe.binarize == "dynamic":
            shape = self.recipe.batch_size, *self.network.image_shape
            draws["thresholds"] = torch.rand(shape, generator=self.streams["binarize"], device=self.execution.device)
        return draws

    def _noise(self, num_images: int, generator: torch.Generator) -> Tensor:
        return torch.randn(num_images, self.recipe.latent_dim, generator=generator, device=self.execution.device)

    def step(self, batch: Batch, descend: Descent) -> Losses:
        """One gradient step on the negative evidence lower bound of a batch."""
        images, classes = batch["images"], self.network.num_classes
        # Encoded here: of indices the network looks whether they are in range, which a step as one graph cannot.
        labels = None if classes is None else F.one_hot(batch["labels"], classes).to(images.dtype)
        if "thresholds" in batch:
            images = (batch["thresholds"] < images).to(images.dtype)

        def losses(networks: Networks) -> Losses:
            with self.execution.autocast():
                logits, mean, logvar = networks[self.recipe.network](images, labels, noise=batch["noise"])
            return self._terms(images, logits.float(), mean.float(), logvar.float(), beta=batch["beta"])

        return descend(self.recipe.network, losses)

    def _terms(
        self, images: Tensor, logits: Tensor, mean: Tensor, logvar: Tensor, *, beta: Tensor
    ) -> dict[str, Tensor]:
        """The bound and its two parts, mean over the batch, in nats per image."""
        if self.recipe.reconstruction == "bernoulli":
            reconstruction = bernoulli_from_logits(logits, images)  # (batch,)
        else:
            reconstruction = gaussian(logits.sigmoid(), images)  # (batch,)
        kl = kl_to_standard_normal(mean, logvar)  # (batch, latents)
        return {
            "loss_nats": negative_elbo(reconstruction, kl, beta=beta, free_bits_nats=self.recipe.free_bits_nats),
            "reconstruction_nats": reconstruction.mean(),
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
        generator = stream(self.recipe.seed, "evaluation", device=self.execution.device)  # the same draws each time
        totals = torch.zeros(len(self.loss_names))
        for images, labels in zip(split.images.split(IMAGES_AT_ONCE), split.labels.split(IMAGES_AT_ONCE), strict=True):
            images = network_inputs(self.recipe, images, generator=generator)
            noise = self._noise(len(images), generator)
            outputs = self.network(images, labels if self.conditional else None, noise=noise)
            terms = self._terms(images, *outputs, beta=self.beta)
            totals += len(images) * torch.stack([terms[name] for name in self.loss_names]).cpu()
        return [(name, total / len(split)) for name, total in zip(self.loss_names, totals.tolist(), strict=True)]

    @torch.no_grad()
    def preview(self) -> Tensor:
        """Four rows of samples from the prior, then two rows of test images, each above its reconstructions."""
        generator = stream(self.recipe.seed, "preview", device=self.execution.device)  # the same draws each time
        z = self._noise(NUM_PREVIEW_SAMPLES, generator)
        images = network_inputs(self.recipe, self.preview_split.images, generator=generator)
        labels = self.preview_split.labels if self.conditional else None
        classes = self.network.num_classes
        samples = self.network.decode(
            z, torch.arange(len(z), device=self.execution.device) % classes if classes else None
        )
        reconstructions = self.network.decode(self.network.encode(images, labels)[0], labels)
        pairs = torch.stack([images.unflatten(0, (-1, 8)), reconstructions.unflatten(0, (-1, 8))], dim=1)
        return torch.cat([samples, pairs.flatten(0, 2)])
