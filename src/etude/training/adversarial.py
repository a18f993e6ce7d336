"""How a GAN trains: the discriminator learns to tell real from generated, then the generator to be taken for real."""

import torch
from torch import Tensor, nn

from etude import recipes
from etude.losses import ADVERSARIAL, gradient_penalty
from etude.models import uniform_noise
from etude.runs.streams import stream
from etude.training.learner import Learner, make_optimizer

NUM_PREVIEW_IMAGES = 64


class AdversarialLearner(Learner):
    """Alternating training of a discriminator and a generator (Goodfellow et al. 2014, algorithm 1); final."""

    signed_pixels = True
    loss_names = ("discriminator_loss", "generator_loss")
    preview_each = "report"

    def __init__(self, recipe: recipes.Adversarial, networks: dict[str, nn.Module], device: str) -> None:
        self.recipe, self.networks, self.device = recipe, networks, device
        self.discriminator, self.generator = networks["discriminator"], networks["generator"]
        self.optimizers = {name: make_optimizer(recipe.optimizer, network) for name, network in networks.items()}
        self.loss = ADVERSARIAL[recipe.loss]
        self.streams = {purpose: stream(recipe.seed, purpose, device=device) for purpose in ("noise", "penalty")}
        self.preview_noise = self._noise(NUM_PREVIEW_IMAGES, stream(recipe.seed, "preview", device=device))

    def step(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Discriminator steps, each on a batch of its own and fresh noise; then a generator step on fresh noise."""
        batches = images.split(self.recipe.batch_size)  # each (batch, C, H, W)
        discriminator_losses = torch.stack([self._discriminator_step(real) for real in batches])
        return {"discriminator_loss": discriminator_losses.mean(), "generator_loss": self._generator_step()}

    def _discriminator_step(self, real: Tensor) -> Tensor:
        with torch.no_grad():  # this step must not reach the generator
            generated = self.generator(self._noise(len(real), self.streams["noise"]))
        loss = self.loss.discriminator(self.discriminator(real), self.discriminator(generated))
        if self.recipe.gradient_penalty:
            penalty = gradient_penalty(self.discriminator, real, generated, generator=self.streams["penalty"])
            loss = loss + self.recipe.gradient_penalty * penalty
        self.optimizers["discriminator"].zero_grad()
        loss.backward()
        self.optimizers["discriminator"].step()
        return loss.detach()

    def _generator_step(self) -> Tensor:
        self.discriminator.requires_grad_(False)  # its weights' gradients would be computed and thrown away
        scores = self.discriminator(self.generator(self._noise(self.recipe.batch_size, self.streams["noise"])))
        loss = self.loss.generator(scores)
        self.optimizers["generator"].zero_grad()
        loss.backward()
        self.optimizers["generator"].step()
        self.discriminator.requires_grad_(True)
        return loss.detach()

    @torch.no_grad()
    def preview(self) -> Tensor:
        """What the generator makes of one noise that stays the same all along, (64, C, H, W)."""
        self.generator.eval()
        images = (self.generator(self.preview_noise) + 1) / 2
        self.generator.train()
        return images

    def _noise(self, num_samples: int, generator: torch.Generator) -> Tensor:
        return uniform_noise(num_samples, self.recipe.noise_dim, generator=generator, device=self.device)
