# ruff: noqa: E501 (messages are compared as they are printed)
"""What a report says beside its table: advice on shapes, parameters of training alone, rules that fail alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.errors import UsageError
from etude.inspection import findings
from etude.inspection.inspecting import inspect


class LeNet(nn.Module):
    def __init__(self, kernel: int, flatten: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, kernel), nn.Conv2d(6, 16, kernel)
        self.fc1, self.fc2 = nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 10)
        self.flatten = flatten

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(self.flatten(x))))


OTHERWISE = "or change the layers before it (padding, kernel, pooling) or the input so that 400 features arrive."


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize(
    "flatten",
    [
        lambda x: x.view(-1, 16 * 5 * 5),
        lambda x: x.reshape(-1, 400),
        lambda x: torch.reshape(x, (-1, 16 * 5 * 5)),
        lambda x: x.view(x.shape[0], 400),
    ],
)
def test_a_view_that_does_not_fit_gets_the_advice_of_flatten(
    batch_size: int, flatten: Callable[[Tensor], Tensor]
) -> None:
    with pytest.raises(UsageError) as caught:
        inspect(LeNet(3, flatten), torch.rand(batch_size, 3, 32, 32))
    assert str(caught.value).endswith(
        f"400]' is invalid for input of size {576 * batch_size}. An example has 16·6·6 = 576 numbers here, not 400. "
        f"Make it flatten(1) and fc1 Linear(576, 120), {OTHERWISE}"
    )


@pytest.mark.parametrize("flatten", [lambda x: x.flatten(1), lambda x: x.view(x.size(0), -1)])
def test_a_layer_that_does_not_fit_says_which_would(flatten: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(UsageError) as caught:
        inspect(LeNet(3, flatten), torch.rand(1, 3, 32, 32))
    assert str(caught.value).endswith(f"(1x576 and 400x120). Make it Linear(576, 120), {OTHERWISE}")


def test_a_view_for_another_batch_says_so() -> None:
    with pytest.raises(UsageError) as caught:
        inspect(LeNet(5, lambda x: x.view(64, 400)), torch.rand(1, 3, 32, 32))
    assert str(caught.value).endswith(" The view is written for a batch of 64 and gets 1: write flatten(1) instead.")


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_view_that_makes_another_batch_is_a_finding(batch_size: int) -> None:
    """No error at the linear layer: the rows have the right length, and are no examples."""
    found = inspect(LeNet(5, lambda x: x.view(-1, 400)), torch.rand(batch_size, 3, 32, 52)).findings[0]
    assert found == (
        f"changed batch: a view in the network makes {2 * batch_size} rows of 400 out of {batch_size}×16×5×10, so that a "
        f"batch of {batch_size} becomes one of {2 * batch_size}; an example has 16·5·10 = 800 numbers: write flatten(1), "
        "and make the next layer take 800."
    )


def test_views_that_are_meant_are_none() -> None:
    assert inspect(LeNet(5, lambda x: x.view(-1, 400)), torch.rand(3, 3, 32, 32)).findings == []
    tokens = Does(lambda self, x: self.aux(self.layer(x.view(-1, 4))))
    assert inspect(tokens, torch.rand(2, 5, 4)).findings == []


class Does(nn.Module):
    """A layer, an auxiliary one, and whatever a test wants to happen."""

    def __init__(self, what: Callable[..., Any]) -> None:
        super().__init__()
        self.layer, self.aux, self.what = nn.Linear(4, 4), nn.Linear(4, 4), what

    def forward(self, x: Tensor) -> Any:
        return self.what(self, x)


class Merges(nn.Module):
    """A low-rank update that eval() merges into the frozen weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 4), requires_grad=False)
        self.a, self.b, self.merged = nn.Parameter(torch.randn(2, 4)), nn.Parameter(torch.zeros(5, 2)), False

    def train(self, mode: bool = True) -> "Merges":
        super().train(mode)
        if mode == self.merged:
            self.weight.data += (-1 if mode else 1) * (self.b @ self.a).data
            self.merged = not mode
        return self

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight) + (0 if self.merged else x @ self.a.T @ self.b.T)


TRAINING = "training only: aux.weight, aux.bias took no part in evaluation; in training mode they get a gradient."


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (Does(lambda s, x: (s.layer(x), s.aux(x)) if s.training else s.layer(x)), [TRAINING]),
        (Does(lambda s, x: {"out": s.layer(x)} | ({"aux": s.aux(x)} if s.training else {})), [TRAINING]),
        (Does(lambda s, x: s.layer(x) + (s.aux(x) * torch.randn(4) if s.training else 0)), [TRAINING]),
        (Does(lambda s, x: s.aux(s.layer(x)) if s.training and torch.rand(()) < 0.9 else s.layer(x)), [TRAINING]),
        (Merges(), ["training only: a, b took no part in evaluation; in training mode they get a gradient."]),
        (
            Does(lambda s, x: s.layer(x)),
            ["unused: aux.weight, aux.bias took no part in the forward pass; they get no gradient."],
        ),
        (
            Does(lambda s, x: s.layer(x).detach() if s.training else s.layer(x)),
            ["unused: aux.weight, aux.bias took no part in the forward pass; they get no gradient."],
        ),
        (
            Does(lambda s, x: s.layer(x) if x.sum().item() < 100 else s.aux(x)),
            [
                "unused: aux.weight, aux.bias took no part in the forward pass on this input, which decides what runs; "
                "they get no gradient.",
                "depends on the data: item reads numbers out of tensors; another input may take another path or give "
                "other shapes than this one.",
            ],
        ),
        (
            Does(lambda s, x: {}["targets"] if s.training else s.layer(x)),
            ["unused in evaluation: aux.weight, aux.bias; whether training uses them is unknown: KeyError: 'targets'."],
        ),
    ],
)
def test_training_mode_is_asked_before_a_parameter_is_said_to_get_no_gradient(
    module: nn.Module, expected: list[str]
) -> None:
    x = torch.rand(1, 4)
    state, values = torch.get_rng_state(), [p.clone() for p in module.parameters()]
    assert inspect(module, x).findings == expected
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(values, module.parameters(), strict=True))


def test_large_networks_are_asked_without_elements() -> None:
    class Large(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.aux = nn.Linear(4_000, 4_000), nn.Linear(4_000, 10)

        def forward(self, x: Tensor) -> Any:
            return (self.layer(x), self.aux(x)) if self.training else self.layer(x)

    assert inspect(Large(), torch.rand(100, 4_000)).findings == [TRAINING]


def test_a_rule_that_fails_ends_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> list[str]:
        raise IndexError("no such axis")

    monkeypatch.setattr(findings, "_dropped", fails)
    assert inspect(Does(lambda s, x: s.layer(x)), torch.rand(1, 4)).findings == [
        "unused: aux.weight, aux.bias took no part in the forward pass; they get no gradient.",
        "unknown: the rule for unseen positions failed: IndexError: no such axis.",
    ]
