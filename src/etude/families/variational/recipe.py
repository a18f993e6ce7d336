"""The recipes of variational autoencoders."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from etude.families.ranges import Range
from etude.families.recipe import Optimizer, Recipe

Reconstruction = Literal["bernoulli", "gaussian"]
TrainingBinarize = Literal["none", "dynamic"]
MOST_DIMENSIONS = 4096
"""Limit for a latent vector. A larger number is a typing mistake, and would fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Variational(Recipe):
    """A variational autoencoder, trained on the evidence lower bound (Kingma and Welling 2014)."""

    family: ClassVar[str] = "variational"
    changed_together: ClassVar[tuple[str, ...]] = ("beta",)

    networks: ClassVar[tuple[str, ...]] = ("vae", "cvae")
    network: str
    """vae: convolutional encoder and decoder; cvae: the same, both given the label; or FILE.py:NAME, a module of your
    own with encode and decode (docs/training.md)."""
    latent_dim: Annotated[int, Range(1, MOST_DIMENSIONS)] = 2
    """The number of latents per image."""
    reconstruction: Reconstruction = "bernoulli"
    """How a pixel is scored: bernoulli (binary cross-entropy) or gaussian (squared error, unit variance). Numbers of a
    table are always gaussian, with a tenth of their own standard deviation."""
    binarize: TrainingBinarize = "none"
    """none: pixels are grey; dynamic: 0 or 1, drawn by grey value at each step (Salakhutdinov and Murray 2008)."""
    beta: Annotated[float, Range(0)] = 1.0
    """Weight of the KL term (Higgins et al. 2017); 1 is the evidence lower bound, 0 a plain autoencoder."""
    free_bits_nats: Annotated[float, Range(0)] = 0.0
    """KL in nats per latent that costs nothing (Kingma et al. 2016)."""

    @property
    def num_latents(self) -> int:
        """The dimension of the latents."""
        return self.latent_dim

    def scoring(self, binarize: str | None = None) -> tuple[str, ...]:
        """Likelihood and binarisation."""
        binarize = binarize or self.binarize
        drawn = () if binarize == "none" else (f"{binarize} binarisation",)
        return (f"{self.reconstruction} reconstruction", *drawn)


VAE = Variational(
    name="vae",
    about="variational autoencoder with 2 latents (Kingma and Welling 2014)",
    network="vae",
    epochs=10,
    batch_size=32,
    validation_images=0,
    optimizer=Optimizer(name="adam", learning_rate=1e-3),
)
BETA_VAE = replace(
    VAE,
    name="beta-vae",
    about="variational autoencoder with 10 latents, KL term weighted 4-fold (Higgins et al. 2017)",
    latent_dim=10,
    beta=4.0,
)
CVAE = replace(
    VAE,
    name="cvae",
    about="variational autoencoder given the label (Sohn et al. 2015)",
    network="cvae",
)
RECIPES = (VAE, BETA_VAE, CVAE)
