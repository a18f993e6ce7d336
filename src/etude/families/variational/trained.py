"""What a trained variational autoencoder can do."""

import math
from typing import final

import torch
from torch import Tensor, nn

from etude.data.kinds import Images, Kind, Table
from etude.families.inputs import EXAMPLES_AT_ONCE, scaled
from etude.families.variational.own import OwnAutoencoder
from etude.families.variational.recipe import Variational
from etude.losses import bernoulli_from_logits, gaussian
from etude.metrics.likelihood import binarize
from etude.metrics.quadrature import bernoulli_pairs, gaussian_pairs
from etude.models import VAE, TableVAE

TABLE_DEVIATION = 0.1
"""Standard deviation of the decoder for a table's numbers, which are standardised."""


def reconstruction(recipe: Variational, kind: Kind, decoded: Tensor, inputs: Tensor) -> Tensor:
    """−log p(example | latent) from the decoder's output (N, ...), nats per example (N,)."""
    if isinstance(kind, Table):
        nats = gaussian(decoded / TABLE_DEVIATION, inputs / TABLE_DEVIATION)
        return nats + kind.num_features * math.log(TABLE_DEVIATION)
    if recipe.reconstruction == "bernoulli":
        return bernoulli_from_logits(decoded, inputs)
    return gaussian(decoded.sigmoid(), inputs)


def decoded(network: VAE | TableVAE | OwnAutoencoder, kind: Kind, latents: Tensor, labels: Tensor | None) -> Tensor:
    """Examples (N, ...) for latents (N, latent_dim): images in [0, 1]; features in their own units."""
    if isinstance(kind, Table):
        return kind.unscaled(network.decode_logits(latents, labels))
    return network.decode_logits(latents, labels).sigmoid()


def network_inputs(recipe: Variational, kind: Kind, examples: Tensor, *, generator: torch.Generator) -> Tensor:
    """Examples as the networks were trained on them: in [0, 1], or 0 and 1 as drawn from `generator`.

    Images that are already binary stay as they are.
    """
    inputs = scaled(kind, examples)
    return inputs if recipe.binarize == "none" else binarize(inputs, recipe.binarize, seed=generator)


@final
class TrainedVariational:
    """`Samples`, `Encodes` and `Bounds`."""

    def __init__(self, recipe: Variational, networks: dict[str, nn.Module], kind: Kind) -> None:
        (network,) = networks.values()
        assert isinstance(network, VAE | TableVAE | OwnAutoencoder)
        self.recipe, self.kind, self.network = recipe, kind, network
        self.latent_dim, self.conditional = recipe.latent_dim, network.num_classes is not None
        self.scored_as = recipe.reconstruction if isinstance(kind, Images) else "gaussian"
        self.binarize = recipe.binarize

    def inputs(self, examples: Tensor, *, generator: torch.Generator) -> Tensor:
        """See `Trained`."""
        return network_inputs(self.recipe, self.kind, examples, generator=generator)

    def sample(self, num_samples: int, *, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """See `Samples`."""
        latents = torch.randn(num_samples, self.latent_dim, generator=generator)
        given = [None] * num_samples if labels is None else labels.split(EXAMPLES_AT_ONCE)
        return torch.cat([self.decode(z, y) for z, y in zip(latents.split(EXAMPLES_AT_ONCE), given, strict=False)])

    def encode(self, inputs: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `Encodes`."""
        return self.network.encode(inputs, labels)

    def decode(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """See `Encodes`."""
        return decoded(self.network, self.kind, latents, labels)

    def reconstruction(self, decoded: Tensor, inputs: Tensor) -> Tensor:
        """See `Bounds`."""
        return reconstruction(self.recipe, self.kind, decoded, inputs)

    def pairs(self, decoded: Tensor, inputs: Tensor) -> Tensor:
        """See `Bounds`."""
        if isinstance(self.kind, Table):
            nats = gaussian_pairs(decoded / TABLE_DEVIATION, inputs / TABLE_DEVIATION)
            return nats - self.kind.num_features * math.log(TABLE_DEVIATION)
        if self.recipe.reconstruction == "bernoulli":
            return bernoulli_pairs(decoded, inputs)
        return gaussian_pairs(decoded.sigmoid(), inputs)
