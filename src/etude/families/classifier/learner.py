"""How a classifier trains: cross-entropy, one gradient step per batch, images flipped and shifted if asked for."""

import torch
from torch import Tensor, nn

from etude.compute import Execution
from etude.data import Dataset
from etude.families.classifier.cross_entropy import CrossEntropyLearner
from etude.families.classifier.recipe import Classifier
from etude.families.classifier.trained import predict
from etude.families.inputs import signed
from etude.families.learner import Batch, Columns
from etude.streams import stream


class ClassifierLearner(CrossEntropyLearner[Classifier]):
    """Cross-entropy training on images or tables; final."""

    def __init__(
        self, recipe: Classifier, networks: dict[str, nn.Module], dataset: Dataset, execution: Execution
    ) -> None:
        super().__init__(recipe, networks, dataset, execution)
        self.label_smoothing = recipe.label_smoothing
        if recipe.shift_pixels:
            self.streams = {"shift": stream(recipe.seed, "shift", device=self.device)}

    def draws(self) -> Batch:
        """How far to move each image: whole pixels down and right, (batch, 2), uniform from -most to most."""
        if not (most := self.recipe.shift_pixels):
            return {}
        generator, size = self.streams["shift"], (self.recipe.batch_size, 2)
        return {"shift": torch.randint(-most, most + 1, size, generator=generator, device=self.device)}

    def order(self, rows: Tensor, num_examples: int, epoch: int) -> Tensor:
        """With flips, row + number of images means the mirror image of that row."""
        if not self.recipe.alternate_flips:
            return rows
        first = torch.randint(2, (len(rows),), generator=stream(self.recipe.seed, "flips"))  # the same in every epoch
        return rows + num_examples * ((first + epoch) % 2)

    def scaled(self, examples: Tensor) -> Tensor:
        """Images in [-1, 1]."""
        return signed(self.kind, examples)

    def batch(self, train: Columns, rows: Tensor, draws: Batch) -> Batch:
        """The images of a step: moved by `draws`, then mirrored if the order says so."""
        if not (self.recipe.alternate_flips or draws):
            return super().batch(train, rows, draws)
        images, labels = train["images"], train["labels"]
        mirrored, rows = rows >= len(images), rows % len(images)
        shift = draws.get("shift", torch.zeros_like(rows)[:, None].expand(-1, 2))
        down, right = shift.unbind(dim=1)
        rows_from = source_pixels(images.shape[2], down)  # (batch, H)
        columns_from = source_pixels(images.shape[3], right)  # (batch, W)
        columns_from = torch.where(mirrored[:, None], columns_from.flip(1), columns_from)
        # One gather for all of it. With indices around the channels, these come last, which convolutions prefer.
        moved = images[rows[:, None, None], :, rows_from[:, :, None], columns_from[:, None, :]]  # (batch, H, W, C)
        return {"images": self.scaled(moved.permute(0, 3, 1, 2)), "labels": labels[rows]}

    def predicted(self, inputs: Tensor) -> Tensor:
        """See `CrossEntropyLearner`."""
        return predict(self.recipe, self.evaluated, inputs)


def source_pixels(side: int, shift: Tensor) -> Tensor:
    """For each pixel along a side, its source after the image has moved by `shift` (batch,): (batch, side).

    Beyond an edge the image continues as its own reflection; the edge itself is not repeated.
    """
    inside = (torch.arange(side, device=shift.device) - shift[:, None]).abs()
    return (side - 1) - (side - 1 - inside).abs()
