"""The optimizers' formulas agree with PyTorch's optimizers, moment by moment."""

import math

import pytest
import torch
from torch import Tensor, nn

from etude import recipes
from etude.families.learner import make_optimizer
from etude.speed.updates import _seen, initial_moments, update

SETTINGS = {
    "sgd": {"name": "sgd", "learning_rate": 0.05},
    "sgd with momentum": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9},
    "sgd with decay": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    "sgd with Nesterov's momentum": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": True},
    "adam": {"name": "adam", "learning_rate": 0.01},
    "adam of a GAN": {"name": "adam", "learning_rate": 0.01, "beta1": 0.5},
    "adam without momentum": {"name": "adam", "learning_rate": 0.01, "beta1": 0.0},
    "adam with decay": {"name": "adam", "learning_rate": 0.01, "weight_decay": 0.1},
    "adamw": {"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.1},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_thirty_steps_are_those_of_pytorch(name: str) -> None:
    settings = recipes.Optimizer(**SETTINGS[name])
    generator = torch.Generator().manual_seed(0)
    network = nn.Linear(4, 3, bias=False, dtype=torch.float64)
    (weights,) = network.parameters()
    optimizer = make_optimizer(settings, network)
    ours = weights.detach().clone()
    moments = initial_moments(settings, ours)
    for step in range(30):
        gradient = torch.randn(3, 4, generator=generator, dtype=torch.float64) * 10.0 ** (step % 5 - 4)
        weights.grad = gradient.clone()
        optimizer.step()
        rate = torch.tensor(settings.learning_rate, dtype=torch.float64)
        update(settings, {"weight": ours}, {"weight": gradient}, {"weight": moments}, rate)
        torch.testing.assert_close(ours, weights.detach(), rtol=1e-6, atol=1e-8)
    kept = optimizer.state[weights]
    assert set(moments) == {key for key, value in kept.items() if isinstance(value, Tensor)}
    for key, value in moments.items():
        torch.testing.assert_close(value, kept[key], rtol=1e-6, atol=1e-15, check_dtype=False)


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.999, 0.9999])
def test_the_share_seen_of_a_running_mean_keeps_its_digits(beta: float) -> None:
    counts = torch.tensor([1.0, 2.0, 10.0, 1e3, 1e5])
    exact = -torch.expm1(counts.double() * math.log(beta))
    torch.testing.assert_close(_seen(beta, counts).double(), exact, rtol=1e-6, atol=0)
