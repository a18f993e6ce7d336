"""What the training loop asks of a family: networks, optimizers, a step, an evaluation, a picture."""

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from etude.compute import Execution
from etude.data import Dataset, Split
from etude.families.descent import Descent, Losses
from etude.families.preview import Preview
from etude.families.recipe import Optimizer as OptimizerSettings
from etude.families.recipe import Recipe
from etude.families.traits import Traits
from etude.streams import stream

R = TypeVar("R", bound=Recipe)

Columns = dict[str, Tensor]
"""Tensors by name; row i of each belongs to one example."""
Batch = dict[str, Tensor]
"""What a step takes: the columns of its examples by name, and the learner's random draws by theirs."""


class Learner(ABC, Generic[R]):
    """One family's way to train; abstract. Nothing outside a family's folder knows how that family learns."""

    loss_names: ClassVar[tuple[str, ...]]
    """The names of the losses that `step` returns."""
    best_by: ClassVar[str | None] = None
    """The validation metric that chooses the best checkpoint; an accuracy is best high, a loss low."""
    preview_each: ClassVar[str] = "epoch"
    """Whether `preview` is drawn at each "epoch" or each "report"."""

    recipe: R
    settings: OptimizerSettings
    networks: dict[str, nn.Module]
    """All are saved."""
    optimizers: dict[str, Optimizer]
    """By the names of the networks; a network without one is the running average of another."""
    averages: dict[str, str]
    """The networks that are running averages, each with the name of the one that it follows."""
    streams: dict[str, torch.Generator]
    """Random streams that training draws from, those of `purposes`; a checkpoint holds their states."""
    purposes: ClassVar[tuple[str, ...]] = ()
    """What training draws random numbers for: each has a stream of its own, seeded by the recipe's seed."""
    traits: Traits = Traits()
    """What makes its networks fast."""
    state: dict[str, Tensor]
    """What is carried from step to step beside weights, such as a recurrent state, on the device: a step finds these
    tensors in its batch by name, and writes what the next one is to find into them (`copy_`). Saved and resumed."""
    own_draws: torch.Generator | None = None
    """Where networks draw random numbers of their own, one of `streams`, which seeds PyTorch's global generator for
    each step."""

    def __init__(self, recipe: R, networks: dict[str, nn.Module], dataset: Dataset, execution: Execution) -> None:
        self.recipe, self.settings, self.networks = recipe, recipe.optimizer, networks
        self.kind, self.execution = dataset.kind, execution
        self.averages, self.state = {}, {}
        self.optimizers = {name: make_optimizer(recipe.optimizer, network) for name, network in networks.items()}
        self.streams = {purpose: stream(recipe.seed, purpose, device=self.device) for purpose in self.purposes}

    @property
    def device(self) -> str:
        """Where it trains."""
        return self.execution.device

    def autocast(self) -> torch.autocast:
        """The context in which networks are applied in a step."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.execution.precision == "bf16")

    def draws(self) -> Batch:
        """What one step takes beside its examples: its random numbers, for a step draws none itself, and settings in
        which runs that are trained as one program may differ.
        """
        return {}

    def order(self, rows: Tensor, num_examples: int, epoch: int) -> Tensor:
        """The rows (n,) of an epoch, numbered from 1, before they are shuffled.

        A larger number than `num_examples`, those in memory, can stand for a variant of an example: see `batch`.
        """
        return rows

    def epoch(self, rows: Tensor, train: Columns, epoch: int) -> Tensor:
        """The rows (n,) of an epoch, numbered from 1, as its steps take them: (steps, examples per step), shuffled.

        Rows that do not fill a step sit this epoch out. What overrides it gives as many steps.
        """
        rows = self.order(rows, len(next(iter(train.values()))), epoch)
        order = rows[torch.randperm(len(rows), generator=stream(self.recipe.seed, f"order/{epoch}"))]
        steps = len(rows) // self.recipe.examples_per_step
        return order[: steps * self.recipe.examples_per_step].view(steps, -1)

    def batch(self, train: Columns, rows: Tensor, draws: Batch) -> Batch:
        """What `step` takes: these rows (batch,) of the columns, numbers as the networks take them, and the draws."""
        column = self.kind.column
        rest = {name: tensor[rows] for name, tensor in train.items() if name != column}
        return {column: self.scaled(train[column][rows]), **rest, **draws}

    def scaled(self, examples: Tensor) -> Tensor:
        """Examples as the data keeps them, in the range of the networks, float32."""
        return self.kind.scaled(examples)

    @abstractmethod
    def step(self, batch: Batch, descend: Descent) -> Losses:
        """Train on the examples of one step; returns the batch's mean losses, detached, named as `loss_names`."""

    def evaluate_epoch(self, validation: Split, test: Split) -> dict[str, float]:
        """Metrics at the end of an epoch."""
        return {}

    def evaluate_end(self, test: Split) -> dict[str, float]:
        """Metrics of the test split at the end of training."""
        return {}

    def preview(self) -> Preview | None:
        """A picture of progress; None for families without one. It changes nothing of the training."""
        return None

    def stacked(self, losses: Losses) -> Tensor:
        """The losses of a step as one tensor (losses,), in the order of `loss_names`."""
        return torch.stack([losses[name] for name in self.loss_names])


def make_optimizer(settings: OptimizerSettings, network: nn.Module) -> Optimizer:
    """The recipe's optimizer for one network; fused, which is one pass over the weights instead of several."""
    parameters, decay = network.parameters(), settings.weight_decay
    if settings.name == "sgd":
        momentum = {"momentum": settings.momentum, "nesterov": settings.nesterov}
        return SGD(parameters, settings.learning_rate, **momentum, weight_decay=decay, fused=True)
    kind = AdamW if settings.name == "adamw" else Adam
    betas = (settings.beta1, settings.beta2)
    return kind(parameters, settings.learning_rate, betas=betas, weight_decay=decay, fused=True)
