"""What of recording a step needs no GPU: the buffers, and that recording leaves no trace.

In place of the CUDA graph stands a recorder of PyTorch's operations. It replays them on the memory that they were
recorded with, as a graph does: a Python number stays what it was, and a tensor that is not copied into its buffer is
not seen.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from etude import recipes
from etude.compute import Execution
from etude.data import Split, load
from etude.families.learner import Learner
from etude.families.recipe import Rates
from etude.speed.cuda_graph import captured
from etude.speed.replicas import replicas_step
from etude.speed.whole_step import Step, Whole, whole_step
from etude.training.learners import create_learner


class Recording(TorchDispatchMode):
    """Every operation with the tensors it took and gave."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Callable[..., Any], Any, dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, given))
        return given

    def replay(self) -> None:
        """Do it all again, with the results where they were."""
        for func, args, kwargs, given in self.operations:
            for old, new in zip(tree_leaves(given), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def record_operations(function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    for _ in range(3):
        function()
    with Recording() as recording:
        losses = function()
    return recording.replay, losses


def recorded(whole: Whole) -> Whole:
    return captured(whole, record=record_operations)


def learner_of(name: str, **changes: Any) -> tuple[Learner, Split]:
    dataset = load("digits")
    recipe = recipes.change(recipes.get(name), data="digits", batch_size=8, **changes)
    learner = create_learner(recipe, dataset, Execution(device="cpu", threads=1, precision="fp32", compiled=False))
    return learner, dataset.train


def four_steps(step: Step, num_images: int, runs: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    losses = []
    for schedule in (1.0, 0.5, 0.1, 1.0):
        rows = torch.randint(1000, (runs, num_images), generator=generator)
        losses.append(step(rows, Rates(schedule=schedule, average=0.0)).clone())
    return losses


def tensors(learner: Learner) -> dict[str, Tensor]:
    """Weights, buffers, moments and the states of the random streams."""
    found = {f"stream {name}": generator.get_state() for name, generator in learner.streams.items()}
    for name, network in learner.networks.items():
        found |= {f"{name} {key}": value for key, value in network.state_dict().items()}
        for index, moments in learner.optimizers[name].state_dict()["state"].items():
            found |= {f"{name} {index} {key}": value for key, value in moments.items() if isinstance(value, Tensor)}
    return found


@pytest.mark.parametrize("name", ["lenet", "cifar-fast", "gan", "dcgan", "wgan-gp", "vae", "cvae"])
def test_a_recorded_step_learns_what_the_step_does(name: str) -> None:
    results = []
    for transform in (lambda whole: whole, recorded):
        learner, train = learner_of(name, **({"binarize": "dynamic"} if name == "vae" else {}))
        before = {key: value.clone() for key, value in tensors(learner).items()}
        num_images = 40 if name == "wgan-gp" else 8
        losses = four_steps(whole_step(learner, train, transform), num_images)
        after = tensors(learner)
        assert any(not torch.equal(after[key], value) for key, value in before.items())
        results.append((losses, after))
    (losses, there), (other_losses, other) = results
    assert all(torch.equal(each, other_each) for each, other_each in zip(losses, other_losses, strict=True))
    assert there.keys() == other.keys()
    assert [key for key, value in there.items() if not torch.equal(value, other[key])] == []


def test_replicas_are_recorded_together() -> None:
    results = []
    for transform in (lambda whole: whole, recorded):
        learners = [learner_of("lenet", seed=seed)[0] for seed in range(3)]
        train = learner_of("lenet")[1]
        losses = four_steps(replicas_step(learners, train, transform), 8, runs=3)
        results.append([losses[-1], *(value for each in learners for value in tensors(each).values())])
    assert results[0][0].shape == (3, 1)
    assert all(torch.equal(value, other) for value, other in zip(*results, strict=True))
