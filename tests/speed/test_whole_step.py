"""A step as one function of tensors does what the same step does operation by operation."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from etude import recipes
from etude.compute import Execution
from etude.data import Split, load
from etude.families.learner import Learner
from etude.families.recipe import Rates
from etude.runs.splits import make_splits
from etude.speed import compiler
from etude.speed.kernels.layers import Kernel
from etude.speed.steps import eager_step, make_step
from etude.speed.whole_step import NetworkState, Step, StepTensors, state_of, whole_step
from etude.training.learners import create_learner

FULL = Rates(schedule=1.0, average=0.0)
Made = tuple[Learner, Split, Execution]
Make = Callable[..., Made]


@pytest.fixture
def make() -> Make:
    """Makes a learner on the digits, one thread."""

    def make(name: str, *, compiled: bool = False, precision: str = "fp32", **changes: Any) -> Made:
        dataset = load("digits")
        recipe = recipes.change(recipes.get(name), data="digits", **changes)
        execution = Execution(device="cpu", threads=1, precision=precision, compiled=compiled)
        learner = create_learner(recipe, dataset, execution)
        return learner, make_splits(recipe, dataset).train, execution

    return make


def functional(learner: Learner, train: Split) -> Step:
    """The whole step, neither compiled nor captured."""
    return whole_step(learner, train, lambda whole: whole)


def run(step: Step, train: Split, *, num_steps: int, examples_per_step: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    losses = torch.empty(0)
    for _ in range(num_steps):
        losses = step(torch.randint(len(train), (1, examples_per_step), generator=generator), FULL)
    assert not losses.requires_grad
    return losses


def tensors(learner: Learner) -> dict[str, Tensor]:
    """Weights, buffers and moments by name."""
    found = {}
    for name, network in learner.networks.items():
        found |= {f"{name}/{key}": value.detach() for key, value in network.state_dict().items()}
        for index, moments in learner.optimizers[name].state_dict()["state"].items():
            found |= {f"{name}/{index}/{key}": value for key, value in moments.items() if isinstance(value, Tensor)}
    return found


# Adam's first steps have the size of the learning rate whatever the gradient, so rounding of the smallest gradients
# grows: the networks that it trains are compared over few steps, those of SGD and of slow Adam over a hundred.
CASES = [
    ("lenet", {"batch_size": 16}, 100, 1e-5),
    ("cifar-fast", {"batch_size": 16, "width": 4}, 5, 1e-5),
    ("wgan-gp", {"batch_size": 8}, 30, 1e-5),
    ("gan", {"batch_size": 8}, 4, 1e-5),
    ("lsgan", {"batch_size": 8}, 4, 1e-5),
    ("dcgan", {"batch_size": 8}, 1, 2e-4),  # on AVX2 one weight of six million differs by 1.1e-4
    ("vae", {"batch_size": 8}, 10, 1e-5),
    ("vae", {"batch_size": 8, "binarize": "dynamic"}, 10, 1e-5),
    ("cvae", {"batch_size": 8}, 10, 1e-5),
]


@pytest.mark.parametrize(("name", "changes", "num_steps", "tolerance"), CASES)
def test_one_function_learns_what_the_operations_learn(
    name: str, changes: dict[str, Any], num_steps: int, tolerance: float, make: Make
) -> None:
    images = recipes.change(recipes.get(name), **changes).examples_per_step
    results = []
    for kind in (eager_step, functional):
        learner, train, _ = make(name, **changes)
        before = {key: value.clone() for key, value in tensors(learner).items()}
        losses = run(kind(learner, train), train, num_steps=num_steps, examples_per_step=images)
        after = tensors(learner)
        assert any(not torch.equal(after[key], value) for key, value in before.items())
        results.append((losses, after))
    (losses, there), (other_losses, other) = results
    torch.testing.assert_close(losses, other_losses, rtol=1e-4, atol=0)
    assert there.keys() == other.keys()
    for key, value in there.items():
        if key.split("/")[-1] in ("exp_avg_sq", "exp_avg", "momentum_buffer"):
            continue  # as exact as the gradients, which are not weights: tests/training/test_updates.py has them
        if name == "dcgan" and key.startswith("generator/") and key.endswith("bias"):
            continue  # batch-norm takes them away again: their gradient is rounding alone
        torch.testing.assert_close(other[key], value, rtol=tolerance, atol=tolerance, check_dtype=False, msg=key)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_the_compiled_step_learns_what_the_operations_learn(make: Make) -> None:
    results = []
    for compiled in (False, True):
        learner, train, execution = make("lenet", compiled=compiled, batch_size=16)
        losses = run(make_step([learner], train, execution), train, num_steps=100, examples_per_step=16)
        results.append((losses, tensors(learner)))
    (losses, there), (other_losses, other) = results
    torch.testing.assert_close(losses, other_losses, rtol=1e-5, atol=0)
    for key, value in there.items():
        torch.testing.assert_close(other[key], value, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_a_step_in_bf16_compiles_where_two_biases_have_one_gradient(make: Make) -> None:
    losses = []
    for compiled in (False, True):
        learner, train, execution = make("cvae", compiled=compiled, precision="bf16")
        losses.append(run(make_step([learner], train, execution), train, num_steps=10, examples_per_step=32))
    torch.testing.assert_close(losses[0], losses[1], rtol=0.02, atol=0)


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
@pytest.mark.parametrize("gradient_penalty", [0.0, 10.0])
def test_kernels_are_not_where_gradients_are_differentiated(gradient_penalty: float, make: Make) -> None:
    learner, train, execution = make("dcgan", compiled=True, gradient_penalty=gradient_penalty)
    make_step([learner], train, execution)
    layers = [layer for network in learner.networks.values() for layer in network.modules()]
    assert any(isinstance(layer, Kernel) for layer in layers) == (gradient_penalty == 0)


class _StraightThrough(torch.autograd.Function):
    """The sign of numbers, with a gradient as if it were the numbers (Bengio, Léonard and Courville 2013)."""

    @staticmethod
    def forward(numbers: Tensor) -> Tensor:
        return numbers.sign()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs a C++ compiler")
def test_gradients_written_by_hand_are_kept_when_compiled() -> None:
    def whole(given: StepTensors) -> Tensor:
        weights, images = given.networks["network"].parameters["weight"], given.train["images"]
        gradient, loss = torch.func.grad_and_value(lambda w: (_StraightThrough.apply(w) * images[given.rows]).sum())(
            weights
        )
        weights.sub_(given.rates["learning_rate"] * gradient)
        return loss[None]

    results = []
    for step in (whole, compiler.compiled(whole, Execution(device="cpu", threads=1, precision="fp32", compiled=True))):
        weights, images = torch.tensor([-2.0, 0.5, 3.0]), torch.tensor([1.0, 10.0, 100.0, 1000.0])
        state = {"network": NetworkState(parameters={"weight": weights}, buffers={}, moments={})}
        for rows in (torch.tensor([0, 1, 2]), torch.tensor([3, 2, 1])):
            rates = {"learning_rate": torch.tensor(0.5)}
            losses = step(
                StepTensors(networks=state, state={}, train={"images": images}, rows=rows, rates=rates, draws={})
            )
        results.append((weights, losses))
    assert torch.equal(results[0][0], torch.tensor([-2.0 - 500.5, 0.5 - 55, 3.0 - 55]))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_moments_come_in_one_order_whatever_that_of_a_checkpoint(make: Make) -> None:
    # A compiler makes another program of another order, and safetensors gives them back in a new one at each load.
    learner, _, _ = make("gan")

    def order() -> list[tuple[str, list[str]]]:
        return [(key, list(each)) for state in state_of(learner).values() for key, each in state.moments.items()]

    first = order()
    for optimizer in learner.optimizers.values():
        for parameter, moments in optimizer.state.items():
            optimizer.state[parameter] = dict(reversed(moments.items()))
    assert order() == first


def test_the_schedule_scales_the_learning_rate_of_each_step(make: Make) -> None:
    learner, train, _ = make("lenet", batch_size=16)
    step = functional(learner, train)
    rows = torch.arange(16)[None]
    step(rows, FULL)
    before = {key: value.clone() for key, value in learner.networks["lenet"].state_dict().items()}
    step(rows, Rates(schedule=0.0, average=0.0))
    assert all(torch.equal(value, before[key]) for key, value in learner.networks["lenet"].state_dict().items())
