"""What a trained language model can do."""

from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from etude.data import RunningText, Split
from etude.families.abilities import Told
from etude.families.language.chunks import read_chunks, tell
from etude.families.language.recipe import Language
from etude.families.language.writing import continued


@final
class TrainedLanguageModel:
    """`Predicts`, by the running average of the weights where there is one."""

    conditional = False

    def __init__(self, recipe: Language, networks: dict[str, nn.Module], kind: RunningText) -> None:
        self.recipe, self.kind = recipe, kind
        self.network = networks.get("average", next(iter(networks.values())))

    def inputs(self, examples: Tensor, *, generator: torch.Generator) -> Tensor:
        """See `Trained`: symbols as they are."""
        return self.kind.scaled(examples)

    def tell(self, text: Split) -> Told:
        """See `Predicts`; the state is carried as in training."""
        return tell(self.network, text, chunk=self.recipe.bptt, carry=self.recipe.carry_state == "on")

    @property
    def chunk(self) -> int:
        """See `Predicts`."""
        return self.recipe.bptt

    def last_nats(self, symbols: Tensor, targets: Tensor, *, cut: bool) -> Tensor:
        """See `Predicts`."""
        carry, detach = self.recipe.carry_state == "on", self.recipe.detach if cut else "never"
        scores, _ = read_chunks(self.network, symbols, chunk=self.chunk, carry=carry, detach=detach)
        return cross_entropy(scores[:, -1], targets, reduction="none")

    def write(self, prompt: str, num_symbols: int, *, temperature: float, generator: torch.Generator) -> str:
        """See `Predicts`."""
        return continued(
            self.network,
            self.kind.vocabulary,
            prompt,
            num_symbols,
            temperature=temperature,
            generator=generator,
            chunk=self.recipe.bptt,
        )
