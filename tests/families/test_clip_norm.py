"""Gradients scaled down to a norm: as PyTorch does it, in every kind of step."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from etude.families.descent import EagerDescent
from etude.families.learner import make_optimizer
from etude.families.recipe import Optimizer
from etude.speed.updates import clip_norm, initial_moments
from etude.speed.whole_step import FunctionalDescent, NetworkState


def network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1))


def gradients_of(size: float) -> tuple[nn.Sequential, dict[str, Tensor]]:
    """A network whose gradients are as large as `size` together, and these by name."""
    module, generator = network(), torch.Generator().manual_seed(1)
    drawn = [torch.randn(each.shape, generator=generator) for each in module.parameters()]
    norm = torch.cat([each.flatten() for each in drawn]).norm()
    for parameter, each in zip(module.parameters(), drawn, strict=True):
        parameter.grad = each * (size / norm)
    return module, {name: each.grad.clone() for name, each in module.named_parameters() if each.grad is not None}


def norm_of(gradients: dict[str, Tensor]) -> float:
    return torch.cat([each.flatten().double() for each in gradients.values()]).norm().item()


@pytest.mark.parametrize("most", [1e-3, 0.5, 1.0, 2.0, 100.0])
@pytest.mark.parametrize("size", [0.0, 1e-8, 0.3, 1.0, 1.999, 50.0, 1e6])
def test_it_is_pytorchs(size: float, most: float) -> None:
    module, gradients = gradients_of(size)
    clip_grad_norm_(module.parameters(), most)
    found = clip_norm(gradients, most)
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-6, atol=0)


@given(size=st.floats(1e-6, 1e6), most=st.floats(1e-6, 1e6))
def test_it_never_enlarges_and_never_turns(size: float, most: float) -> None:
    _, gradients = gradients_of(size)
    found = clip_norm(gradients, most)
    assert norm_of(found) <= min(most, size) * (1 + 1e-5)
    scale = norm_of(found) / norm_of(gradients)
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient * scale, rtol=1e-5, atol=0)
        assert (found[name].abs() <= gradient.abs()).all()


def test_small_gradients_stay_bit_for_bit() -> None:
    _, gradients = gradients_of(0.5)
    assert all(torch.equal(each, gradients[name]) for name, each in clip_norm(gradients, 1.0).items())


def loss(apply: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    return (10 * apply(inputs)).square().mean()  # steep: its gradient is far above every norm below


@pytest.mark.parametrize("name", ["sgd", "adam"])
@pytest.mark.parametrize("most", [0.0, 0.25])
def test_both_kinds_of_step_take_pytorchs_steps(name: str, most: float) -> None:
    settings = Optimizer(name="sgd" if name == "sgd" else "adam", learning_rate=1e-4, clip_norm=most)
    plain, eager, functional = network(), network(), network()
    theirs = make_optimizer(settings, plain)
    states = {
        "one": NetworkState(
            parameters={key: each.detach() for key, each in functional.named_parameters()},
            buffers={},
            moments={key: initial_moments(settings, each.detach()) for key, each in functional.named_parameters()},
        )
    }
    rates = {"learning_rate": torch.tensor(settings.learning_rate)}
    steps = (
        EagerDescent({"one": eager}, {"one": make_optimizer(settings, eager)}, clip_norm=settings.clip_norm),
        FunctionalDescent({"one": functional}, states, settings, rates, {}),
    )
    generator, norms = torch.Generator().manual_seed(2), []
    for _ in range(10):
        inputs = torch.randn(16, 5, generator=generator)
        theirs.zero_grad()
        loss(plain, inputs).backward()
        norms.append(clip_grad_norm_(plain.parameters(), most or torch.inf).item())
        theirs.step()
        for descend in steps:
            descend("one", lambda networks, inputs=inputs: {"loss": loss(networks["one"], inputs)})
    assert min(norms) > 1
    for key, value in plain.state_dict().items():
        assert not torch.equal(value, network().state_dict()[key])
        torch.testing.assert_close(eager.state_dict()[key], value, rtol=0, atol=0)
        torch.testing.assert_close(functional.state_dict()[key], value, rtol=1e-5, atol=1e-6)


def test_each_network_is_clipped_by_itself() -> None:
    settings = Optimizer(name="sgd", learning_rate=1.0, clip_norm=1.0)
    networks: dict[str, nn.Module] = {"one": network(1), "other": network(2)}
    before = {name: [each.detach().clone() for each in module.parameters()] for name, module in networks.items()}
    optimizers = {name: make_optimizer(settings, module) for name, module in networks.items()}
    descend, inputs = EagerDescent(networks, optimizers, clip_norm=1.0), torch.ones(4, 5)
    for name in networks:
        descend(name, lambda given: {"loss": loss(given["one"], inputs) + loss(given["other"], inputs)})
        moved = [new.detach() - old for new, old in zip(networks[name].parameters(), before[name], strict=True)]
        assert torch.cat([each.flatten() for each in moved]).norm().item() == pytest.approx(1, rel=1e-4)
