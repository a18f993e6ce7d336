import random
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.errors import UsageError
from etude.inspection.folding.simplify import simplify
from etude.inspection.gradients.flow import gradient_flow
from etude.inspection.gradients.gradcheck import gradcheck
from etude.inspection.inspecting import inspect
from etude.inspection.modes import compare_modes
from etude.inspection.trace.tracing import trace
from etude.inspection.trace.twin import twin_of


class Messy(nn.Module):
    """All that a careless inspection would change: modes, statistics, gradients, random state, hooks, attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.head = nn.Linear(4, 2)
        self.calls = 0
        self.cache: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x = self.drop(self.norm(self.conv(x)))
        self.cache = x.mean((2, 3))
        noise = torch.rand(1, device=x.device) + random.random() + float(np.random.rand())  # noqa: NPY002
        return self.head(F.relu_(self.cache * noise))


def snapshot(module: Messy) -> list[object]:
    state = [value.clone() for value in module.state_dict().values()]
    grads = [None if p.grad is None else p.grad.clone() for p in module.parameters()]
    hooks = [
        list(part._forward_hooks) + list(part._forward_pre_hooks) + list(part._backward_hooks)
        for part in module.modules()
    ]
    return [
        state, grads, [p.requires_grad for p in module.parameters()], [id(p) for p in module.parameters()],
        [part.training for part in module.modules()], hooks, module.calls, module.cache, torch.get_rng_state(),
        random.getstate(), [np.asarray(part) for part in tuple(np.random.get_state())[1:]],  # noqa: NPY002
        torch.is_grad_enabled(), torch.backends.mkldnn.enabled, torch.backends.mha.get_fastpath_enabled(),
        len(nn.modules.module._global_forward_hooks), len(nn.modules.module._global_forward_pre_hooks),
    ]  # fmt: skip


def same(a: object, b: object) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)  # type: ignore[arg-type]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("fails", [False, True])
def test_a_trace_changes_nothing(fails: bool) -> None:
    module = Messy()
    module.norm.eval()
    module.conv.weight.requires_grad_(False)
    module.register_forward_hook(lambda *_: None)
    module(torch.randn(2, 1, 6, 6)).sum().backward()
    module.cache = None
    x = torch.randn(2, 2 if fails else 1, 6, 6)
    before, x_before = snapshot(module), x.clone()
    if fails:
        with pytest.raises(UsageError):
            trace(module, x)
    else:
        trace(module, x)
    assert all(same(a, b) for a, b in zip(before, snapshot(module), strict=True))
    assert torch.equal(x, x_before)
    assert not x.requires_grad


def test_functional_operations_are_seen_with_the_module_that_ran_them() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.fc(x)) + x

    record = trace(nn.Sequential(Net(), Net()), torch.randn(1, 4))
    seen = [(op.call.path, op.function and op.function.name, op.name) for op in record.operations]
    assert seen[:4] == [
        ("0.fc", "linear", "t"),
        ("0.fc", "linear", "addmm"),
        ("0", "relu", "relu"),
        ("0", "add", "add"),
    ]
    assert [path for path, _, _ in seen[4:]] == ["1.fc", "1.fc", "1", "1"]


def test_backward_operations_belong_to_the_forward_operation_that_caused_them() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2, bias=False))
    record = trace(module, torch.randn(5, 3))
    work = {
        op.call.path: [name for name, cost in op.backward if cost and cost.flops]
        for op in record.operations
        if op.name != "t"
    }
    assert work == {"0": ["mm", "sum"], "1": ["tanh_backward"], "2": ["mm", "mm"]}


def test_a_forward_pass_that_looks_at_elements_is_run_with_real_ones() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.small, self.large = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.large(x) if x.sum().item() > 0 else self.small(x)

    assert trace(Branching(), torch.ones(1, 2)).calls[-1].path == "large"
    assert trace(Branching(), -torch.ones(1, 2)).calls[-1].path == "small"


class Words(nn.Module):
    """Large enough for a pass without elements; the indices decide nothing but what is looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places, self.out = nn.Embedding(4000, 256), nn.Embedding(8, 256), nn.Linear(256, 4000)
        self.order: Tensor
        self.register_buffer("order", torch.arange(8).flip(0))

    def forward(self, words: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.words(words) + self.places(self.order[torch.arange(words.shape[1])])
        x = x * (words != 0)[..., None]
        if bool((words < 0).any()):
            raise ValueError("negative")
        scores = self.out(x)
        return scores if labels is None else F.cross_entropy(scores.flatten(0, 1), labels.flatten(), ignore_index=-1)


def test_large_networks_of_whole_numbers_take_a_pass_without_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    forward = nn.Linear.forward
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: seen.append(x.is_meta) or forward(self, x))
    module, words = Words(), torch.randint(4000, (2, 8))
    monkeypatch.setattr("etude.inspection.trace.tracing.WITHOUT_ELEMENTS", 10**6)
    quick = [trace(module, words), trace(module, words, words - 1)]
    assert seen == [True, True]
    monkeypatch.setattr("etude.inspection.trace.tracing.WITHOUT_ELEMENTS", 10**18)
    slow = [trace(module, words), trace(module, words, words - 1)]
    assert seen == [True, True, False, False]
    for one, two in zip(quick, slow, strict=True):
        assert [(op.name, op.cost) for op in one.operations if op.cost and op.cost.flops] == [
            (op.name, op.cost) for op in two.operations if op.cost and op.cost.flops
        ]


