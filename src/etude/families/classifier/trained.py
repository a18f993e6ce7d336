"""What a trained classifier can do."""

from typing import final

import torch
from torch import Tensor, nn

from etude.data.kinds import Kind
from etude.families.classifier.recipe import Classifier
from etude.families.inputs import signed


def predict(recipe: Classifier, network: nn.Module, inputs: Tensor) -> Tensor:
    """Scores (N, classes) of inputs (N, ...), predicted as the recipe says, in every evaluation.

    The network gets all inputs at once: the caller passes at most `EXAMPLES_AT_ONCE`.
    """
    if recipe.test_flips:
        return (network(inputs) + network(inputs.flip(-1))) / 2
    return network(inputs)


@final
class TrainedClassifier:
    """`Classifies`."""

    conditional = False

    def __init__(self, recipe: Classifier, networks: dict[str, nn.Module], kind: Kind) -> None:
        self.recipe, self.kind = recipe, kind
        (self.network,) = networks.values()

    def inputs(self, examples: Tensor, *, generator: torch.Generator) -> Tensor:
        """See `Trained`."""
        return signed(self.kind, examples)

    def logits(self, inputs: Tensor) -> Tensor:
        """See `Classifies`."""
        return predict(self.recipe, self.network, inputs)
