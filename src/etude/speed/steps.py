"""The step that the loop takes, computed as the execution wants it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from etude.compute import Execution
from etude.data import Split
from etude.families.descent import EagerDescent
from etude.families.learner import Learner
from etude.families.recipe import Rates
from etude.models.layers import use_own
from etude.speed.compiler import compiled
from etude.speed.cuda_graph import captured
from etude.speed.replicas import replicas_step
from etude.speed.whole_step import Step, Whole, whole_step


def make_step(learners: Sequence[Learner[Any]], train: Split, execution: Execution) -> Step:
    """The step of one learner; of several, that of all of them as one program."""
    whole = execution.compiled or execution.device == "cuda" or len(learners) > 1
    if not whole:
        return eager_step(learners[0], train)
    transform = partial(faster, execution=execution)
    if len(learners) > 1:
        return replicas_step(learners, train, transform)
    if execution.compiled and execution.device == "cpu" and not learners[0].recipe.differentiates_twice:
        for network in learners[0].networks.values():
            use_own(network, torch.bfloat16 if execution.precision == "bf16" else torch.float32)
    return whole_step(learners[0], train, transform)


def faster(whole: Whole, execution: Execution) -> Whole:
    """The same function compiled, if so wanted; on a GPU as one graph."""
    if execution.compiled:
        whole = compiled(whole, execution)
    return captured(whole) if execution.device == "cuda" else whole


def eager_step(learner: Learner[Any], train: Split) -> Step:
    """One operation after another."""
    clip = learner.settings.clip_norm
    descend = EagerDescent(learner.networks, learner.optimizers, clip_norm=clip, averages=learner.averages)

    def step(rows: Tensor, now: Rates) -> Tensor:
        descend.decay = now.average
        for optimizer in learner.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = learner.settings.learning_rate * now.schedule
        losses = learner.step(learner.batch(train.columns, rows[0], learner.draws()), descend)
        return learner.stacked(losses)[None]

    return step
