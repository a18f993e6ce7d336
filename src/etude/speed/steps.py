"""The step that the loop takes, computed as the execution wants it."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from etude.data import Split
from etude.models.layers import use_own
from etude.speed.compiler import compiled
from etude.speed.cuda_graph import captured
from etude.speed.execution import Execution
from etude.speed.replicas import replicas_step
from etude.speed.whole_step import Whole, whole_step
from etude.training.descent import EagerDescent
from etude.training.learner import Learner, Step


def make_step(learners: Sequence[Learner], train: Split, execution: Execution) -> Step:
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


def eager_step(learner: Learner, train: Split) -> Step:
    """One operation after another."""
    descend = EagerDescent(learner.networks, learner.optimizers)

    def step(rows: Tensor, schedule: float) -> Tensor:
        for optimizer in learner.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = learner.settings.learning_rate * schedule
        losses = learner.step(learner.batch(train.images, train.labels, rows[0], learner.draw()), descend)
        return learner.stacked(losses)[None]

    return step
