"""A training step as one function of tensors, which a compiler can take as a whole and `vmap` can vectorise.

The state it moves in place is the networks' and optimizers' own tensors: evaluation, pictures and checkpoints need not
know how a step was computed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from etude import recipes
from etude.data import Split
from etude.speed.updates import Moments, initial_moments, update
from etude.training.descent import Losses, Networks
from etude.training.learner import Batch, Learner, Step

State = dict[str, dict[str, Any]]
"""By network: its "parameters" and "buffers" by name, and its "moments", those of each parameter by name."""


def state_of(learner: Learner) -> State:
    """The learner's own tensors; an optimizer that has not stepped yet is given its first moments."""
    return {name: _state(learner, name) for name in learner.networks}


def _state(learner: Learner, name: str) -> dict[str, Any]:
    network, optimizer = learner.networks[name], learner.optimizers[name]
    moments: dict[str, Moments] = {}
    for key, parameter in network.named_parameters():
        # In one order, whatever a checkpoint's: of another a compiler makes another program, whose bits may differ.
        initial = initial_moments(learner.settings, parameter.detach())
        moments[key] = optimizer.state[parameter] = {**initial, **optimizer.state[parameter]}
    return {
        "parameters": {key: parameter.detach() for key, parameter in network.named_parameters()},
        "buffers": dict(network.named_buffers()),
        "moments": moments,
    }


@dataclass(frozen=True)
class FunctionalDescent:
    """`Descent` on a state: gradients by `torch.func`, weights moved by formulas; final."""

    modules: dict[str, nn.Module]
    state: State
    settings: recipes.Optimizer
    learning_rate: Tensor  # ()

    def __call__(self, name: str, losses: Callable[[Networks], Losses]) -> Losses:
        """See `Descent`."""
        fixed = {key: tensors["parameters"] for key, tensors in self.state.items() if key != name}
        kept = {key: tensors["buffers"] for key, tensors in self.state.items()}

        def objective(parameters: dict[str, Tensor], buffers: dict[str, dict[str, Tensor]]) -> tuple[Tensor, Any]:
            # Batch-norm writes its running statistics: into copies, since a gradient's function must not change what it
            # is not given.
            buffers = {key: {name: value.clone() for name, value in each.items()} for key, each in buffers.items()}
            weights = {**fixed, name: parameters}
            networks = {
                key: partial(_apply, module, {**weights[key], **buffers[key]}) for key, module in self.modules.items()
            }
            values = losses(networks)
            return next(iter(values.values())), (values, buffers)

        mine = self.state[name]
        gradients, (_, (values, buffers)) = grad_and_value(objective, has_aux=True)(mine["parameters"], kept)
        update(self.settings, mine["parameters"], gradients, mine["moments"], self.learning_rate)
        for network, each in kept.items():
            for key, buffer in each.items():
                buffer.copy_(buffers[network][key])
        return values


def _apply(module: nn.Module, tensors: dict[str, Tensor], *inputs: Any, **more: Any) -> Any:
    return functional_call(module, tensors, inputs, more)


Whole = Callable[[State, tuple[Tensor, Tensor], Tensor, Batch, Tensor], Tensor]
"""A training step as a function of a state (which it moves in place), all images and their labels, the row numbers
(images,) of those of this step, the draws, and the learning rate (); returns the losses (losses,).
"""
Transform = Callable[[Whole], Whole]
"""What makes such a function faster."""


def whole_of(learner: Learner) -> Whole:
    """Batch, losses, gradients and optimizers of the learner's step as one function."""

    def whole(state: State, train: tuple[Tensor, Tensor], rows: Tensor, draws: Batch, learning_rate: Tensor) -> Tensor:
        images, labels = train
        descend = FunctionalDescent(learner.networks, state, learner.settings, learning_rate)
        return learner.stacked(learner.step(learner.batch(images, labels, rows, draws), descend))

    return whole


def whole_step(learner: Learner, train: Split, transform: Transform) -> Step:
    """The learner's step as one function, which `transform` makes faster."""
    state, fast = state_of(learner), transform(whole_of(learner))
    learning_rate = torch.zeros((), device=train.images.device)

    @torch.no_grad()
    def step(rows: Tensor, schedule: float) -> Tensor:
        learning_rate.fill_(learner.settings.learning_rate * schedule)
        return fast(state, (train.images, train.labels), rows[0], learner.draw(), learning_rate)[None]

    return step
