"""What a trained language model can do."""

from typing import final

import torch
from torch import Tensor, nn

from etude.data import RunningText, Split
from etude.families.abilities import Told
from etude.families.language.chunks import tell
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
