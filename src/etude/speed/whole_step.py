"""A training step as one function of tensors, which a compiler can take as a whole and `vmap` can vectorise.

The tensors it moves in place are the networks' and optimizers' own: evaluation, pictures and checkpoints need not know
how a step was computed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value
from torch.utils._pytree import register_dataclass

from etude.data import Split
from etude.families.descent import Losses, Networks, follow
from etude.families.learner import Batch, Columns, Learner
from etude.families.recipe import Optimizer, Rates
from etude.speed.updates import Moments, clip_norm, initial_moments, update


@dataclass(kw_only=True)
class NetworkState:
    """A network's tensors by name, and the moments of each parameter by name; those of a running average are none."""

    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    moments: dict[str, Moments]


@dataclass(kw_only=True)
class StepTensors:
    """Everything that a step computes with. What stays from step to step comes first; final."""

    networks: dict[str, NetworkState]
    """Moved in place."""
    state: Batch
    """The learner's, moved in place."""
    train: Columns
    """All examples in memory."""
    rows: Tensor
    """(batch,): the row numbers of those of this step."""
    rates: dict[str, Tensor]
    """`Rates` by name, () each."""
    draws: Batch

    def kept(self) -> Any:
        """The part that stays: the same tensors at every step."""
        return self.networks, self.state, self.train

    def changing(self) -> Any:
        """The part that is new at every step."""
        return self.rows, self.rates, self.draws


register_dataclass(NetworkState)
register_dataclass(StepTensors)


def state_of(learner: Learner[Any]) -> dict[str, NetworkState]:
    """The learner's own tensors; an optimizer that has not stepped yet is given its first moments."""
    return {name: _state(learner, name) for name in learner.networks}


def _state(learner: Learner[Any], name: str) -> NetworkState:
    network, optimizer = learner.networks[name], learner.optimizers.get(name)
    moments: dict[str, Moments] = {}
    for key, parameter in network.named_parameters():
        if optimizer is not None:
            # In one order, whatever a checkpoint's: of another a compiler makes another program, whose bits may differ.
            initial = initial_moments(learner.settings, parameter.detach())
            moments[key] = optimizer.state[parameter] = {**initial, **optimizer.state[parameter]}
    return NetworkState(
        parameters={key: parameter.detach() for key, parameter in network.named_parameters()},
        buffers=dict(network.named_buffers()),
        moments=moments,
    )


@dataclass(frozen=True)
class FunctionalDescent:
    """`Descent` on tensors: gradients by `torch.func`, weights moved by formulas; final."""

    modules: dict[str, nn.Module]
    states: dict[str, NetworkState]
    settings: Optimizer
    rates: dict[str, Tensor]
    averages: dict[str, str]

    def __call__(self, name: str, losses: Callable[[Networks], Losses]) -> Losses:
        """See `Descent`."""
        trained = [key for key in self.states if key not in self.averages]
        fixed = {key: self.states[key].parameters for key in trained if key != name}
        kept = {key: self.states[key].buffers for key in trained}

        def objective(parameters: dict[str, Tensor], buffers: dict[str, dict[str, Tensor]]) -> tuple[Tensor, Any]:
            # Batch-norm writes its running statistics: into copies, since a gradient's function must not change what it
            # is not given.
            buffers = {key: {name: value.clone() for name, value in each.items()} for key, each in buffers.items()}
            weights = {**fixed, name: parameters}
            networks = {key: partial(_apply, self.modules[key], {**weights[key], **buffers[key]}) for key in trained}
            values = losses(networks)
            return next(iter(values.values())), (values, buffers)

        mine = self.states[name]
        gradients, (_, (values, buffers)) = grad_and_value(objective, has_aux=True)(mine.parameters, kept)
        if self.settings.clip_norm:
            gradients = clip_norm(gradients, self.settings.clip_norm)
        update(self.settings, mine.parameters, gradients, mine.moments, self.rates["learning_rate"])
        for network, each in kept.items():
            for key, buffer in each.items():
                buffer.copy_(buffers[network][key])
        for average, of in self.averages.items():
            if of == name:
                other = self.states[average]
                follow(other.parameters, mine.parameters, decay=self.rates["average"])
                follow(other.buffers, mine.buffers, decay=None)
        return values


def _apply(module: nn.Module, tensors: dict[str, Tensor], *inputs: Any, **more: Any) -> Any:
    return functional_call(module, tensors, inputs, more)


Whole = Callable[[StepTensors], Tensor]
"""A training step as a function; returns the losses (losses,)."""
Transform = Callable[[Whole], Whole]
"""What makes such a function faster."""
Step = Callable[[Tensor, Rates], Tensor]
"""A training step of one or several runs: takes the row numbers of examples (runs, batch) and the rates of this step,
moves the learners' own tensors, returns the mean losses (runs, losses) in the order of `loss_names`, detached.
"""


def whole_of(learner: Learner[Any]) -> Whole:
    """Batch, losses, gradients and optimizers of the learner's step as one function."""

    def whole(given: StepTensors) -> Tensor:
        descend = FunctionalDescent(learner.networks, given.networks, learner.settings, given.rates, learner.averages)
        batch = learner.batch(given.train, given.rows, given.draws) | given.state
        return learner.stacked(learner.step(batch, descend))

    return whole


def whole_step(learner: Learner[Any], train: Split, transform: Transform) -> Step:
    """The learner's step as one function, which `transform` makes faster."""
    states, fast = state_of(learner), transform(whole_of(learner))
    rates = rate_tensors(learner)

    @torch.no_grad()
    def step(rows: Tensor, now: Rates) -> Tensor:
        rates["learning_rate"].fill_(learner.settings.learning_rate * now.schedule)
        if learner.averages:
            rates["average"].fill_(now.average)
        return fast(given_to(learner, train, rows[0], states=states, rates=rates))[None]

    return step


def given_to(
    learner: Learner[Any], train: Split, rows: Tensor, *, states: dict[str, NetworkState], rates: dict[str, Tensor]
) -> StepTensors:
    """What the learner's next step computes with."""
    return StepTensors(
        networks=states,
        state=learner.state,
        train=train.columns,
        rows=rows,
        rates=rates,
        draws=learner.draws(),
    )


def rate_tensors(learner: Learner[Any], *shape: int) -> dict[str, Tensor]:
    """Where the rates of a step are put: of averages only where there are any."""
    names = ("learning_rate", "average") if learner.averages else ("learning_rate",)
    return {name: torch.zeros(shape, device=learner.device) for name in names}
