"""Many runs as one program: their tensors stacked, and the step of one of them vectorised over all.

Each run keeps its own initial weights, order of the images and random draws, all from its own seed, so that replica k
computes what a run alone with that seed computes, but for rounding. Its learner's tensors become parts of the stacks:
evaluation, pictures and checkpoints need not know of the others.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from etude.data import Split
from etude.recipes import Recipe, Variational
from etude.speed.whole_step import State, Transform, state_of, whole_of
from etude.training.learner import Learner, Step


def program_key(recipe: Recipe) -> Hashable:
    """Equal for recipes that one program can train: they differ only in seed, learning rate and β."""
    same = {"beta": 1.0} if isinstance(recipe, Variational) else {}
    return replace(recipe, seed=0, optimizer=replace(recipe.optimizer, learning_rate=1.0), **same)


def replicas_step(learners: Sequence[Learner], train: Split, transform: Transform) -> Step:
    """The step of all learners at once, as one function, which `transform` makes faster."""
    state = stack_states(learners)
    fast = transform(vmap(whole_of(learners[0]), in_dims=(0, None, 0, 0, 0)))
    learning_rates = torch.tensor([float(each.settings.learning_rate) for each in learners], device=train.images.device)
    scheduled = torch.zeros_like(learning_rates)  # (runs,)

    @torch.no_grad()
    def step(rows: Tensor, schedule: float) -> Tensor:
        torch.mul(learning_rates, schedule, out=scheduled)
        draws = _stack([learner.draw() for learner in learners])
        return fast(state, (train.images, train.labels), rows, draws, scheduled)

    return step


def stack_states(learners: Sequence[Learner]) -> State:
    """Parameters, buffers and moments of all learners, (runs, ...) each, of which their own tensors become parts."""
    stacked = _stack([state_of(learner) for learner in learners])
    for index, learner in enumerate(learners):
        for name, network in learner.networks.items():
            part, optimizer = stacked[name], learner.optimizers[name]
            for key, parameter in network.named_parameters():
                parameter.data = part["parameters"][key][index]
                optimizer.state[parameter] = {moment: each[index] for moment, each in part["moments"][key].items()}
            for key, buffer in network.named_buffers():
                buffer.data = part["buffers"][key][index]
    return stacked


def _stack(trees: Sequence[Any]) -> Any:
    """Dictionaries of dictionaries of tensors as one, each tensor stacked along a new first dimension."""
    first = trees[0]
    if isinstance(first, Tensor):
        return torch.stack(list(trees))
    return {key: _stack([tree[key] for tree in trees]) for key in first}
