"""How a classifier trains: cross-entropy, one gradient step a batch, images flipped and moved if so wanted."""

import torch
from torch import Tensor, nn

from etude import recipes
from etude.data import Split
from etude.losses import cross_entropy
from etude.runs.inputs import IMAGES_AT_ONCE, scaled
from etude.runs.networks import classify
from etude.speed.execution import Execution
from etude.streams import stream
from etude.training.descent import Descent, Losses, Networks
from etude.training.learner import Batch, Learner, make_optimizer


class ClassifierLearner(Learner[recipes.Classifier]):
    """Cross-entropy training of one network; final."""

    loss_names = ("loss",)
    best_by = "validation/accuracy"

    def __init__(self, recipe: recipes.Classifier, networks: dict[str, nn.Module], execution: Execution) -> None:
        self.recipe, self.settings, self.networks, self.execution = recipe, recipe.optimizer, networks, execution
        self.streams = {"shift": stream(recipe.seed, "shift", device=execution.device)} if recipe.shift_pixels else {}
        (self.network,) = networks.values()
        self.optimizers = {name: make_optimizer(recipe.optimizer, network) for name, network in networks.items()}

    def draw(self) -> Batch:
        """Where images are moved: whole pixels down and right, (batch, 2), as likely from -most to most."""
        if not (most := self.recipe.shift_pixels):
            return {}
        generator, size = self.streams["shift"], (self.recipe.batch_size, 2)
        return {"shift": torch.randint(-most, most + 1, size, generator=generator, device=self.execution.device)}

    def batch(self, images: Tensor, labels: Tensor, rows: Tensor, draws: Batch) -> Batch:
        """The images of a step, moved by `draws`, then mirrored where the order says so (`Examples.batches`)."""
        if not (self.recipe.alternate_flips or draws):
            return super().batch(images, labels, rows, draws)
        mirrored, rows = rows >= len(images), rows % len(images)
        shift = draws.get("shift", torch.zeros_like(rows)[:, None].expand(-1, 2))
        down, right = shift.unbind(dim=1)
        rows_from = source_pixels(images.shape[2], down)  # (batch, H)
        columns_from = source_pixels(images.shape[3], right)  # (batch, W)
        columns_from = torch.where(mirrored[:, None], columns_from.flip(1), columns_from)
        # One gather for all of it; indices around the channels put these last, as the convolutions like them.
        moved = images[rows[:, None, None], :, rows_from[:, :, None], columns_from[:, None, :]]  # (batch, H, W, C)
        return {"images": scaled(self.recipe, moved.permute(0, 3, 1, 2)), "labels": labels[rows]}

    def step(self, batch: Batch, descend: Descent) -> Losses:
        """One gradient step on the cross-entropy of a batch."""

        def losses(networks: Networks) -> Losses:
            with self.execution.autocast():
                logits = networks[self.recipe.network](batch["images"])  # (batch, classes)
            smoothing = self.recipe.label_smoothing
            return {"loss": cross_entropy(logits.float(), batch["labels"], label_smoothing=smoothing)}

        return descend(self.recipe.network, losses)

    def evaluate_epoch(self, validation: Split, test: Split) -> dict[str, float]:
        """Loss and accuracy on the images held out; the test split waits for the end."""
        if not len(validation):
            return {}
        loss, correct = self._predict(validation)
        return {"validation/loss": loss, "validation/accuracy": share(correct)}

    def evaluate_end(self, test: Split, class_names: tuple[str, ...]) -> dict[str, float]:
        """Loss and accuracy on the test split, and the accuracy of each class."""
        loss, correct = self._predict(test)
        each = {
            f"test/accuracy/{name}": share(correct[test.labels == label])
            for label, name in enumerate(class_names)
            if (test.labels == label).any()
        }
        return {"test/loss": loss, "test/accuracy": share(correct), **each}

    @torch.no_grad()
    def _predict(self, split: Split) -> tuple[float, Tensor]:
        """Mean cross-entropy (without label smoothing), and whether each image is classified rightly, (N,)."""
        self.network.eval()
        parts = split.images.split(IMAGES_AT_ONCE)
        logits = torch.cat([classify(self.recipe, self.network, scaled(self.recipe, part)) for part in parts])
        self.network.train()
        return cross_entropy(logits, split.labels).item(), logits.argmax(dim=1) == split.labels


def share(correct: Tensor) -> float:
    """Of the entries of a boolean tensor that are true; in float64, so that 0.875 stays so in files."""
    return correct.sum().item() / len(correct)


def source_pixels(side: int, shift: Tensor) -> Tensor:
    """For each pixel of a side, where it comes from once the image has moved by `shift` (batch,): (batch, side).

    Beyond an edge the image goes on as its own reflection, the edge not repeated.
    """
    inside = (torch.arange(side, device=shift.device) - shift[:, None]).abs()
    return (side - 1) - (side - 1 - inside).abs()
