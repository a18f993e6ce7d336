"""The step that the loop takes, computed as the execution wants it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from etude.data import Split
from etude.speed.compiler import compiled
from etude.speed.cuda_graph import captured
from etude.speed.execution import WITH_OWN_LAYERS, Execution
from etude.speed.kernels import use_kernels
from etude.speed.kernels.pooling import KernelPooling
from etude.speed.replicas import replicas_step
from etude.speed.whole_step import Whole, whole_step
from etude.training.descent import EagerDescent
from etude.training.learner import Learner, Step


def make_step(learners: Sequence[Learner], train: Split, execution: Execution) -> Step:
    """The step of one learner; of several, that of all of them as one program."""
    recipe = learners[0].recipe
    # Not all kernels have a rule for vmap, or a gradient of their gradient.
    native = execution.compiled and len(learners) == 1 and not recipe.differentiates_twice
    native = native and getattr(recipe, "network", None) in WITH_OWN_LAYERS
    if execution.device == "cpu":
        for network in (network for learner in learners for network in learner.networks.values()):
            use_kernels(network, torch.bfloat16 if execution.precision == "bf16" else torch.float32, compiled=native)
    whole = execution.compiled or execution.device == "cuda" or len(learners) > 1
    if not whole:
        return eager_step(learners[0], train)
    transform = partial(faster, execution=execution, native=native and execution.device == "cpu")
    return replicas_step(learners, train, transform) if len(learners) > 1 else whole_step(learners[0], train, transform)


def faster(whole: Whole, execution: Execution, *, native: bool) -> Whole:
    """The same function compiled, if so wanted; on a GPU as one graph."""
    if execution.compiled:
        whole = compiled(_pooled_by_kernels(whole) if native else whole, execution)
    return captured(whole) if execution.device == "cuda" else whole


def _pooled_by_kernels(whole: Whole) -> Whole:
    def pooled(*arguments: Any) -> Tensor:
        with KernelPooling():
            return whole(*arguments)

    return pooled


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
