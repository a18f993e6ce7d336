"""What the training loop asks of a family: networks, optimizers, a step, an evaluation, a picture."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from etude import recipes
from etude.data import Split
from etude.training.descent import Descent, Losses

Batch = dict[str, Tensor]
"""What a step takes: "images" (batch, C, H, W), "labels" (batch,), and the learner's random draws by name."""


Step = Callable[[Tensor, float], Losses]
"""A training step of one or several runs: takes row numbers of images (runs, images) and the share of the learning rate
that is left, moves the learners' own tensors, returns the mean losses, () or (runs,), detached.
"""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """A split as networks take it: float images on the device of training; final."""

    images: Tensor  # (N, C, H, W) float32
    labels: Tensor  # (N,) int64

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Tensor) -> "Pixels":
        """The images with these row numbers (n,), in that order."""
        return Pixels(images=self.images[rows], labels=self.labels[rows])


class Learner(ABC):
    """One family's way to train; abstract. Nothing outside a family's file knows how that family learns."""

    signed_pixels: ClassVar[bool]
    """Whether the networks take images scaled to [-1, 1]; else to [0, 1]."""
    loss_names: ClassVar[tuple[str, ...]]
    """The names of the losses that `step` returns."""
    best_by: ClassVar[str | None] = None
    """The validation metric that chooses the best checkpoint; an accuracy is best high, a loss low."""
    preview_each: ClassVar[str] = "epoch"
    """Whether `preview` is drawn at each "epoch" or each "report"."""

    settings: recipes.Optimizer
    networks: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    """By the names of the networks."""
    streams: dict[str, torch.Generator]
    """Random streams that training draws from; a checkpoint holds their states."""

    def draw(self) -> Batch:
        """What one step takes beside its images, as tensors: its random numbers, for a step draws none itself, and
        settings in which runs that are trained as one program may differ.
        """
        return {}

    def batch(self, images: Tensor, labels: Tensor, rows: Tensor, draws: Batch) -> Batch:
        """What `step` takes: of all images (N, C, H, W) and labels (N,) those with these row numbers, and the draws."""
        return {"images": images[rows], "labels": labels[rows], **draws}

    @abstractmethod
    def step(self, batch: Batch, descend: Descent) -> Losses:
        """Train on the images of one step; returns the batch's mean losses, detached, named as `loss_names`."""

    def evaluate_epoch(self, validation: Pixels, test: Pixels) -> dict[str, float]:
        """Metrics at the end of an epoch."""
        return {}

    def evaluate_end(self, test: Pixels, class_names: tuple[str, ...]) -> dict[str, float]:
        """Metrics of the test split at the end of training."""
        return {}

    def preview(self) -> Tensor | None:
        """A picture of progress: 64 images in [0, 1] to lay out in 8 columns; None for families without one."""
        return None

    def to_pixels(self, split: Split, device: str) -> Pixels:
        """The split as float images on the device, in the range that the networks take."""
        images = split.images.to(device).float().div_(255)
        return Pixels(images=images.mul_(2).sub_(1) if self.signed_pixels else images, labels=split.labels.to(device))


def make_optimizer(settings: recipes.Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimizer for one network; fused, which is one pass over the weights instead of several."""
    parameters, decay = network.parameters(), settings.weight_decay
    if settings.name == "sgd":
        momentum = {"momentum": settings.momentum, "nesterov": settings.nesterov}
        return SGD(parameters, settings.learning_rate, **momentum, weight_decay=decay, fused=True)
    kind = AdamW if settings.name == "adamw" else Adam
    betas = (settings.beta1, settings.beta2)
    return kind(parameters, settings.learning_rate, betas=betas, weight_decay=decay, fused=True)
