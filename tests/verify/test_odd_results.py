"""Whatever learners' code returns, the judge itself does not fail: the check is wrong, for a reason on one line."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from etude.verify import CONTRACTS, CheckResult, matching
from etude.verify.contract import Check
from etude.verify.contracts.autoencoder import VAE
from etude.verify.matching import judge

CHECKS = {f"{contract.name}.{check.name}": check for contract in CONTRACTS.values() for check in contract.checks}
TWINS = ("cvae.", "gan.generator", "gan.build_", "classifier.Net", "sequences.rnn_", "sequences.gru_", "sequences.bi")
"""What is observed by the same code as another: the conditional VAE, all networks but the discriminator, all cells but
one, both states."""
OBSERVED = [name for name in CHECKS if not name.startswith(TWINS) or name == "gan.generator_loss"]


class Surprising(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        raise RuntimeError("no way back")


ODD: dict[str, Callable[[], Any]] = {
    "a 0-d tensor": lambda: torch.tensor(0.3),
    "one element": lambda: torch.rand(1),
    "the wrong shape": lambda: torch.rand(3, 1, 2, 5, 1),
    "nothing in it": lambda: torch.empty(0, 4),
    "a sparse tensor": lambda: torch.eye(4).to_sparse(),
    "a sparse row format": lambda: torch.eye(4).to_sparse_csr(),
    "complex numbers": lambda: torch.randn(4, 1, dtype=torch.complex128),
    "one complex number": lambda: torch.tensor(1j),
    "a nested tensor": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "a quantized tensor": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "truth values": lambda: torch.tensor([[True], [False]]),
    "whole numbers": lambda: torch.arange(6).reshape(2, 3),
    "NaN": lambda: torch.full((2, 2), float("nan")),
    "half precision": lambda: torch.ones(2, 3, dtype=torch.bfloat16),
    "no storage": lambda: torch.ones(2, device="meta"),
    "a parameter": lambda: nn.Parameter(torch.ones(2, 2)),
    "no way back": lambda: Surprising.apply(torch.ones(2, 2, requires_grad=True)),
    "an array": lambda: np.ones((2, 2)),
    "nothing at all": lambda: None,
    "a text": lambda: "0.5",
    "a pair": lambda: (torch.ones(2), torch.ones(2)),
    "three of them": lambda: [torch.tensor(0.5)] * 3,
    "no members": lambda: (),
    "a huge number": lambda: 10**400,
}

FEW = ["a 0-d tensor", "the wrong shape", "nothing in it", "a sparse tensor", "complex numbers"]
"""For what takes long: networks, and statistics of random draws."""


class Odd(nn.Module):
    def __init__(self, value: Callable[[], Any]) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.value = value

    def forward(self, *inputs: Tensor) -> Any:
        return self.value()


class OddOptimizer:
    """Its step leaves the first parameter as an odd value."""

    def __init__(self, params: Any, value: Callable[[], Any]) -> None:
        self.first, self.value = next(iter(params)), value

    def step(self) -> None:
        self.first.data = self.value()


def candidates(check: Check, value: Callable[[], Any]) -> list[Callable[..., Any]]:
    """What is looked for, returning the value; a factory also makes an object that does."""

    def function(*arguments: Any, **settings: Any) -> Any:
        return value()

    if check.looks_for == "VAE":
        assert check.method is not None
        return [function, type("Mine", (VAE,), {check.method: lambda self, *arguments: value()})]
    if check.method == "step":
        return [function, lambda params, **settings: OddOptimizer(params, value)]
    if check.name == "get_optimizer":
        return [function, lambda model: OddOptimizer(model.parameters(), value)]
    if "module" in check.call:
        return [function, lambda *arguments: Odd(value)]
    if "or a class" in check.call:
        members = {"__init__": lambda self, *sizes: nn.Module.__init__(self), "forward": function}
        return [function, type("Mine", (nn.Module,), members)]
    return [function]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", OBSERVED)
def test_odd_results_are_wrong_with_a_reason(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(matching, "explain", lambda *arguments: ())
    monkeypatch.setattr(matching, "SHRINK_SECONDS", 0.0)
    monkeypatch.setattr(matching, "EXAMPLES", 2)
    check, verdicts = CHECKS[name], dict[str, CheckResult]()
    check = replace(check, conventions=check.conventions[:1])  # others of a check are like it
    for odd in FEW if check.is_random or "module" in check.call or check.name == "get_optimizer" else ODD:
        for number, candidate in enumerate(candidates(check, ODD[odd])):
            verdicts[f"{odd} {number}"] = judge(check, candidate)
    assert {odd: result for odd, result in verdicts.items() if result.status != "wrong"} == {}
    assert {odd: result for odd, result in verdicts.items() if not result.message or "\n" in result.message} == {}


LOSS = CHECKS["gan.generator_loss"]


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ("a sparse tensor", "it returned a sparse, nested or quantized tensor; expected a dense one"),
        ("a nested tensor", "it returned a sparse, nested or quantized tensor; expected a dense one"),
        ("complex numbers", "it returned complex numbers (torch.complex128); expected real ones"),
        ("the wrong shape", "it has shape (3, 1, 2, 5, 1); expected ()"),
    ],
)
def test_the_reason_names_what_was_returned(odd: str, message: str):
    result = judge(LOSS, lambda logits: ODD[odd]())
    assert result.message == f"{message}; call: {LOSS.call}."


def test_the_reason_names_a_backward_pass_that_fails():
    result = judge(CHECKS["layers.embedding"], lambda indices, weight: Surprising.apply(weight[indices]))
    assert result.message.startswith("its backward pass raised RuntimeError: no way back; call: embedding(")
