"""Real networks, small: no traceback in any mode, costs equal to a second count, fields right where NaN can tell."""

import re
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode

from etude.errors import UsageError
from etude.inspection.field.probe import probe
from etude.inspection.field.receptive_field import TensorReach
from etude.inspection.folding.simplify import simplify
from etude.inspection.gradients.flow import gradient_flow
from etude.inspection.gradients.gradcheck import gradcheck
from etude.inspection.gradients.lag_flow import lag_flow
from etude.inspection.graph import svg
from etude.inspection.inspecting import inspect
from etude.inspection.modes import compare_modes
from etude.inspection.trace.twin import float64_by_default, precise, precise_twin
from inspection.real_networks import images_out, language, others, vision

NETWORKS: dict[str, Any] = {
    **language.NETWORKS, **vision.NETWORKS, **images_out.NETWORKS, **others.NETWORKS,
}  # fmt: skip
NO_FIELD = {
    "deformable": "no rule for grid_sampler_2d",
    "switch experts": "a tensor without elements",
    "LSTM tagger": "_pack_padded_sequence at positions that the data choose",
}
"""Networks whose last field is unknown, and why."""
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")  # nn.Transformer's own default


def made(name: str) -> tuple[nn.Module, tuple[Tensor, ...], dict[str, Any], int | None]:
    torch.manual_seed(0)
    build, inputs, keywords, macs = NETWORKS[name]
    return build().eval(), inputs(), keywords, macs


def test_there_are_sixty_and_more() -> None:
    assert len(NETWORKS) >= 60


@pytest.mark.parametrize("name", NETWORKS)
def test_products_equal_an_independent_count(name: str) -> None:
    module, inputs, keywords, macs = made(name)
    found = inspect(module, *inputs, **keywords)
    assert found.uncounted == []
    if macs is None:
        with (
            torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
        ):
            module(*inputs, **keywords)
        macs = counter.get_total_flops() // 2
    assert found.cost.macs == macs
    assert found.backward is not None
    assert found.text().count("\n") > len(found.sequence.rows if found.sequence else found.layers)
    assert {layer["path"] for layer in found.to_dict()["layers"]}
    assert not [text for text in found.findings if re.match("mixed|two axes|one step|not causal|pads|last step", text)]
    if found.sequence:
        assert found.sequence.forward
        assert found.sequence.forward.at(found.sequence.sequences.lengths) == found.cost.flops


@pytest.mark.parametrize("name", NETWORKS)
def test_no_output_sees_more_or_less_than_it_is_said_to(name: str) -> None:
    """One position poisoned at a time: what turns NaN has read it. Element by element nothing may be left out; over
    all elements of a position nothing may be added."""
    module, inputs, keywords, _ = made(name)
    found = inspect(module, *inputs, **keywords)
    value = found.trace.outputs[0]
    state = found.fields.states.get(value)
    if not isinstance(state, TensorReach):
        assert name not in NO_FIELD or NO_FIELD[name] in str(state)
        assert state is None or name in NO_FIELD, state
        return
    assert found.fields.input is not None
    which = found.trace.inputs.index(found.fields.input)
    if not inputs[which].is_floating_point():
        return
    module = precise_twin(module)
    doubles = [precise(x) for x in inputs]
    for reach, axis in zip(state.reaches, found.fields.axes, strict=True):
        seen, read = [], []
        for position in range(inputs[which].shape[axis]):
            x = doubles[which].clone()
            x.select(axis, position).fill_(torch.nan)
            with torch.no_grad(), float64_by_default():
                out = module(*doubles[:which], x, *doubles[which + 1 :], **keywords)
            (bad, *_) = (y.isnan() for y in tree_flatten(out)[0] if isinstance(y, Tensor))
            has = (reach.sets[:, position // 64] >> np.uint64(position % 64)) & np.uint64(1)
            said = torch.from_numpy(has.astype(bool))[reach.where].expand(value.shape)
            assert not (bad & ~said).any(), (axis, position)
            seen.append(bool(bad.any()))
            read.append(bool(said.any()))
        assert seen == read


@pytest.mark.parametrize("name", NETWORKS)
def test_no_question_ends_in_a_traceback_or_moves_a_random_state(name: str) -> None:
    module, inputs, keywords, _ = made(name)
    found = inspect(module, *inputs, **keywords)
    before = torch.get_rng_state()
    svg(found)
    inspect(module, *inputs, train=True, **keywords)
    for question in (gradcheck, simplify, gradient_flow, compare_modes):
        with suppress(UsageError):  # told on one line
            question(module, *inputs, **keywords)
    if found.sequence:
        lag_flow(module, inputs, keywords, found.sequence, seed=0)
    with suppress(UsageError):
        probe(found, module, *inputs, **keywords)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", NETWORKS)
def test_no_fold_is_false(name: str) -> None:
    """The folded network gives the same on inputs of ours too, to rounding in float64."""
    module, inputs, keywords, _ = made(name)
    found = simplify(module, *inputs, **keywords)
    if not found.folds:
        return
    torch.manual_seed(7)
    others = [precise(torch.randn_like(x) if x.is_floating_point() else x) for x in inputs]
    with torch.no_grad(), float64_by_default():
        ours, theirs = (
            [x for x in tree_flatten(net.eval()(*others, **keywords))[0] if isinstance(x, Tensor)]
            for net in (precise_twin(module), precise_twin(found.module))
        )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
