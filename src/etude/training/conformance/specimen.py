"""A recipe on a few examples: what every check makes its learners from, and how learners are compared."""

import random
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.compute import Execution
from etude.data import Dataset, Images, RunningText, Split, Table, TokenPairs, Tokens, load
from etude.data.text.vocabulary import PAD
from etude.errors import UsageError
from etude.families.descent import Descent, EagerDescent
from etude.families.family import Family, Networks
from etude.families.learner import Batch, Learner
from etude.families.recipe import Optimizer, Recipe
from etude.speed.steps import eager_step
from etude.speed.whole_step import Step
from etude.training.learners import create_learner, examined
from etude.user_code import reason

TRAIN, VALIDATION, TEST, BATCH = 64, 16, 32, 8
"""Examples per split, and per step."""
SYMBOLS = 1_000
"""Symbols of a running text to validate on, and to test on; ten times as many train, so that a long chunk fits in."""
SGD = Optimizer(name="sgd", learning_rate=1e-3, momentum=0.9)
"""Adam's first steps have the size of the learning rate, whatever the gradient. So ways to compute a step that
differ by rounding are compared with this optimizer: its momentum after one step is the gradient."""


ETUDE, TORCH = str(Path(__file__).parents[2]), str(Path(torch.__file__).parent)


class Specimen:
    """A family and one of its recipes, cut down to a few steps on a few examples; final.

    PyTorch's, NumPy's and Python's global random states are seeded alike before each step. So hidden draws are found by
    the checks for them, and do not disturb the others.
    """

    def __init__(self, family: Family[Any], recipe: Recipe) -> None:
        self.family = family
        self.network = family.network_of(recipe)
        self.dataset = small_dataset(self.network.kinds)
        self.recipe = smaller(recipe, self.dataset.name)
        self.kind = self.dataset.kind
        self.execution = Execution(device="cpu", threads=1, precision="fp32", compiled=False)

    @property
    def train(self) -> Split:
        """The examples to train on."""
        return self.dataset.train

    @cached_property
    def eager(self) -> bool:
        """Whether steps are always computed operation by operation, so that no other way needs checking."""
        return bool(examined(self.recipe, self.kind).traits.eager)

    @cached_property
    def validation(self) -> Split:
        """The examples to choose by."""
        assert self.dataset.validation is not None
        return self.dataset.validation

    def learner(self, *, seed: int = 0, optimizer: Optimizer | None = None) -> Learner[Any]:
        """A new learner with initial weights from a seed."""
        with seeded(seed):
            return self.learner_as_it_is(seed=seed, optimizer=optimizer)

    def learner_as_it_is(self, *, seed: int = 0, optimizer: Optimizer | None = None) -> Learner[Any]:
        """The same learner, whatever the global random states are."""
        recipe = replace(self.recipe, seed=seed, optimizer=optimizer or self.recipe.optimizer)
        return create_learner(recipe, self.dataset, self.execution)

    def sgd(self) -> Optimizer:
        """SGD in place of the recipe's optimizer, with the recipe's other settings."""
        own = self.recipe.optimizer
        return replace(SGD, clip_norm=own.clip_norm, average=own.average)

    def networks(self, *, seed: int = 0) -> Networks:
        """New networks, as they are built to be restored from a checkpoint."""
        with seeded(seed):
            return self.network.build(self.recipe, self.kind)

    def rows(self, learner: Learner[Any], number: int) -> Tensor:
        """The rows (1, examples per step) of step `number`, from 0, one step after the other through each epoch."""
        rows = torch.arange(len(self.train))
        epoch, step = divmod(number, len(rows) // self.recipe.examples_per_step)
        return learner.epoch(rows, self.train.columns, epoch + 1)[step][None]

    def take(self, learner: Learner[Any], *, first: int = 0, steps: int = 1, step: Step | None = None) -> Tensor:
        """The losses (steps, losses) of `steps` steps from number `first` on, one operation after another."""
        step = step or eager_step(learner, self.train)
        taken: list[Tensor] = []
        for number in range(first, first + steps):
            with seeded(number):
                rates = learner.settings.rates_at(number, 100)
                taken.append(step(self.rows(learner, number), rates)[0])
        return torch.stack(taken)

    def batch(self, learner: Learner[Any], number: int = 0) -> Batch:
        """The batch of step `number`."""
        with seeded(number):
            return learner.batch(self.train.columns, self.rows(learner, number)[0], learner.draws()) | learner.state

    def descent(self, learner: Learner[Any]) -> Descent:
        """How to descend one operation after another."""
        settings = learner.settings
        return EagerDescent(
            learner.networks, learner.optimizers, clip_norm=settings.clip_norm, averages=learner.averages
        )


def smaller(recipe: Recipe, data: str) -> Recipe:
    """The recipe on a few examples, with nothing else changed."""
    return replace(
        recipe, data=data, image_size=None, fit=None, skip_broken=False, train_images=None, validation_images=None,
        batch_size=BATCH, report_every=1, epochs=1, seed=0,
    )  # fmt: skip


def small_dataset(kinds: tuple[type, ...]) -> Dataset:
    """A few examples of one of these kinds: digits, sentences, pairs, or points around a centre for each class."""
    embedded = {Images: "digits", Tokens: "opinions", TokenPairs: "clauses"}
    if name := next((name for kind, name in embedded.items() if kind in kinds), None):
        digits = load(name)
        everything, rest = digits.train, digits.test
        if isinstance(digits.kind, TokenPairs):  # the shortest, for translations by untrained networks are long
            everything, rest = (
                split.take((split["source"] != PAD).sum(1).argsort(stable=True)) for split in (everything, rest)
            )
    elif Table in kinds:
        labels = torch.arange(TRAIN + VALIDATION + TEST) % 3
        spread = torch.randn(len(labels), 2, generator=torch.Generator().manual_seed(0))
        points = Split(features=spread + 4.0 * torch.stack([labels == 1, labels == 2], dim=1), labels=labels)
        everything, rest = points.take(torch.arange(TRAIN + VALIDATION)), points.take(torch.arange(-TEST, 0))
        mean, scale = everything.features.mean(dim=0), everything.features.std(dim=0)
        kind = Table(class_names=("0", "1", "2"), mean=tuple(mean.tolist()), scale=tuple(scale.tolist()))
        digits = Dataset(name="points", kind=kind, train=everything, test=rest, licence="", source="")
    elif RunningText in kinds:
        text = load("python-docs")
        parts = {"train": 10 * SYMBOLS, "validation": SYMBOLS, "test": SYMBOLS}
        return replace(text, **{name: getattr(text, name).take(torch.arange(size)) for name, size in parts.items()})
    else:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise UsageError(f"its network takes {names or 'no kind of data'}: `etude check` has Images and Table.")
    return replace(
        digits,
        train=everything.take(torch.arange(TRAIN)),
        validation=everything.take(torch.arange(TRAIN, TRAIN + VALIDATION)),
        test=rest.take(torch.arange(TEST)),
    )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global random states of PyTorch, NumPy and Python within the block, and restore them afterwards."""
    with generators_kept():
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  (a person's code may draw from it)
        random.seed(seed)
        yield


@contextmanager
def generators_kept() -> Iterator[None]:
    """Restore the global random states of PyTorch, NumPy and Python after the block."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def tensors_of(learner: Learner[Any]) -> dict[str, Tensor]:
    """Copies of everything that a learner changes: weights, buffers (also those that are not saved), moments,
    streams."""
    found: dict[str, Tensor] = {}
    for name, network in learner.networks.items():
        named = [*network.named_parameters(), *network.named_buffers()]
        found |= {f"{name}.{key}": value for key, value in named}
        if name in learner.optimizers:
            state = learner.optimizers[name].state
            found |= {
                f"{name}.{key}/{moment}": value
                for key, parameter in network.named_parameters()
                for moment, value in state.get(parameter, {}).items()
                if isinstance(value, Tensor)
            }
    found |= {f"state {name}": value for name, value in learner.state.items()}
    found |= {f"stream {name}": stream.get_state() for name, stream in learner.streams.items()}
    return {name: value.detach().clone() for name, value in found.items()}


def modes_of(learner: Learner[Any]) -> dict[str, bool]:
    """Which of its modules are in training mode."""
    return {
        f"{name}.{key}".rstrip("."): module.training
        for name, network in learner.networks.items()
        for key, module in network.named_modules()
    }


def first_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first name that only one side has, or whose values differ."""
    for name in [*one, *(set(other) - set(one))]:
        if name not in one or name not in other or not same(one[name], other[name]):
            return name
    return None


def same(one: Any, other: Any) -> bool:
    """Whether two tensors or numbers are equal in every bit; NaN equals NaN."""
    if isinstance(one, Tensor):
        return one.shape == other.shape and torch.equal(torch.nan_to_num(one), torch.nan_to_num(other))
    return one == other or (one != one and other != other)


def said(error: BaseException, *, instead: str = "") -> str:
    """An exception of a person's code on one line: "net.py line 12: ValueError: …", or with `instead` in place of
    its own text."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if not each.filename.startswith((ETUDE, TORCH, "<"))]
    place = f"{Path(own[-1].filename).name} line {own[-1].lineno}: " if own else ""
    return f"{place}{instead or reason(error) + '.'}"
