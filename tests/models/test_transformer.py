"""Layers of a transformer: equal to PyTorch's; nothing comes from pads or the future; positions by their formula."""

import math
import re
from itertools import chain

import pytest
import torch
from torch import Tensor, nn

from etude.errors import UsageError
from etude.models.attention import MultiHeadAttention
from etude.models.transformer import (
    DecoderLayer,
    EncoderLayer,
    LearnedPositions,
    SinusoidalPositions,
    sinusoidal_positions,
)

MASK = torch.tensor([[True, True, True, False, False], [True, True, True, True, True]])


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def attention_weights(name: str, attention: MultiHeadAttention) -> dict[str, Tensor]:
    layers = (attention.query, attention.key, attention.value)
    return {
        f"{name}.in_proj_weight": torch.cat([layer.weight for layer in layers]),
        f"{name}.in_proj_bias": torch.cat([layer.bias for layer in layers]),
        f"{name}.out_proj.weight": attention.out.weight,
        f"{name}.out_proj.bias": attention.out.bias,
    }


def weights(name: str, layer: nn.Module) -> dict[str, Tensor]:
    return {f"{name}.{key}": tensor for key, tensor in layer.state_dict().items()}


def test_an_encoder_layer_is_pytorchs() -> None:
    ours = EncoderLayer(6, 2, 10).double()
    theirs = nn.TransformerEncoderLayer(6, 2, 10, 0.0, norm_first=True, batch_first=True, dtype=torch.float64)
    parts = [
        attention_weights("self_attn", ours.attention),
        weights("norm1", ours.attention_norm),
        weights("norm2", ours.feed_forward_norm),
        weights("linear1", ours.feed_forward[0]),
        weights("linear2", ours.feed_forward[2]),
    ]
    theirs.load_state_dict(dict(chain.from_iterable(part.items() for part in parts)))
    vectors = normal(2, 5, 6)
    torch.testing.assert_close(ours(vectors), theirs(vectors))
    torch.testing.assert_close(ours(vectors, MASK)[MASK], theirs(vectors, src_key_padding_mask=~MASK)[MASK])
    later = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    torch.testing.assert_close(ours(vectors, causal=True), theirs(vectors, src_mask=later))


def test_a_decoder_layer_is_pytorchs() -> None:
    ours = DecoderLayer(6, 2, 10).double()
    theirs = nn.TransformerDecoderLayer(6, 2, 10, 0.0, norm_first=True, batch_first=True, dtype=torch.float64)
    parts = [
        attention_weights("self_attn", ours.attention),
        attention_weights("multihead_attn", ours.memory_attention),
        weights("norm1", ours.attention_norm),
        weights("norm2", ours.memory_norm),
        weights("norm3", ours.feed_forward_norm),
        weights("linear1", ours.feed_forward[0]),
        weights("linear2", ours.feed_forward[2]),
    ]
    theirs.load_state_dict(dict(chain.from_iterable(part.items() for part in parts)))
    vectors, memory = normal(2, 4, 6), normal(2, 5, 6)
    later = nn.Transformer.generate_square_subsequent_mask(4, dtype=torch.float64)
    expected = theirs(vectors, memory, tgt_mask=later, memory_key_padding_mask=~MASK)
    torch.testing.assert_close(ours(vectors, memory, MASK), expected)


def test_pads_mates_and_order_change_nothing() -> None:
    encoder, decoder = EncoderLayer(6, 2, 10).double(), DecoderLayer(6, 2, 10).double()
    vectors, targets = normal(2, 5, 6), normal(2, 4, 6)
    memory = encoder(vectors, MASK)
    outputs = decoder(targets, memory, MASK)
    alone = encoder(vectors[:1, :3])
    torch.testing.assert_close(alone, memory[:1, :3])
    torch.testing.assert_close(decoder(targets[:1], alone), outputs[:1])
    order = torch.tensor([1, 0])
    torch.testing.assert_close(decoder(targets[order], memory[order], MASK[order]), outputs[order])


@pytest.mark.parametrize("layer", ["encoder", "decoder"])
def test_nothing_comes_from_the_future(layer: str) -> None:
    vectors, memory = normal(2, 5, 6).requires_grad_(), normal(2, 3, 6)
    if layer == "encoder":
        outputs = EncoderLayer(6, 2, 10).double()(vectors, causal=True)
    else:
        outputs = DecoderLayer(6, 2, 10).double()(vectors, memory)
    for t in range(5):
        (gradient,) = torch.autograd.grad(outputs[:, t].square().sum(), vectors, retain_graph=True)
        assert not gradient[:, t + 1 :].any()
        assert gradient[:, : t + 1].abs().amax(dim=(0, 2)).min() > 0


def test_dropout_acts_in_training_alone() -> None:
    layer, vectors = EncoderLayer(6, 2, 10, dropout=0.5).double(), normal(2, 5, 6)
    assert not torch.equal(layer(vectors), layer(vectors))
    layer.eval()
    assert torch.equal(layer(vectors), layer(vectors))


def test_sinusoidal_positions_by_their_formula() -> None:
    table = sinusoidal_positions(7, 6)
    for t in range(7):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            assert table[t, 2 * i] == pytest.approx(math.sin(angle), abs=1e-12)
            assert table[t, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-12)


@pytest.mark.parametrize("positions", [SinusoidalPositions(), LearnedPositions(9, 6)])
def test_positions_are_the_same_in_each_sequence_and_may_come_in_parts(positions: nn.Module) -> None:
    vectors = torch.randn(2, 9, 6)
    added = positions(vectors) - vectors
    torch.testing.assert_close(added[0], added[1])
    torch.testing.assert_close(positions(vectors[:, 4:], first=4), positions(vectors)[:, 4:])
    assert (added[0].unsqueeze(0) - added[0].unsqueeze(1)).abs().amax(2).fill_diagonal_(1).min() > 1e-3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: LearnedPositions(3, 2)(torch.zeros(1, 4, 2)),
            "4 positions are not allowed: this network has learned 3.",
        ),
        (
            lambda: sinusoidal_positions(3, 5),
            "dim 5 is not allowed: sines and cosines come in pairs; give an even number.",
        ),
    ],
)
def test_mistakes(make: object, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        make()  # pyright: ignore[reportCallIssue]
