"""What a trained classifier of sentences can do."""

from typing import final

import torch
from torch import Tensor, nn

from etude.data.kinds import Tokens
from etude.families.abilities import By
from etude.families.text.contributions import gradient_times_input, occlusion
from etude.families.text.recipe import TextClassification
from etude.models.text_classifiers import PAD


@final
class TrainedTextClassifier:
    """`Explains`, by the running average of the weights if there is one."""

    conditional = False

    def __init__(self, recipe: TextClassification, networks: dict[str, nn.Module], kind: Tokens) -> None:
        self.recipe, self.kind = recipe, kind
        self.network = next(iter(networks.values()))

    def inputs(self, examples: Tensor, *, generator: torch.Generator) -> Tensor:
        """See `Trained`: tokens as they are."""
        return examples

    def logits(self, inputs: Tensor) -> Tensor:
        """See `Classifies`."""
        return self.network(cropped(inputs))

    def contributions(self, inputs: Tensor, labels: Tensor, *, by: By) -> Tensor:
        """See `Explains`."""
        tokens = cropped(inputs)
        if by == "gradient":
            found = gradient_times_input(self.network, tokens, labels)
        else:
            found = occlusion(self.logits, tokens, labels)
        return torch.nn.functional.pad(found, (0, inputs.shape[1] - tokens.shape[1]))


def lengths_of(tokens: Tensor) -> Tensor:
    """The number of tokens (N,) in each row of (N, L), pads left out."""
    return (tokens != PAD).sum(dim=1)


def cropped(tokens: Tensor) -> Tensor:
    """Rows (N, L) without the columns that are pads in all of them; one is kept."""
    return tokens[:, : max(1, int(lengths_of(tokens).max()))] if len(tokens) else tokens
