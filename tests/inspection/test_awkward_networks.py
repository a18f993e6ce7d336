# ruff: noqa: E501 (messages are compared as they are printed)
"""Networks that are hard to look at: closures, compiled and scripted code, in-place writes, no outputs, exits."""

import random
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from etude.errors import UsageError
from etude.inspection.field.probe import pixels, probe
from etude.inspection.folding.simplify import simplify
from etude.inspection.gradients.flow import gradient_flow
from etude.inspection.gradients.gradcheck import gradcheck, summary
from etude.inspection.graph import svg
from etude.inspection.inspecting import Inspection, inspect
from etude.inspection.modes import compare_modes


class Does(nn.Module):
    """A linear layer 4→4 and whatever a test wants to happen."""

    def __init__(self, what: Callable[["Does", Tensor], object]) -> None:
        super().__init__()
        self.layer, self.what = nn.Linear(4, 4), what
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: Tensor) -> object:
        return self.what(self, x)


ROW = torch.rand(3, 4)


def rows(found: Inspection) -> list[tuple[str, str]]:
    return [(layer.path, layer.op) for layer in found.layers]


def test_hooks_and_lambdas_that_close_over_the_network_act_on_the_copy() -> None:
    class Closes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(4)
            self.run = lambda x: self.norm(x)
            self.seen: list[object] = []
            self.norm.register_forward_hook(lambda part, inputs, out: self.seen.append(out))

        def forward(self, x: Tensor) -> Tensor:
            return self.run(x)

    module = Closes()
    module(ROW)
    kept = [value.clone() for value in module.state_dict().values()]
    for question in (inspect, gradcheck, gradient_flow, compare_modes, simplify):
        found = question(module, ROW)
        if isinstance(found, Inspection):
            assert rows(found) == [("norm", "BatchNorm1d")]  # not the original, which trains
            assert found.cost.flops == 2 * ROW.numel()
    assert len(module.seen) == 1
    assert all(torch.equal(a, b) for a, b in zip(kept, module.state_dict().values(), strict=True))
    assert [cell.cell_contents for cell in module.run.__closure__ or ()] == [module]


@pytest.mark.filterwarnings("ignore:`torch.jit")  # by importing the compiler
def test_compiled_networks_are_seen_as_they_are_written() -> None:
    found = inspect(torch.compile(nn.Sequential(nn.Linear(4, 4), nn.ReLU())), ROW)  # type: ignore[arg-type]
    assert rows(found) == [("_orig_mod.0", "Linear"), ("_orig_mod.1", "ReLU")]
    assert found.backward == inspect(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), ROW).backward
    assert found.findings == []


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_scripted_networks_are_counted() -> None:
    found = inspect(torch.jit.script(nn.Linear(4, 4)), ROW)
    assert found.cost.macs == 3 * 16


def test_a_checkpoint_runs_its_layers_again_and_shows_them_once() -> None:
    body = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    module = Does(lambda self, x: checkpoint(body, self.layer(x), use_reentrant=False))
    assert [op for _, op in rows(inspect(module, ROW))] == ["Linear", "Linear", "ReLU", "Linear"]


def overwrites(self: Does, x: Tensor) -> Tensor:
    y = torch.relu(self.layer(x))
    y += 1
    return y


def test_a_backward_pass_that_autograd_refuses_is_told() -> None:
    found = inspect(Does(overwrites), ROW)
    assert found.backward is None
    assert found.findings == [
        "backward not recorded: a tensor of shape 3×4 that the backward pass needs was changed in place after it was used."
    ]
    checks = gradcheck(Does(overwrites), ROW)
    assert [(check.name, check.fault) for check in checks] == [("the backward pass", "no backward pass")]
    assert checks[0].message.startswith("autograd refuses: one of the variables needed for gradient computation")
    assert summary(checks) == "no gradient could be checked: mend the backward pass."
    with pytest.raises(UsageError, match=r"^the network fails in its backward pass: one of the variables"):
        gradient_flow(Does(lambda self, x: F.relu_(self.layer(x)).add_(1)), ROW)


def test_harmless_writes_in_place_are_no_trouble() -> None:
    def writes(self: Does, x: Tensor) -> Tensor:
        y = F.relu_(self.layer(x)).clone()
        y.mul_(2)
        y[:, 0] = 0
        return y

    assert inspect(Does(writes), ROW).findings == []
    assert [check.fault for check in gradcheck(Does(writes), ROW)] == ["ok"] * 3


