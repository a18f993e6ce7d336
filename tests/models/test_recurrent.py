"""Recurrent cells and layers: equal to PyTorch's; pads, batch-mates and their order change nothing."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from etude.models.recurrent import CELLS, FUSED, Bidirectional, Recurrent, last_within, reversed_within

PYTORCHS_CELLS: dict[str, Any] = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}
NAMES = ("rnn", "gru", "lstm")


def flat(state: Any) -> list[Tensor]:
    return list(state) if isinstance(state, tuple) else [state]


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_is_pytorchs_in_values_and_gradients(name: str) -> None:
    ours, theirs = CELLS[name](3, 4).double(), PYTORCHS_CELLS[name](3, 4).double()
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(5, 3, dtype=torch.float64)
    state = torch.randn(5, 4, dtype=torch.float64)
    state = (state, torch.randn(5, 4, dtype=torch.float64)) if name == "lstm" else state
    for before in (None, state):
        for found, expected in zip(flat(ours(inputs, before)), flat(theirs(inputs, before)), strict=True):
            torch.testing.assert_close(found, expected)
    factors = torch.randn(5, 4, dtype=torch.float64)
    for cell in (ours, theirs):
        torch.stack([(each * factors).sum() for each in flat(cell(inputs, state))]).sum().backward()
    for (label, found), (other, expected) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert label == other
        torch.testing.assert_close(found.grad, expected.grad)


@pytest.mark.parametrize("name", NAMES)
def test_initial_weights_are_uniform_as_pytorchs(name: str) -> None:
    for parameter in CELLS[name](3, 100).state_dict().values():
        assert float(parameter.abs().max()) <= 0.1
        assert float(parameter.std()) == pytest.approx(0.1 / 3**0.5, rel=0.2)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_is_pytorchs(name: str) -> None:
    ours, theirs = Recurrent(CELLS[name](3, 4)).double(), FUSED[name](3, 4, batch_first=True).double()
    theirs.load_state_dict({f"{key}_l0": tensor for key, tensor in ours.cell.state_dict().items()})
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    found, state = ours(inputs)
    expected, last = theirs(inputs)
    torch.testing.assert_close(found, expected)
    for mine, other in zip(flat(state), flat(last), strict=True):
        torch.testing.assert_close(mine, other[0])


@pytest.mark.parametrize("name", NAMES)
def test_two_chunks_with_the_state_carried_are_one_pass(name: str) -> None:
    layer, inputs = Recurrent(CELLS[name](3, 4)).double(), torch.randn(2, 7, 3, dtype=torch.float64)
    whole, end = layer(inputs)
    first, state = layer(inputs[:, :3])
    second, last = layer(inputs[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fused", [False, True])
def test_both_directions_are_pytorchs_packed_ones(name: str, fused: bool) -> None:
    theirs = FUSED[name](3, 4, batch_first=True, bidirectional=True).double()
    layers = [FUSED[name](3, 4, batch_first=True) if fused else Recurrent(CELLS[name](3, 4)) for _ in range(2)]
    for layer, suffix in zip(layers, ("", "_reverse"), strict=True):
        weights = {key: tensor for key, tensor in theirs.state_dict().items() if key.endswith(f"l0{suffix}")}
        strip = len(suffix) if fused else len(f"_l0{suffix}")
        target = layer.cell if isinstance(layer, Recurrent) else layer
        target.load_state_dict({key[: len(key) - strip]: tensor for key, tensor in weights.items()})
    inputs, lengths = torch.randn(3, 6, 3, dtype=torch.float64), torch.tensor([4, 6, 1])
    found, ends = Bidirectional(*layers).double()(inputs, lengths)
    packed, state = theirs(pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row, :length], expected[row, :length])
    hidden = flat(state)[0]  # (2, N, H)
    torch.testing.assert_close(ends, torch.cat([hidden[0], hidden[1]], dim=1))


def test_pads_mates_and_their_order_change_nothing() -> None:
    layer = Bidirectional(*(Recurrent(CELLS["gru"](3, 4)) for _ in range(2))).double()
    inputs, lengths = torch.randn(3, 6, 3, dtype=torch.float64), torch.tensor([4, 6, 1])
    outputs, ends = layer(inputs, lengths)
    order = torch.tensor([2, 0, 1])
    longer = torch.cat([inputs, torch.randn(3, 2, 3, dtype=torch.float64)], dim=1)[order]
    moved, moved_ends = layer(longer, lengths[order])
    alone, alone_end = layer(inputs[:1, :4], lengths[:1])
    torch.testing.assert_close(moved_ends, ends[order])
    torch.testing.assert_close(moved[1, :4], outputs[0, :4])
    torch.testing.assert_close(alone, outputs[:1, :4])
    torch.testing.assert_close(alone_end, ends[:1])


def test_the_last_element_and_the_reversal() -> None:
    numbers = torch.tensor([[1, 2, 3, 0], [4, 0, 0, 0], [5, 6, 7, 8], [0, 0, 0, 0]])
    lengths = torch.tensor([3, 1, 4, 0])
    assert reversed_within(numbers, lengths).tolist() == [[3, 2, 1, 0], [4, 0, 0, 0], [8, 7, 6, 5], [0, 0, 0, 0]]
    pairs = torch.stack([numbers, -numbers], dim=2)
    assert last_within(pairs, lengths).tolist() == [[3, -3], [4, -4], [8, -8], [0, 0]]
    assert torch.equal(reversed_within(pairs, lengths)[..., 1], -reversed_within(numbers, lengths))
