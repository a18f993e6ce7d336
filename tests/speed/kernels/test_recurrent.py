"""An LSTM in a bf16 step on a processor without bf16 instructions."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from etude.speed import kernels
from etude.speed.kernels import recurrent


@pytest.fixture
def without_bf16(monkeypatch):
    """A processor without bf16 instructions, as far as the kernel asks."""
    mkldnn = SimpleNamespace(_is_mkldnn_bf16_supported=lambda: False)
    monkeypatch.setattr(recurrent, "torch", SimpleNamespace(
        bfloat16=torch.bfloat16, autocast=torch.autocast, ops=SimpleNamespace(mkldnn=mkldnn)
    ))  # fmt: skip


def lstm_and_steps() -> tuple[nn.LSTM, Tensor]:
    torch.manual_seed(0)
    return nn.LSTM(3, 5, num_layers=2, batch_first=True, bidirectional=True), torch.randn(4, 6, 3)


def test_it_computes_in_float32_what_the_layer_does(without_bf16):
    layer, numbers = lstm_and_steps()
    packed = pack_padded_sequence(numbers, torch.tensor([6, 5, 2, 1]), batch_first=True)
    states = torch.randn(4, 4, 5), torch.randn(4, 4, 5)
    expected = [layer(numbers)[0], layer(numbers, states)[0], layer(packed)[0].data]

    kernels.use_kernels(layer, torch.bfloat16, compiled=False, eager=True)
    with torch.autocast("cpu", torch.bfloat16):
        half = tuple(state.bfloat16().float() for state in states)
        found = [layer(numbers)[0], layer(numbers, half)[0], layer(packed)[0].data]

    assert type(layer) is recurrent.LSTMInFloat32
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[2], expected[2])
    torch.testing.assert_close(found[1], expected[1], atol=0.02, rtol=0.02)  # the states were rounded


def test_float32_steps_and_other_processors_keep_the_layer(without_bf16, monkeypatch):
    layer, _ = lstm_and_steps()
    assert kernels.kernel_of(layer, torch.float32, compiled=False, eager=True) is None
    monkeypatch.setattr(recurrent, "torch", torch)
    suits = recurrent.LSTMInFloat32.suits(layer, torch.bfloat16)
    assert suits is not torch.ops.mkldnn._is_mkldnn_bf16_supported()
