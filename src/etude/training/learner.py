"""What the training loop asks of a family: networks, optimizers, a step, an evaluation, a picture."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from etude import recipes
from etude.data import Split
from etude.runs.inputs import scaled
from etude.training.descent import Descent, Losses

FamilyRecipe = TypeVar("FamilyRecipe", bound=recipes.Recipe)

Batch = dict[str, Tensor]
"""What a step takes: "images" (batch, C, H, W), "labels" (batch,), and the learner's random draws by name."""


Step = Callable[[Tensor, float], Tensor]
"""A training step of one or several runs: takes row numbers of images (runs, images) and the share of the learning rate
that is left, moves the learners' own tensors, returns the mean losses (runs, losses) in the order of `loss_names`,
detached.
"""


class Learner(ABC, Generic[FamilyRecipe]):
    """One family's way to train; abstract. Nothing outside a family's file knows how that family learns."""

    loss_names: ClassVar[tuple[str, ...]]
    """The names of the losses that `step` returns."""
    best_by: ClassVar[str | None] = None
    """The validation metric that chooses the best checkpoint; an accuracy is best high, a loss low."""
    preview_each: ClassVar[str] = "epoch"
    """Whether `preview` is drawn at each "epoch" or each "report"."""

    recipe: FamilyRecipe
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
        """What `step` takes: of all images, uint8 (N, C, H, W), and labels (N,) these rows, and the draws."""
        return {"images": scaled(self.recipe, images[rows]), "labels": labels[rows], **draws}

    @abstractmethod
    def step(self, batch: Batch, descend: Descent) -> Losses:
        """Train on the images of one step; returns the batch's mean losses, detached, named as `loss_names`."""

    def evaluate_epoch(self, validation: Split, test: Split) -> dict[str, float]:
        """Metrics at the end of an epoch."""
        return {}

    def evaluate_end(self, test: Split, class_names: tuple[str, ...]) -> dict[str, float]:
        """Metrics of the test split at the end of training."""
        return {}

    def preview(self) -> Tensor | None:
        """A picture of progress: 64 images in [0, 1] to lay out in 8 columns; None for families without one."""
        return None

    def stacked(self, losses: Losses) -> Tensor:
        """The losses of a step as one tensor (losses,), in the order of `loss_names`."""
        return torch.stack([losses[name] for name in self.loss_names])


def make_optimizer(settings: recipes.Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimizer for one network; fused, which is one pass over the weights instead of several."""
    parameters, decay = network.parameters(), settings.weight_decay
    if settings.name == "sgd":
        momentum = {"momentum": settings.momentum, "nesterov": settings.nesterov}
        return SGD(parameters, settings.learning_rate, **momentum, weight_decay=decay, fused=True)
    kind = AdamW if settings.name == "adamw" else Adam
    betas = (settings.beta1, settings.beta2)
    return kind(parameters, settings.learning_rate, betas=betas, weight_decay=decay, fused=True)
