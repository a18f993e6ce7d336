"""What the trained networks of a GAN can do."""

from typing import final

import torch
from torch import Tensor, nn

from etude.data.kinds import Kind
from etude.families.adversarial.recipe import Adversarial
from etude.families.inputs import EXAMPLES_AT_ONCE, signed, unsigned
from etude.families.own_networks import takes_labels
from etude.models import uniform_noise

OUTPUTS = {"nonsaturating": "logit", "minimax": "logit", "least_squares": "label"}
"""What a discriminator's output is, by the loss that it was trained with; otherwise a score without a scale."""


@final
class TrainedAdversarial:
    """`Samples`, `Generates` and `Judges`."""

    prior = "uniform"

    def __init__(self, recipe: Adversarial, networks: dict[str, nn.Module], kind: Kind) -> None:
        self.recipe, self.kind, self.generator = recipe, kind, networks["generator"]
        self.discriminator, self.judges_by = networks["discriminator"], OUTPUTS.get(recipe.loss, "score")
        self.conditional = takes_labels(self.generator.forward)

    def inputs(self, examples: Tensor, *, generator: torch.Generator) -> Tensor:
        """See `Trained`: what the discriminator takes."""
        return signed(self.kind, examples)

    def sample(self, num_samples: int, *, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """See `Samples`."""
        noise = self.noise(num_samples, generator=generator)
        given = [None] * num_samples if labels is None else labels.split(EXAMPLES_AT_ONCE)
        parts = zip(noise.split(EXAMPLES_AT_ONCE), given, strict=False)
        return torch.cat([self.generate(part, label) for part, label in parts])

    def noise(self, num_samples: int, *, generator: torch.Generator) -> Tensor:
        """See `Generates`."""
        return uniform_noise(num_samples, self.recipe.noise_dim, generator=generator)

    def generate(self, noise: Tensor, labels: Tensor | None) -> Tensor:
        """See `Generates`."""
        return unsigned(self.kind, self.generator(noise, *(() if labels is None else (labels,))))

    def judge(self, inputs: Tensor, labels: Tensor | None) -> Tensor:
        """See `Judges`."""
        return self.discriminator(inputs, *(() if labels is None else (labels,))).flatten()
