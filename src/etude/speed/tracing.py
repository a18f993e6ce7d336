"""Whether a learner's step can be computed as one function of tensors. A person's network may prevent it."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from etude.data import Split
from etude.families.learner import Learner
from etude.speed.whole_step import given_to, rate_tensors, state_of, whole_of
from etude.user_code import reason


def untraceable(learner: Learner[Any], train: Split) -> str:
    """Why the step cannot be traced; empty if it can. The learner stays as it was."""
    from torch.fx.experimental.proxy_tensor import make_fx  # here, because the import takes long

    states = {name: generator.get_state() for name, generator in learner.streams.items()}
    moments = {name: dict(optimizer.state) for name, optimizer in learner.optimizers.items()}
    rows = torch.zeros(learner.recipe.examples_per_step, dtype=torch.int64, device=learner.device)
    given = given_to(learner, train, rows, states=state_of(learner), rates=rate_tensors(learner))
    tensors, structure = tree_flatten(given)
    whole = whole_of(learner)

    def flat(*tensors: Tensor) -> tuple[Tensor]:
        return (whole(tree_unflatten(list(tensors), structure)),)

    try:
        with torch.no_grad():
            make_fx(flat, tracing_mode="fake")(*tensors)
        return ""
    except Exception as error:
        if "DataDependent" in type(error).__name__:
            return "what it does depends on the numbers that it meets (.item(), or an if on a tensor)"
        return reason(error).partition(". ")[0]
    finally:
        for name, generator in learner.streams.items():
            generator.set_state(states[name])
        for name, optimizer in learner.optimizers.items():
            optimizer.state.clear()
            optimizer.state.update(moments[name])
