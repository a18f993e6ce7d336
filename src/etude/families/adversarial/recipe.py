"""The recipes of generative adversarial networks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from etude.families.ranges import Range, Rule
from etude.families.recipe import Optimizer, Recipe
from etude.user_code import is_spec

AdversarialLoss = Literal["nonsaturating", "least_squares", "minimax", "wasserstein", "hinge"]
MOST_DIMENSIONS = 4096
"""Limit for a noise vector. A larger number is a typing mistake, and would fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Adversarial(Recipe):
    """A generative adversarial network: a discriminator and a generator trained in turn (Goodfellow et al. 2014)."""

    family: ClassVar[str] = "adversarial"

    code_fields: ClassVar[tuple[str, ...]] = ("generator", "discriminator")

    network: Literal["gan", "dcgan"]
    """gan: fully connected; dcgan: convolutional with batch-norm in the generator (Radford et al. 2016)."""
    generator: str | None = None
    """FILE.py:NAME, a generator of your own in place of the network's (docs/training.md)."""
    discriminator: str | None = None
    """FILE.py:NAME, a discriminator of your own in place of the network's."""
    loss: AdversarialLoss = "nonsaturating"
    """The adversarial loss; both networks use their half of it."""
    noise_dim: Annotated[int, Range(1, MOST_DIMENSIONS)] = 96
    """Numbers of uniform noise in [-1, 1] that the generator maps to an image."""
    discriminator_steps: Annotated[int, Range(1)] = 1
    """Discriminator steps per generator step; each takes a batch of its own."""
    gradient_penalty: Annotated[float, Range(0)] = 0.0
    """Weight of the penalty (|gradient| - 1)^2 between real and generated images (Gulrajani et al. 2017); 0: none."""

    @property
    def examples_per_step(self) -> int:
        """Images of the discriminator's batches between two generator steps."""
        return self.batch_size * self.discriminator_steps

    @property
    def differentiates_twice(self) -> bool:
        """With a gradient penalty."""
        return self.gradient_penalty > 0

    def rules(self) -> Iterator[Rule]:
        """The networks are given as FILE.py:NAME, and a batch has at least two images."""
        for field in self.code_fields:
            text = getattr(self, field)
            yield text is None or is_spec(text), field, "FILE.py:NAME"
        yield self.batch_size >= 2, "batch_size", "at least 2 for a GAN (batch-norm needs two images)"


GAN = Adversarial(
    name="gan",
    about="fully connected GAN, non-saturating loss (Goodfellow et al. 2014)",
    network="gan",
    epochs=10,
    batch_size=128,
    train_images=50_000,
    optimizer=Optimizer(name="adam", learning_rate=1e-3, beta1=0.5, beta2=0.999),
)
LSGAN = replace(
    GAN,
    name="lsgan",
    about="fully connected GAN, least-squares loss (Mao et al. 2017)",
    loss="least_squares",
)
DCGAN = replace(
    GAN,
    name="dcgan",
    about="convolutional GAN, non-saturating loss (Radford et al. 2016)",
    network="dcgan",
    epochs=5,
)
WGAN_GP = replace(
    GAN,
    name="wgan-gp",
    about="fully connected Wasserstein GAN with gradient penalty (Gulrajani et al. 2017)",
    loss="wasserstein",
    gradient_penalty=10.0,
    discriminator_steps=5,
    optimizer=Optimizer(name="adam", learning_rate=1e-4, beta1=0.0, beta2=0.9),
)
RECIPES = (GAN, LSGAN, DCGAN, WGAN_GP)
