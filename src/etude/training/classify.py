"""How a classifier trains: cross-entropy, one gradient step a batch."""

import torch
from torch import Tensor, nn

from etude import recipes
from etude.losses import cross_entropy
from etude.runs.networks import IMAGES_AT_ONCE
from etude.training.descent import Descent, Losses, Networks
from etude.training.execution import Execution
from etude.training.learner import Batch, Learner, Pixels, make_optimizer


class ClassifierLearner(Learner):
    """Cross-entropy training of one network; final."""

    signed_pixels = True
    loss_names = ("loss",)
    best_by = "validation/accuracy"

    def __init__(self, recipe: recipes.Classifier, networks: dict[str, nn.Module], execution: Execution) -> None:
        self.recipe, self.settings, self.networks, self.execution = recipe, recipe.optimizer, networks, execution
        self.streams = {}
        (self.network,) = networks.values()
        self.optimizers = {name: make_optimizer(recipe.optimizer, network) for name, network in networks.items()}

    def step(self, batch: Batch, descend: Descent) -> Losses:
        """One gradient step on the cross-entropy of a batch."""

        def losses(networks: Networks) -> Losses:
            with self.execution.autocast():
                logits = networks[self.recipe.network](batch["images"])  # (batch, classes)
            smoothing = self.recipe.label_smoothing
            return {"loss": cross_entropy(logits.float(), batch["labels"], label_smoothing=smoothing)}

        return descend(self.recipe.network, losses)

    def evaluate_epoch(self, validation: Pixels, test: Pixels) -> dict[str, float]:
        """Loss and accuracy on the images held out; the test split waits for the end."""
        if not len(validation):
            return {}
        loss, correct = self._predict(validation)
        return {"validation/loss": loss, "validation/accuracy": correct.float().mean().item()}

    def evaluate_end(self, test: Pixels, class_names: tuple[str, ...]) -> dict[str, float]:
        """Loss and accuracy on the test split, and the accuracy of each class."""
        loss, correct = self._predict(test)
        each = {
            f"test/accuracy/{name}": correct[test.labels == label].float().mean().item()
            for label, name in enumerate(class_names)
            if (test.labels == label).any()
        }
        return {"test/loss": loss, "test/accuracy": correct.float().mean().item(), **each}

    @torch.no_grad()
    def _predict(self, split: Pixels) -> tuple[float, Tensor]:
        """Mean cross-entropy (without label smoothing), and whether each image is classified rightly, (N,)."""
        self.network.eval()
        logits = torch.cat([self.network(images) for images in split.images.split(IMAGES_AT_ONCE)])
        self.network.train()
        return cross_entropy(logits, split.labels).item(), logits.argmax(dim=1) == split.labels
