"""Checks of a learner's step. Each returns what is wrong, or None."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from etude.families.descent import Losses, Networks
from etude.families.learner import Learner
from etude.families.recipe import Rates
from etude.runs.checkpoint import network_tensors, restore_networks
from etude.speed.compiler import traced
from etude.speed.replicas import replicas_step
from etude.speed.steps import own_draws
from etude.speed.whole_step import given_to, rate_tensors, state_of, whole_of, whole_step
from etude.training.active_run import restore_trainer, trainer_tensors
from etude.training.conformance.specimen import (
    Specimen,
    first_difference,
    generators_kept,
    said,
    same,
    seeded,
    tensors_of,
)

STEPS = 2
"""Steps before and after the middle of a short training."""
TOLERANCE = 2e-3
"""How far two ways to compute a step may differ, as a share of the whole tensor: float32, summed in other orders."""


def loss_names(specimen: Specimen) -> str | None:
    """The step returns the losses of `loss_names`, as finite scalars, detached."""
    learner = specimen.learner()
    with seeded(0):
        losses = learner.step(specimen.batch(learner), specimen.descent(learner))
    if not isinstance(losses, dict):
        return f"step returns {type(losses).__name__}: return a dict of the losses by name."
    if set(losses) != set(learner.loss_names):
        names = ", ".join(losses)
        return (
            f"step returns {names or 'no losses'}, and loss_names has {', '.join(learner.loss_names)}: make them one."
        )
    for name, loss in losses.items():
        if not isinstance(loss, Tensor) or loss.ndim:
            shape = f"of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            return f"loss {name} is {shape}: return a scalar tensor, its mean over the batch."
        if not loss.isfinite():
            return f"loss {name} is {loss.item():g} in the first step: it must be finite."
        if loss.requires_grad:
            return f"loss {name} still has its gradient: return what `descend` returns, or detach it."
    return None


def _draws_of(
    what: str, reseed: Callable[[int], object], state: Callable[[], object], *, hint: str = ""
) -> Callable[[Specimen], str | None]:
    """Make the check that initial weights and a step neither depend on nor change one of the global random states."""

    def check(specimen: Specimen) -> str | None:
        results: list[dict[str, Tensor]] = []
        for seed in (1, 2):
            with generators_kept():
                reseed(seed)
                learner = specimen.learner_as_it_is()
                results.append(tensors_of(learner))
        if name := first_difference(*results):
            return f"initial weights depend on {what} ({name}): draw them by PyTorch, which étude seeds for it."
        results.clear()
        for seed in (1, 2):
            learner = specimen.learner()
            with seeded(0):
                reseed(seed)
                before = state()
                rows = specimen.rows(learner, 0)[0]
                batch = learner.batch(specimen.train.columns, rows, learner.draws()) | learner.state
                with own_draws(learner):
                    losses = learner.step(batch, specimen.descent(learner))
                moved = state() != before
            results.append({**tensors_of(learner), **{f"loss {name}": value for name, value in losses.items()}})
            if moved:
                return f"a step draws from {what}: draw in `draws` from one of `self.streams`, which are saved{hint}."
        if name := first_difference(*results):
            return f"a step depends on the seed of {what} ({name}): draw in `draws` from one of `self.streams`."
        return None

    return check


torch_draws = _draws_of(
    "PyTorch's global random state",
    torch.manual_seed,
    lambda: torch.get_rng_state().numpy().tobytes(),
    hint="; if it is a layer such as dropout, say Network(…, draws=True)",
)
numpy_draws = _draws_of(
    "NumPy's random state",
    np.random.seed,
    lambda: str([part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()]),  # noqa: NPY002
)
python_draws = _draws_of("Python's random state (module random)", random.seed, random.getstate)


def draw_shapes(specimen: Specimen) -> str | None:
    """The draws and the batch have the same names, shapes and types at every step."""
    if specimen.eager:
        return None
    learner = specimen.learner()
    found: list[dict[str, tuple[tuple[int, ...], torch.dtype]]] = []
    for number in range(2 * STEPS):
        with seeded(number):
            draws = learner.draws()
        for name, value in draws.items():
            if not isinstance(value, Tensor):
                return f"draw {name} is {type(value).__name__}: give a tensor, for a compiled step takes nothing else."
        batch = specimen.batch(learner, number)
        for where, tensors in (("draws", draws), ("batch", batch)):
            shapes = {f"{where} {name}": (tuple(value.shape), value.dtype) for name, value in tensors.items()}
            found.append(shapes)
            first = found[0 if where == "draws" else 1]
            if shapes != first:
                name = next(name for name in {**first, **shapes} if first.get(name) != shapes.get(name))
                was, now = (_shape(each.get(name)) for each in (first, shapes))
                return f"{name} is {was} at step 1 and {now} at step {number + 1}: give every step the same shapes."
    return None


def _shape(found: tuple[tuple[int, ...], torch.dtype] | None) -> str:
    return "absent" if found is None else f"{found[0]} {str(found[1]).removeprefix('torch.')}"


def batch_unchanged(specimen: Specimen) -> str | None:
    """A step leaves its batch and the examples unchanged."""
    learner = specimen.learner()
    columns = {name: column.clone() for name, column in specimen.train.columns.items()}
    batch = specimen.batch(learner)
    before = {name: value.clone() for name, value in batch.items() if name not in learner.state}
    with seeded(0):
        learner.step(batch, specimen.descent(learner))
    if name := first_difference(before, {name: batch[name] for name in before}):
        return f"a step changes {name} of its batch in place: write `x = x + …` for `x += …` and `x.add_(…)`."
    if name := first_difference(columns, specimen.train.columns):
        return f"a step changes the column {name} of the examples in place: the next epoch would see it changed."
    return None


def gradients(specimen: Specimen) -> str | None:
    """The first loss of each descent has a gradient for every parameter of the network that is trained."""
    learner = specimen.learner()
    wanted = {
        f"{name}.{key}"
        for name in learner.optimizers
        for key, parameter in learner.networks[name].named_parameters()
        if parameter.requires_grad
    }
    reached: set[str] = set()
    plain = specimen.descent(learner)

    def descend(name: str, losses: Callable[[Networks], Losses]) -> Losses:
        values = plain(name, losses)
        named = learner.networks[name].named_parameters()
        # A bias may have a gradient of zero for ever, such as a critic's last one, which Wasserstein's loss cancels.
        reached.update(
            f"{name}.{key}" for key, each in named if each.grad is not None and (each.ndim < 2 or each.grad.any())
        )
        return values

    for number in range(2 * STEPS):
        batch = specimen.batch(learner, number)
        with seeded(number):
            learner.step(batch, descend)
    missing = sorted(wanted - reached)
    if not missing:
        return None
    names = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    return (
        f"the loss has no gradient for {names}: look for detach(), no_grad() or item() on the way, or a layer that "
        "forward does not use; what is not to be trained gets requires_grad_(False)."
    )


def python_state(specimen: Specimen) -> str | None:
    """A step depends on tensors alone: a new learner that gets all of them continues as the first does."""
    first = specimen.learner()
    specimen.take(first, steps=STEPS)
    second = specimen.learner()
    _give(first, second)
    return _compare(
        _go_on(specimen, first),
        _go_on(specimen, second),
        "what a step does depends on steps before it by something kept in Python ({name} differs in a new learner with "
        "the same tensors): keep it in a buffer of a network, or draw it.",
    )


def resume(specimen: Specimen) -> str | None:
    """A learner restored from a checkpoint continues as one that has all tensors of the first."""
    first = specimen.learner()
    specimen.take(first, steps=STEPS)
    model = {key: value.clone() for key, value in network_tensors(first.networks).items()}
    trainer = {key: value.clone() for key, value in trainer_tensors(first).items()}
    whole, resumed = specimen.learner(), specimen.learner()
    _give(first, whole)
    restore_networks(resumed.networks, model, source=Path("checkpoint"))
    restore_trainer(resumed, trainer)
    there, here = tensors_of(whole), tensors_of(resumed)
    buffers = [f"{name}.{key}" for name, network in first.networks.items() for key, _ in network.named_buffers()]
    unsaved = [name for name in buffers if name not in model and not same(there[name], here[name])]
    if unsaved:
        return f"buffer {unsaved[0]} changes in training and is not saved: register it without persistent=False."
    return _compare(
        _go_on(specimen, whole),
        _go_on(specimen, resumed),
        "training that goes on from a checkpoint differs ({name}): what it depends on is not in state_dict.",
    )


def _give(first: Learner[Any], second: Learner[Any]) -> None:
    """Give a learner all tensors of another, including buffers that no checkpoint holds."""
    for name, network in second.networks.items():
        mine = first.networks[name]
        with torch.no_grad():
            for (_, to), (_, source) in zip(
                [*network.named_parameters(), *network.named_buffers()],
                [*mine.named_parameters(), *mine.named_buffers()],
                strict=True,
            ):
                to.copy_(source)
    restore_trainer(second, {key: value.clone() for key, value in trainer_tensors(first).items()})


def _go_on(specimen: Specimen, learner: Learner[Any]) -> dict[str, Tensor]:
    """The losses and tensors after the steps of the second half."""
    losses = specimen.take(learner, first=STEPS, steps=STEPS)
    named = dict(zip((f"loss {name}" for name in learner.loss_names), losses.T, strict=True))
    return {**named, **tensors_of(learner)}


def _compare(one: dict[str, Tensor], other: dict[str, Tensor], message: str) -> str | None:
    name = first_difference(one, other)
    return message.format(name=name) if name else None


def whole(specimen: Specimen) -> str | None:
    """The step as one function of tensors does what it does operation by operation."""
    if specimen.eager:
        return None
    one, other = (specimen.learner(optimizer=specimen.sgd()) for _ in range(2))
    as_function = whole_step(other, specimen.train, lambda whole: whole)
    losses = specimen.take(one), specimen.take(other, step=as_function)
    return _nearly(one, other, losses, "the step as one function, as it is compiled,")


def tracing(specimen: Specimen) -> str | None:
    """The step can be traced, as before compiling, and the graph does what the step does."""
    if specimen.eager:
        return None
    one, other = (specimen.learner(optimizer=specimen.sgd()) for _ in range(2))
    states, rates = state_of(other), rate_tensors(other)
    now = other.settings.rates_at(0, 100)
    rates["learning_rate"].fill_(other.settings.learning_rate * now.schedule)
    if "average" in rates:
        rates["average"].fill_(now.average)
    with seeded(0), torch.no_grad():
        given = given_to(other, specimen.train, specimen.rows(other, 0)[0], states=states, rates=rates)
        try:
            graph = traced(whole_of(other), given)
        except Exception as error:
            if "DataDependent" in type(error).__name__:
                return said(
                    error,
                    instead="the step asks for the value of a tensor, by an if or item(), which a "
                    "compiled step cannot know: use torch.where, or compute the value in `draws`.",
                )
            raise
        torch.manual_seed(0)
        (losses,) = graph(*tree_leaves(given))
    return _nearly(one, other, (specimen.take(one), losses[None]), "the step as a graph, as it is compiled,")


def replicas(specimen: Specimen) -> str | None:
    """Two learners as one program do what each does alone."""
    if specimen.eager:
        return None
    seeds = (0, 1)
    alone, together = ([specimen.learner(seed=seed, optimizer=specimen.sgd()) for seed in seeds] for _ in range(2))
    step = replicas_step(together, specimen.train, lambda whole: whole)
    rows = torch.cat([specimen.rows(learner, 0) for learner in together])
    with seeded(0):
        losses = step(rows, _rates(together[0]))
    for index, learner in enumerate(alone):
        message = _nearly(
            learner, together[index], (specimen.take(learner), losses[[index]]), "the step of two runs as one program"
        )
        if message:
            return message
    return None


def _rates(learner: Learner[Any]) -> Rates:
    return learner.settings.rates_at(0, 100)


def _nearly(one: Learner[Any], other: Learner[Any], losses: tuple[Tensor, Tensor], what: str) -> str | None:
    """What differs by more than rounding between two learners after a step: losses, gradients, weights or buffers."""
    for index, name in enumerate(one.loss_names):
        mine, yours = (each[-1, index].item() for each in losses)
        if abs(mine - yours) > TOLERANCE * max(abs(mine), 1e-3):
            return f"{what} gives loss {name} {yours:.6g}, and operation by operation {mine:.6g}."
    for kind, (mine, yours) in _vectors(one, other).items():
        error, size = (mine - yours).norm().item(), mine.norm().item()
        if not error <= TOLERANCE * size + 1e-7:
            share = error / size if size else float("inf")
            return f"{what} gives other {kind} than operation by operation: they differ by {100 * share:.2g} %."
    return None


def _vectors(one: Learner[Any], other: Learner[Any]) -> dict[str, tuple[Tensor, Tensor]]:
    """For each network: its gradients, as the momentum of one step, its weights and its buffers, each as one vector."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for name, network in one.networks.items():
        theirs = other.networks[name]
        pairs = list(zip(network.parameters(), theirs.parameters(), strict=True))
        if name in one.optimizers:
            found[f"gradients of {name}"] = _joined(
                [(_momentum(one, name, mine), _momentum(other, name, yours)) for mine, yours in pairs]
            )
        found[f"weights of {name}"] = _joined([(a.detach(), b.detach()) for a, b in pairs])
        buffers = list(zip(network.buffers(), theirs.buffers(), strict=True))
        if buffers:
            found[f"buffers of {name}"] = _joined(buffers)
    if one.state:
        found["carried state"] = _joined([(value, other.state[name]) for name, value in one.state.items()])
    return found


def _momentum(learner: Learner[Any], name: str, parameter: Tensor) -> Tensor:
    moments = learner.optimizers[name].state.get(parameter, {})
    momentum = moments.get("momentum_buffer")
    return torch.zeros_like(parameter) if momentum is None else momentum


def _joined(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    mine, yours = (torch.cat([each[side].flatten().double() for each in pairs]) for side in (0, 1))
    return mine, yours
