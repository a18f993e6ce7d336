"""What a trained diffusion model can do."""

from collections.abc import Iterator
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from etude.data.kinds import Images, Kind
from etude.families.diffusion.denoising import way_from_noise
from etude.families.diffusion.recipe import Diffusion
from etude.families.inputs import EXAMPLES_AT_ONCE, signed, unsigned


@final
class TrainedDiffusion:
    """`Samples`, `Generates` and `Denoises`, with the running average of the weights."""

    prior = "normal"

    def __init__(self, recipe: Diffusion, networks: dict[str, nn.Module], kind: Kind) -> None:
        self.recipe, self.kind, self.network = recipe, kind, networks["average"]
        self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (missing in its stubs)
        self.conditional = recipe.conditional

    def inputs(self, examples: Tensor, *, generator: torch.Generator) -> Tensor:
        """See `Trained`: examples without noise."""
        return signed(self.kind, examples)

    def sample(self, num_samples: int, *, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """See `Samples`."""
        noise = self.noise(num_samples, generator=generator)
        given = [None] * num_samples if labels is None else labels.split(EXAMPLES_AT_ONCE)
        parts = zip(noise.split(EXAMPLES_AT_ONCE), given, strict=False)
        return torch.cat([self.generate(part, classes) for part, classes in parts])

    def noise(self, num_samples: int, *, generator: torch.Generator) -> Tensor:
        """See `Generates`."""
        return torch.randn(num_samples, *self.kind.shape, generator=generator)

    def generate(self, noise: Tensor, labels: Tensor | None) -> Tensor:
        """See `Generates`."""
        return self._examples([*self._way(noise, labels)][-1])

    def way(self, num_samples: int, *, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """See `Denoises`."""
        noise = self.noise(num_samples, generator=generator)
        return torch.stack([self._examples(x) for x in (noise, *self._way(noise, labels))])

    def _way(self, noise: Tensor, labels: Tensor | None) -> Iterator[Tensor]:
        classes = None if labels is None else one_hot(labels, self.kind.num_classes).float()
        return way_from_noise(self.recipe, self.network, self.kind, noise, classes)

    def _examples(self, x: Tensor) -> Tensor:
        examples = unsigned(self.kind, x)
        return examples.clamp(0, 1) if isinstance(self.kind, Images) else examples
