"""The step that the loop takes, computed as the execution says."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor

from etude.compute import Execution
from etude.data import Split
from etude.families.descent import EagerDescent
from etude.families.learner import Learner
from etude.families.recipe import Rates
from etude.speed.compiler import compiled
from etude.speed.cuda_graph import captured
from etude.speed.kernels import use_kernels
from etude.speed.kernels.pooling import KernelPooling
from etude.speed.replicas import replicas_step
from etude.speed.tracing import untraceable
from etude.speed.whole_step import Step, StepTensors, Whole, whole_step
from etude.streams import seeded_by


def make_step(learners: Sequence[Learner[Any]], train: Split, execution: Execution) -> Step:
    """The step of one learner, or of several as one program."""
    recipe = learners[0].recipe
    # Not every kernel has a rule for vmap, or a gradient of its gradient.
    native = execution.compiled and len(learners) == 1 and not recipe.differentiates_twice
    native = native and learners[0].traits.own_layers
    whole = execution.compiled or execution.device == "cuda" or len(learners) > 1
    if whole and not execution.compiled:  # a person's network may do what one function cannot
        whole = not (learners[0].traits.eager or (recipe.code and untraceable(learners[0], train)))
    if execution.device == "cpu":
        dtype = torch.bfloat16 if execution.precision == "bf16" else torch.float32
        for network in (network for learner in learners for network in learner.networks.values()):
            use_kernels(network, dtype, compiled=native, eager=not whole)
    if not whole:
        steps = [eager_step(learner, train) for learner in learners]
        return steps[0] if len(steps) == 1 else _one_after_another(steps)
    transform = partial(faster, execution=execution, native=native and execution.device == "cpu")
    return replicas_step(learners, train, transform) if len(learners) > 1 else whole_step(learners[0], train, transform)


def faster(whole: Whole, execution: Execution, *, native: bool) -> Whole:
    """The same function, compiled if asked for, with poolings by `native` kernels; on a GPU as one graph."""
    if execution.compiled:
        whole = compiled(_pooled_by_kernels(whole) if native else whole, execution)
    return captured(whole) if execution.device == "cuda" else whole


def own_draws(learner: Learner[Any]) -> AbstractContextManager[None]:
    """For a network that draws: PyTorch's global generator is seeded within the block, and restored afterwards."""
    return seeded_by(learner.own_draws) if learner.own_draws else nullcontext()


def _pooled_by_kernels(whole: Whole) -> Whole:
    def pooled(given: StepTensors) -> Tensor:
        with KernelPooling():
            return whole(given)

    return pooled


def _one_after_another(steps: Sequence[Step]) -> Step:
    def step(rows: Tensor, now: Rates) -> Tensor:
        return torch.cat([each(rows[index : index + 1], now) for index, each in enumerate(steps)])

    return step


def eager_step(learner: Learner[Any], train: Split) -> Step:
    """One operation after another."""
    clip = learner.settings.clip_norm
    descend = EagerDescent(learner.networks, learner.optimizers, clip_norm=clip, averages=learner.averages)

    def step(rows: Tensor, now: Rates) -> Tensor:
        descend.decay = now.average
        for optimizer in learner.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = learner.settings.learning_rate * now.schedule
        batch = learner.batch(train.columns, rows[0], learner.draws()) | learner.state
        with own_draws(learner):
            losses = learner.step(batch, descend)
        return learner.stacked(losses)[None]

    return step
