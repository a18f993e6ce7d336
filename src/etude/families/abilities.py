"""What trained networks can do. Metrics and figures ask for these, never for a family or a network.

All tensors are on the CPU. "Inputs" are examples as the networks take them: see `Kind.scaled` and `Trained.inputs`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from etude.data import Split
from etude.data.kinds import TokenPairs


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


class Generates(Samples, Protocol):
    """Draws new examples as a function of noise."""

    @property
    def prior(self) -> Literal["normal", "uniform"]:
        """The distribution of each number of the noise: standard normal, or uniform in [-1, 1]."""
        ...

    def noise(self, num_samples: int, *, generator: torch.Generator) -> Tensor:
        """Noise (num_samples, ...) as in training."""
        ...

    def generate(self, noise: Tensor, labels: Tensor | None) -> Tensor:
        """The examples of noise (N, ...), at most `EXAMPLES_AT_ONCE`. Conditional networks take `labels` (N,)."""
        ...


class Judges(Trained, Protocol):
    """Tells real examples from generated ones."""

    def judge(self, inputs: Tensor, labels: Tensor | None) -> Tensor:
        """The discriminator's output (N,) for inputs (N, ...): more for what looks real."""
        ...

    @property
    def judges_by(self) -> str:
        """What the output is: logit (0 is undecided), label (0 is generated, 1 is real) or score (no scale)."""
        ...


class Classifies(Trained, Protocol):
    """Tells classes apart."""

    def logits(self, inputs: Tensor) -> Tensor:
        """Scores before the softmax (N, classes) of inputs (N, ...)."""
        ...


By = Literal["gradient", "occlusion"]
"""How a token's share in a decision is found: gradient times input, or the change when <unk> takes its place."""


class Explains(Classifies, Protocol):
    """Tells which tokens of a sentence moved a decision."""

    def contributions(self, inputs: Tensor, labels: Tensor, *, by: By) -> Tensor:
        """What each token of inputs (N, L) adds to the log-odds of a class (N,): nats (N, L), 0 at pads."""
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


class TokenScores(NamedTuple):
    """What a translator says of each token of given translations, all (N, T − 1): BOS is not told."""

    nats: Tensor
    """−log p of the token after those before it; 0 at pads."""
    right: Tensor
    """Whether it is the most likely one."""
    real: Tensor
    """False at pads."""

    @property
    def mean_nats(self) -> float:
        """Over all tokens of all sentences."""
        return (self.nats.sum() / self.real.sum()).item()

    @property
    def perplexity(self) -> float:
        """e to the mean."""
        return math.exp(self.mean_nats)

    @property
    def accuracy(self) -> float:
        """Share of the tokens that are the most likely ones."""
        return ((self.right & self.real).sum().double() / self.real.sum()).item()


@dataclass(frozen=True, kw_only=True)
class Translation:
    """A sentence and what a translator made of it."""

    source: str
    translation: str
    source_tokens: tuple[str, ...]
    """Those that the translator read, the sentence's end among them."""
    tokens: tuple[str, ...]
    """Those that it wrote, the sentence's end among them if it came to one."""
    alignment: Tensor | None
    """How much it looked at each source token as it wrote each token: (tokens, source tokens), rows of sum 1; None
    without attention."""


class Translates(Trained, Protocol):
    """Reads sentences and writes others."""

    @property
    def kind(self) -> TokenPairs:
        """Both vocabularies."""
        ...

    def translate(self, texts: Sequence[str], *, beam: int | None = None) -> list[Translation]:
        """The translation of each text; `beam` sentences are kept while one is written, as the recipe says by default.

        With 1 it takes the most likely token each time.
        """
        ...

    def token_scores(self, source: Tensor, target: Tensor) -> TokenScores:
        """What it says of targets (N, T), given sources (N, S), with the right tokens before each one."""
        ...

    def last_states(self, source: Tensor) -> Tensor | None:
        """The last state (N, D) of its encoder on sources (N, S); None where it has no such state."""
        ...


class Told(NamedTuple):
    """What a network tells of a running text, one entry for each symbol that is asked for (M,)."""

    rows: Tensor
    """Which rows of the text they are, ascending: all, where nothing else is asked."""
    nats: Tensor
    """−log p of what was to be told, float64."""
    right: Tensor
    """Whether that is the most likely one."""


class Predicts(Trained, Protocol):
    """Tells the next symbol of a running text."""

    def tell(self, text: Split) -> Told:
        """What it tells after each symbol of a text, columns as of the kind `RunningText`, of which it has read all up
        to there.
        """
        ...

    def last_nats(self, symbols: Tensor, targets: Tensor, *, cut: bool) -> Tensor:
        """−log p of targets (N,) after symbols (N, T), whole chunks, with gradients: (N,).

        With `cut`, gradients end where they do in training; otherwise they go as far back as the state.
        """
        ...

    @property
    def chunk(self) -> int:
        """Symbols of a chunk in training."""
        ...

    def write(self, prompt: str, num_symbols: int, *, temperature: float, generator: torch.Generator) -> str:
        """A text that begins with the prompt and goes on for some symbols.

        Scores are divided by the temperature before they become probabilities; at 0 the most likely symbol is taken.
        """
        ...


ABILITIES: dict[str, type] = {
    ability.__name__: ability
    for ability in (
        Samples, Generates, Judges, Denoises, Classifies, Explains, Encodes, Bounds, Translates, Predicts
    )
}  # fmt: skip
"""Every ability by its name."""
