"""What trained networks can do. Metrics and figures ask for these, never for a family or a network.

All tensors are on the CPU. "Inputs" are examples as the networks take them: see `Kind.scaled` and `Trained.inputs`.
"""

from typing import Literal, Protocol

import torch
from torch import Tensor


class Trained(Protocol):
    """What the trained networks of every family can do."""

    @property
    def conditional(self) -> bool:
        """Whether the networks are given the label."""
        ...

    def inputs(self, examples: Tensor, *, generator: torch.Generator) -> Tensor:
        """Turn examples, as they are kept or floats in [0, 1], into what the networks were trained on, float32.

        Random draws, if training made any, come from `generator`.
        """
        ...


class Samples(Trained, Protocol):
    """Draws new examples."""

    def sample(self, num_samples: int, *, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """New examples (num_samples, ...), images in [0, 1]. Conditional networks take `labels` (num_samples,)."""
        ...


class Classifies(Trained, Protocol):
    """Tells classes apart."""

    def logits(self, inputs: Tensor) -> Tensor:
        """Scores before the softmax (N, classes) of inputs (N, ...)."""
        ...


class Encodes(Trained, Protocol):
    """Maps examples to latents and back."""

    @property
    def latent_dim(self) -> int:
        """Numbers that describe an example."""
        ...

    def encode(self, inputs: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Means and log-variances of the latents, (N, latent_dim) each, for inputs (N, ...)."""
        ...

    def decode(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Examples (N, ...), images in [0, 1], for latents (N, latent_dim)."""
        ...


class Bounds(Encodes, Protocol):
    """Bounds the likelihood of an example from below (the ELBO)."""

    @property
    def network(self) -> torch.nn.Module:
        """The autoencoder: `encode(inputs, labels)` and `decode_logits(latents, labels)`."""
        ...

    @property
    def scored_as(self) -> str:
        """bernoulli, or gaussian. Gaussian nats belong to a density and are not comparable."""
        ...

    @property
    def binarize(self) -> Literal["none", "dynamic"]:
        """How pixels became 0 or 1 in training: none, or dynamic."""
        ...

    def reconstruction(self, decoded: Tensor, inputs: Tensor) -> Tensor:
        """−log p(example | latent) as in training, from the decoder's logits: nats per example (N,)."""
        ...

    def pairs(self, decoded: Tensor, inputs: Tensor) -> Tensor:
        """log p(example | latent) for each example and each decoder's logits, (N, M): `reconstruction` for all
        pairs."""
        ...


class Denoises(Samples, Protocol):
    """Draws new examples by taking noise away step by step."""

    def way(self, num_samples: int, *, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """From noise to new examples, (steps + 1, num_samples, ...), images in [0, 1]. The last are those that
        `sample` gives."""
        ...
