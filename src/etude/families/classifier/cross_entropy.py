"""How a network that tells classes apart trains on cross-entropy and is evaluated, whatever its examples are."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from etude.compute import Execution
from etude.data import Dataset, Split
from etude.families.descent import Descent, Losses, Networks
from etude.families.inputs import EXAMPLES_AT_ONCE
from etude.families.learner import Batch, Learner
from etude.families.recipe import Recipe
from etude.losses import cross_entropy

R = TypeVar("R", bound=Recipe)


class CrossEntropyLearner(Learner[R]):
    """Cross-entropy training of one network. If there is a running average of its weights, that is evaluated."""

    loss_names = ("loss",)
    best_by = "validation/accuracy"
    label_smoothing = 0.0
    """Share of the target probability spread evenly over all classes."""

    def __init__(self, recipe: R, networks: dict[str, nn.Module], dataset: Dataset, execution: Execution) -> None:
        super().__init__(recipe, networks, dataset, execution)
        *averages, self.name = networks
        self.averages = dict.fromkeys(averages, self.name)
        for name in averages:
            del self.optimizers[name]
        self.network = networks[self.name]
        self.evaluated = networks[averages[0]] if averages else self.network

    def step(self, batch: Batch, descend: Descent) -> Losses:
        """One gradient step on the cross-entropy of a batch."""

        def losses(networks: Networks) -> Losses:
            with self.autocast():
                logits = networks[self.name](batch[self.kind.column])  # (batch, classes)
            return {"loss": cross_entropy(logits.float(), batch["labels"], label_smoothing=self.label_smoothing)}

        return descend(self.name, losses)

    def evaluate_epoch(self, validation: Split, test: Split) -> dict[str, float]:
        """Loss and accuracy on the validation examples; the test split waits for the end."""
        if not len(validation):
            return {}
        loss, correct = self._predict(validation)
        return {"validation/loss": loss, "validation/accuracy": share(correct)}

    def evaluate_end(self, test: Split) -> dict[str, float]:
        """Loss and accuracy on the test split, and the accuracy of each class."""
        loss, correct = self._predict(test)
        each = {
            f"test/accuracy/{name}": share(correct[test.labels == label])
            for label, name in enumerate(self.kind.class_names)
            if (test.labels == label).any()
        }
        return {"test/loss": loss, "test/accuracy": share(correct), **each}

    def predicted(self, inputs: Tensor) -> Tensor:
        """The scores (N, classes) of inputs (N, ...) in an evaluation."""
        return self.evaluated(inputs)

    @torch.no_grad()
    def _predict(self, split: Split) -> tuple[float, Tensor]:
        """Mean cross-entropy (without label smoothing), and whether each example is classified correctly, (N,)."""
        self.evaluated.eval()
        parts = split[self.kind.column].split(EXAMPLES_AT_ONCE)
        logits = torch.cat([self.predicted(self.scaled(part)) for part in parts])
        self.evaluated.train()
        return cross_entropy(logits, split.labels).item(), logits.argmax(dim=1) == split.labels


def share(correct: Tensor) -> float:
    """The share of a boolean tensor that is true; in float64, so that 0.875 stays so in files."""
    return correct.sum().item() / len(correct)