def test_a_probe_needs_no_backward_pass() -> None:
    class Overwrites(nn.Conv1d):
        def forward(self, input: Tensor) -> Tensor:
            y = torch.relu(super().forward(input))
            y += 1
            return y

    module, x = Overwrites(1, 1, 3), torch.rand(1, 1, 6)
    (axis,) = probe(inspect(module, x), module, x)
    assert (axis.agrees, axis.seen_by_gradient) == (True, None)


def test_gradients_that_are_taken_inside_are_allowed() -> None:
    def slope(self: Does, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(self.layer(x).square().sum(), x, create_graph=True)[0]

    module = Does(slope)
    faults = {check.name: check.fault for check in gradcheck(module, ROW)}
    assert faults == {"input": "detached", "layer.weight": "ok", "layer.bias": "ok"}
    assert compare_modes(module, ROW).difference == 0
    assert simplify(module, ROW).folds == []


def test_a_path_that_depends_on_the_data_is_a_finding() -> None:
    module = Does(lambda self, x: self.layer(x) if x.sum() > 0 else x)
    assert inspect(module, ROW).findings == [
        "depends on the data: bool reads numbers out of tensors; another input may take another path or give other "
        "shapes than this one."
    ]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda self, x: {}["x"], "Does.forward fails on an input of shape 3×4: KeyError: 'x'."),
        (lambda self, x: exit(3), "Does.forward fails on an input of shape 3×4: SystemExit: 3."),
    ],
)  # fmt: skip
def test_whatever_a_network_raises_is_told_on_one_line(what: Callable[[Does, Tensor], object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        inspect(Does(what), ROW)
    assert str(caught.value) == message


def test_indices_out_of_range_are_no_matter_of_shapes() -> None:
    with pytest.raises(UsageError, match=r"^0 \(Embedding\) fails on an input of shape 1×2: IndexError: index out of"):
        inspect(nn.Sequential(nn.Embedding(5, 3)), torch.tensor([[1, 9]]))


def test_a_convolution_says_how_many_dimensions_it_takes() -> None:
    with pytest.raises(UsageError) as caught:
        inspect(nn.Sequential(nn.Conv2d(3, 4, 3)), torch.rand(2, 8, 8))
    assert str(caught.value).endswith(
        "It takes 4 dimensions (batch, channels, height, width) and gets 3: give the input that many, or reshape before it."
    )


def test_what_cannot_be_copied_or_has_no_shape_yet_is_told() -> None:
    module = nn.Linear(4, 4)
    module.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(UsageError) as caught:
        inspect(module, ROW)
    assert str(caught.value) == (
        "Linear is looked at as a copy, but cannot be copied: cannot pickle '_thread.lock' object; keep what it holds "
        "in addition to tensors and modules (a lock, a file) out of it, or give it a __deepcopy__."
    )
    with pytest.raises(UsageError) as caught:
        inspect(nn.Sequential(nn.LazyLinear(3)), ROW)
    assert str(caught.value) == "0.weight has no shape yet: its layer is lazy; run the network on an input once before."


def test_a_network_without_outputs_gets_no_verdict() -> None:
    module = Does(lambda self, x: None)
    with pytest.raises(UsageError, match=r"^nothing to check: the network returns no tensor of real numbers\.$"):
        gradcheck(module, ROW)
    with pytest.raises(UsageError, match=r"^nothing to compare: the network returns no tensor\.$"):
        compare_modes(module, ROW)
    x = torch.rand(1, 1, 4, 4)
    with pytest.raises(UsageError, match=r"^a probe needs an output: the network returns no tensor\.$"):
        probe(inspect(module, x), module, x)
    assert gradient_flow(module, ROW).verdict == "unknown"
    with pytest.raises(
        UsageError, match=r"^nothing to check: no input holds real numbers, and no parameter is trainabl"
    ):
        gradcheck(nn.Identity(), torch.tensor([1]))


def test_what_runs_in_one_precision_or_mode_only_is_told() -> None:
    class Half(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input.half())

    message = "the network fails in float64, which the {} needs: mat1 and mat2 must have the same dtype, but got Half and Double."
    (check,) = gradcheck(Half(4, 4).half(), ROW)
    assert (check.checked, check.wrong, check.message) == (False, False, message.format("gradient check"))
    assert summary([check]) == f"no gradient could be checked: {check.message}"
    found = simplify(nn.Sequential(Half(4, 4).half(), nn.Dropout()), ROW)
    assert (found.folds, found.refused) == ([], [f"1: no proof: {message.format('proof')}"])
    with pytest.raises(
        UsageError, match=r"^the network fails in training mode: Expected more than 1 value per channel"
    ):
        gradient_flow(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), ROW[:1])


def test_a_loss_that_is_not_finite_is_not_blamed_on_a_gradient() -> None:
    (check,) = gradcheck(Does(lambda self, x: self.layer(x) * torch.nan), ROW)
    assert (check.name, check.fault) == ("the forward pass", "not finite")
    assert check.message == "not finite: the loss itself is nan at this input; no check is possible."


def test_state_that_a_pass_in_evaluation_changes_is_not_called_random() -> None:
    def counts(self: Does, x: Tensor) -> Tensor:
        self.count.add_(1)  # type: ignore[operator]
        return self.layer(x) * self.count

    assert compare_modes(Does(counts), ROW).findings == [
        "keeps state in evaluation: a pass in eval mode changes count."
    ]


def test_settings_are_those_of_layers_that_slide_only() -> None:
    class Unpools(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)  # type: ignore[misc]

    found = inspect(Unpools(), torch.rand(1, 1, 4, 4))
    assert [layer.settings.get("kernel") for layer in found.layers] == [[2, 2], None]
    assert inspect(Does(lambda self, x: torch.linalg.matrix_exp(x)), torch.rand(4, 4)).uncounted == [
        "linalg_matrix_exp"
    ]


@pytest.mark.filterwarnings("ignore")  # by importing the compiler
@pytest.mark.parametrize("make", ["fx", "export", "trace", "script"])
def test_graphs_of_every_kind_are_counted(make: str) -> None:
    module, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.rand(1, 3, 8, 8)
    found = inspect({
        "fx": lambda: torch.fx.symbolic_trace(module),
        "export": lambda: torch.export.export(module, (x,)).module(),
        "trace": lambda: torch.jit.trace(module, x),
        "script": lambda: torch.jit.script(module),
    }[make](), x)  # fmt: skip
    assert found.cost.macs == 4 * 36 * 27
    assert found.backward
    assert [axis.size for axis in found.layers[-1].receptive_field or ()] == [3, 3]
    assert found.uncounted == []


def test_a_packed_sequence_counts_its_steps() -> None:
    def runs(self: Does, x: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, [5, 3], batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]  # type: ignore[operator]

    module = Does(runs)
    module.lstm = nn.LSTM(4, 6, batch_first=True)
    found = inspect(module, torch.rand(2, 5, 4))
    assert found.cost.macs == 8 * 4 * 6 * (4 + 6)
    assert [layer.no_field_because for layer in found.layers if layer.no_field_because] == []


def test_parameters_that_only_training_uses_are_not_called_useless() -> None:
    noisy = Does(lambda self, x: self.layer(x) + (self.noise(x) if self.training else 0))  # type: ignore[operator]
    noisy.noise = nn.Linear(4, 4)
    assert inspect(noisy, ROW).findings == [
        "training only: noise.weight, noise.bias took no part in evaluation; in training mode they get a gradient."
    ]
    assert inspect(noisy, ROW, train=True).findings == []
    norm = Does(lambda self, x: self.norm(self.layer(x)))  # type: ignore[operator]
    norm.norm, norm.spare = nn.BatchNorm1d(4), nn.Linear(2, 2)
    assert inspect(norm, ROW).findings == [
        "unused: spare.weight, spare.bias took no part in the forward pass; they get no gradient."
    ]


def test_no_question_moves_a_random_state() -> None:
    def draws(self: Does, x: Tensor) -> Tensor:
        noise = torch.rand(4) + random.random() + float(np.random.rand())  # noqa: NPY002
        return F.dropout(self.layer(x) * noise, 0.5, self.training)

    module, picture = Does(draws), nn.Sequential(nn.Conv2d(1, 1, 3), nn.Dropout(0.5))
    x, image = torch.ones(3, 4), torch.ones(1, 1, 6, 6)
    states = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002
    found = inspect(module, x)
    inspect(module, x, train=True)
    for question in (gradcheck, gradient_flow, compare_modes, simplify):
        question(module, x)
    probe(inspect(picture, image), picture, image)
    pixels(inspect(picture, image), picture, image, layer="0")
    assert str(found)
    assert svg(found)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), str(np.random.get_state()))  # noqa: NPY002


def test_sparse_buffers_are_followed() -> None:
    module = Does(lambda self, x: torch.sparse.mm(self.links, self.layer(x)))
    index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    module.register_buffer(
        "links", torch.sparse_coo_tensor(index, torch.ones(3), (3, 3), check_invariants=False).coalesce()
    )
    found = inspect(module, ROW)
    assert found.cost.macs == 3 * 16 + 3 * 4  # three links
    assert found.trace.buffer_bytes == 3 * 4 + 4
