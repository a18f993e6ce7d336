"""Many runs as one program: their tensors are stacked, and the step of one run is vectorised over all.

Each run keeps its own initial weights, order of examples and random draws, all from its own seed. So replica k computes
what a run alone with that seed computes, except for rounding. Its learner's tensors become parts of the stacks, so
evaluation, pictures and checkpoints need not know of the others.
"""

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.utils._pytree import tree_map

from etude.data import Split
from etude.families.learner import Learner
from etude.families.recipe import Rates, Recipe
from etude.speed.whole_step import (
    NetworkState,
    Step,
    StepTensors,
    Transform,
    rate_tensors,
    state_of,
    whole_of,
)


def program_key(recipe: Recipe) -> Hashable:
    """A key that is equal for recipes that one program can train. They differ only in seed, learning rate and
    `changed_together`."""
    defaults = {field.name: field.default for field in fields(recipe)}
    same: dict[str, Any] = {name: defaults[name] for name in recipe.changed_together}
    return replace(recipe, seed=0, optimizer=replace(recipe.optimizer, learning_rate=1.0), **same)


def replicas_step(learners: Sequence[Learner[Any]], train: Split, transform: Transform) -> Step:
    """The step of all learners at once, as one function, which `transform` makes faster."""
    learners, states, carried = list(learners), stack_states(learners), stack_carried(learners)
    one = whole_of(learners[0])

    def whole(given: StepTensors) -> Tensor:
        # All runs share the examples, which are kept apart: in a dataclass of `in_dims`, PyTorch takes None for no
        # field.
        return vmap(lambda own: one(replace(own, train=given.train)))(replace(given, train={}))

    fast = transform(whole)
    learning_rates = torch.tensor([each.settings.learning_rate for each in learners], device=learners[0].device)
    rates = rate_tensors(learners[0], len(learners))

    @torch.no_grad()
    def step(rows: Tensor, now: Rates) -> Tensor:
        torch.mul(learning_rates, now.schedule, out=rates["learning_rate"])
        if "average" in rates:
            rates["average"].fill_(now.average)
        draws = _stack([learner.draws() for learner in learners])
        given = StepTensors(networks=states, state=carried, train=train.columns, rows=rows, rates=rates, draws=draws)
        with warnings.catch_warnings():  # what has no rule for vmap, an LSTM on a processor, is computed run by run
            warnings.filterwarnings("ignore", message="There is a performance drop because we have not yet implemented")
            return fast(given)

    return step


def stack_states(learners: Sequence[Learner[Any]]) -> dict[str, NetworkState]:
    """Parameters, buffers and moments of all learners, (runs, ...) each. The learners' own tensors become parts of
    them."""
    stacked = _stack([state_of(learner) for learner in learners])
    for index, learner in enumerate(learners):
        for name, network in learner.networks.items():
            part, optimizer = stacked[name], learner.optimizers.get(name)
            for key, parameter in network.named_parameters():
                parameter.data = part.parameters[key][index]
                if optimizer is not None:
                    optimizer.state[parameter] = {moment: each[index] for moment, each in part.moments[key].items()}
            for key, buffer in network.named_buffers():
                buffer.data = part.buffers[key][index]
    return stacked


def stack_carried(learners: Sequence[Learner[Any]]) -> dict[str, Tensor]:
    """What the learners carry from step to step, (runs, ...) each. The learners' own tensors become parts of it."""
    stacked = _stack([learner.state for learner in learners])
    for index, learner in enumerate(learners):
        learner.state = {name: each[index] for name, each in stacked.items()}
    return stacked


def _stack(trees: Sequence[Any]) -> Any:
    """Several trees of tensors as one. Each tensor is stacked along a new first dimension."""
    return tree_map(lambda *tensors: torch.stack(tensors), *trees)
