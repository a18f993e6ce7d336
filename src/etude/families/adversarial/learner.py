"""How a GAN trains: the discriminator learns to tell real from generated, then the generator learns to fool it."""

from functools import partial

import torch
from torch import Tensor, nn

from etude.compute import Execution
from etude.data import Dataset, Images, Table
from etude.families.adversarial.recipe import Adversarial
from etude.families.descent import Descent, Losses, Networks
from etude.families.inputs import signed, unsigned
from etude.families.learner import Batch, Learner
from etude.families.own_networks import takes_labels
from etude.families.preview import ImageGrid, Preview, points
from etude.losses import ADVERSARIAL, gradient_penalty
from etude.models import uniform_noise
from etude.streams import stream

NUM_PREVIEW_IMAGES, NUM_PREVIEW_POINTS = 64, 500


class AdversarialLearner(Learner[Adversarial]):
    """Alternating training of a discriminator and a generator (Goodfellow et al. 2014, algorithm 1); final."""

    loss_names = ("discriminator_loss", "generator_loss")
    preview_each = "report"
    purposes = ("noise", "penalty")

    def __init__(
        self, recipe: Adversarial, networks: dict[str, nn.Module], dataset: Dataset, execution: Execution
    ) -> None:
        super().__init__(recipe, networks, dataset, execution)
        device = self.device
        self.discriminator, self.generator = networks["discriminator"], networks["generator"]
        self.conditional = takes_labels(self.generator.forward)
        self.loss = ADVERSARIAL[recipe.loss]
        shown = NUM_PREVIEW_IMAGES if isinstance(self.kind, Images) else NUM_PREVIEW_POINTS
        self.shown = dataset.test.take(torch.arange(min(len(dataset.test), NUM_PREVIEW_POINTS)))
        self.preview_noise = self._noise(shown, stream(recipe.seed, "preview", device=device))

    def scaled(self, examples: Tensor) -> Tensor:
        """Images in [-1, 1]."""
        return signed(self.kind, examples)

    def draws(self) -> Batch:
        """Noise for each discriminator step and for the generator's, (steps + 1, batch, noise_dim); mixing weights."""
        steps, size = self.recipe.discriminator_steps, self.recipe.batch_size
        noise = self._noise((steps + 1) * size, self.streams["noise"]).unflatten(0, (steps + 1, size))
        if not self.recipe.gradient_penalty:
            return {"noise": noise}
        mixing = torch.rand(steps, size, generator=self.streams["penalty"], device=self.device)
        return {"noise": noise, "mixing": mixing}

    def step(self, batch: Batch, descend: Descent) -> Losses:
        """Take the discriminator's steps, each on its own batch and fresh noise, then the generator's step on fresh
        noise."""
        *discriminator_noise, generator_noise = batch["noise"]  # (batch, noise_dim) each
        steps, size = len(discriminator_noise), self.recipe.batch_size
        # A generated example has the label of a real one of the same step. Without labels, the networks get none.
        labels = [(each,) for each in batch["labels"].split(size)] if self.conditional else [()] * steps

        def discriminator_loss(
            networks: Networks, real: Tensor, given: tuple[Tensor, ...], noise: Tensor, mixing: Tensor | None
        ) -> Losses:
            def discriminator(examples: Tensor) -> Tensor:
                return networks["discriminator"](examples, *given)

            with self.autocast():
                generated = networks["generator"](noise, *given).float()  # (batch, C, H, W)
                real_scores, generated_scores = (discriminator(x).float() for x in (real, generated))
            loss = self.loss.discriminator(real_scores, generated_scores)
            if mixing is not None:
                penalty = gradient_penalty(discriminator, real, generated, mixing=mixing)
                loss = loss + self.recipe.gradient_penalty * penalty
            return {"loss": loss}

        def generator_loss(networks: Networks) -> Losses:
            with self.autocast():
                scores = networks["discriminator"](networks["generator"](generator_noise, *labels[-1]), *labels[-1])
            return {"loss": self.loss.generator(scores.float())}

        losses = [
            descend("discriminator", partial(discriminator_loss, real=real, given=given, noise=noise, mixing=mixing))[
                "loss"
            ]
            for real, given, noise, mixing in zip(
                batch[self.kind.column].split(size),
                labels,
                discriminator_noise,
                batch.get("mixing", [None] * steps),
                strict=True,
            )
        ]
        generator_losses = descend("generator", generator_loss)
        return {"discriminator_loss": torch.stack(losses).mean(), "generator_loss": generator_losses["loss"]}

    @torch.no_grad()
    def preview(self) -> Preview:
        """What the generator makes of one fixed noise: 64 images, or points over real ones."""
        self.generator.eval()
        given = (torch.arange(len(self.preview_noise), device=self.device) % self.kind.num_classes,)
        made = self.generator(self.preview_noise, *(given if self.conditional else ()))
        images = unsigned(self.kind, made)
        self.generator.train()
        return points(self.kind, images, self.shown) if isinstance(self.kind, Table) else ImageGrid(images)

    def _noise(self, num_samples: int, generator: torch.Generator) -> Tensor:
        return uniform_noise(num_samples, self.recipe.noise_dim, generator=generator, device=self.device)