@pytest.mark.parametrize(
    ("words", "labels"),
    [((1, 4000), None), ((1, 9), (0, 4000)), ((1, -1), None), ((1, 9), (-2, 0))],
)
def test_indices_out_of_range_are_told_without_elements_too(
    words: tuple[int, ...], labels: tuple[int, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etude.inspection.trace.tracing.WITHOUT_ELEMENTS", 10**6)
    given = [torch.tensor([each]) for each in (words, labels) if each]
    with pytest.raises(UsageError):
        trace(Words(), *given)


def test_too_long_a_text_is_told_without_elements_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.inspection.trace.tracing.WITHOUT_ELEMENTS", 10**6)
    with pytest.raises(UsageError, match=r"out of (range|bounds)"):
        trace(Words(), torch.ones(1, 9, dtype=torch.long))


def test_training_mode_is_traced_on_request() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).eval()
    kept = [value.clone() for value in module.state_dict().values()]
    names = [op.name for op in trace(module, torch.rand(4, 3), train=True).operations]
    assert "native_dropout" in names or "bernoulli" in names
    assert not module.training
    assert all(torch.equal(a, b) for a, b in zip(kept, module.state_dict().values(), strict=True))


def test_old_weight_norm_can_be_copied() -> None:
    with pytest.warns(FutureWarning):
        module = nn.utils.weight_norm(nn.Linear(3, 3))
    x = torch.randn(2, 3)
    expected = module(x)
    assert torch.equal(twin_of(module)(x), expected)
    assert len(trace(module, x).parameters) == 3


def test_several_inputs_outputs_and_keywords() -> None:
    class Pair(nn.Module):
        def forward(self, a: Tensor, *, b: dict[str, Tensor]) -> dict[str, Tensor]:
            return {"sum": a + b["x"], "product": a * b["x"]}

    record = trace(Pair(), torch.ones(2, 3), b={"x": torch.ones(3)})
    assert [value.shape for value in record.inputs] == [(2, 3), (3,)]
    assert [value.shape for value in record.outputs] == [(2, 3), (2, 3)]
    assert record.backward_error is None


def test_writes_in_place_into_parts_are_seen() -> None:
    class Writes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 1
            y[:, 0] += 1
            return y * 2

    names = [op.name for op in trace(Writes(), torch.ones(2, 3)).operations]
    assert names == ["mul", "select", "add", "copy", "mul"] or "copy" in names


@pytest.mark.parametrize(
    ("module", "shape", "message"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(10, 2)),
            (1, 3, 4, 4),
            "2 (Linear) fails on an input of shape 1×16: mat1 and mat2 shapes cannot be multiplied (1x16 and 10x2). "
            "Make it Linear(16, 2), or change the layers before it (padding, kernel, pooling) or the input so that 10 "
            "features arrive.",
        ),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3)),
            (1, 1, 4, 4),
            "0 (Conv2d) fails on an input of shape 1×1×4×4: Given groups=1, weight of size [4, 3, 3, 3], expected "
            "input[1, 1, 4, 4] to have 3 channels, but got 1 channels instead. It is made for 3 channels and gets 1: "
            "change one of the two.",
        ),
    ],
)
def test_a_failing_layer_is_named_with_its_shape_and_a_remedy(
    module: nn.Module, shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        trace(module, torch.randn(shape))
    assert str(caught.value) == message


def test_a_module_that_raises_is_named() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("no\nluck.")

    with pytest.raises(UsageError) as caught:
        trace(Broken(), torch.ones(2, 3))
    assert str(caught.value) == "Broken.forward fails on an input of shape 2×3: no luck."


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (nn.Linear, "Linear is a class: give a network made of it, Linear(…)."),
        (3, "no network: int; give a torch.nn.Module."),
    ],
)
@pytest.mark.parametrize("question", [inspect, simplify, compare_modes, gradient_flow, gradcheck])
def test_what_is_no_network_is_told_so(question: Any, given: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        question(given, torch.rand(2, 4))
    assert str(caught.value) == message
