"""Attention: equal to PyTorch's and to loops over single vectors; what is masked changes nothing."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.errors import UsageError
from etude.models.attention import (
    AdditiveAttention,
    BilinearAttention,
    DotAttention,
    MultiHeadAttention,
    causal_mask,
    scaled_dot_product,
    weights_of,
)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


MASK = torch.tensor([[True, True, False, True], [True, False, False, False]])


def score_by_hand(attention: DotAttention, query: Tensor, key: Tensor) -> Tensor:
    match attention:
        case AdditiveAttention():
            hidden = torch.tanh(attention.of_query.weight @ query + attention.of_key.weight @ key)
            return attention.to_score.weight[0] @ hidden
        case BilinearAttention():
            return query @ attention.weight.weight @ key
        case _:
            return query @ key


@pytest.mark.parametrize("attention", [DotAttention(), BilinearAttention(3, 3), AdditiveAttention(3, 3, 5)])
def test_scores_and_contexts_are_those_of_single_vectors(attention: DotAttention) -> None:
    attention = attention.double()
    queries, keys, values = normal(2, 5, 3), normal(2, 4, 3), normal(2, 4, 6)
    contexts, weights = attention(queries, attention.project(keys), values, MASK)
    for n in range(2):
        allowed = MASK[n].nonzero()[:, 0]
        for t in range(5):
            scores = torch.stack([score_by_hand(attention, queries[n, t], keys[n, s]) for s in allowed])
            torch.testing.assert_close(weights[n, t, allowed], scores.softmax(0))
            torch.testing.assert_close(contexts[n, t], scores.softmax(0) @ values[n, allowed])
    assert not weights[~MASK[:, None].expand_as(weights)].any()


def test_keys_of_another_size_than_queries() -> None:
    for attention in (BilinearAttention(3, 7), AdditiveAttention(3, 7, 5)):
        contexts, weights = attention(
            torch.randn(2, 5, 3), attention.project(torch.randn(2, 4, 7)), torch.randn(2, 4, 1)
        )
        assert contexts.shape == (2, 5, 1)
        assert weights.shape == (2, 5, 4)


def test_weights_without_any_key_are_zeros_with_zero_gradients() -> None:
    scores = normal(2, 3).requires_grad_()
    weights = weights_of(scores, torch.tensor([[False, False, False], [True, False, True]]))
    assert weights[0].tolist() == [0, 0, 0]
    torch.testing.assert_close(weights[1, ::2], scores[1, ::2].softmax(0))
    weights.square().sum().backward()
    assert scores.grad is not None
    assert scores.grad[0].tolist() == [0, 0, 0]
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("masked", [False, True])
def test_scaled_dot_products_are_pytorchs(masked: bool) -> None:
    queries, keys, values = normal(2, 3, 5, 8), normal(2, 3, 4, 8), normal(2, 3, 4, 6)
    mask = MASK[:, None, None] if masked else None
    expected = F.scaled_dot_product_attention(queries, keys, values, mask)
    contexts, weights = scaled_dot_product(queries, keys, values, mask)
    torch.testing.assert_close(contexts, expected)
    torch.testing.assert_close(weights.sum(3), torch.ones(2, 3, 5, dtype=torch.float64))


def test_the_causal_mask() -> None:
    assert causal_mask(3, 3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert causal_mask(1, 3).tolist() == [[True, True, True]]
    assert causal_mask(2, 3).tolist() == [[True, True, False], [True, True, True]]


def pair(dim: int, num_heads: int) -> tuple[MultiHeadAttention, nn.MultiheadAttention]:
    ours = MultiHeadAttention(dim, num_heads).double()
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.5)
    theirs = nn.MultiheadAttention(dim, num_heads, batch_first=True, dtype=torch.float64)
    layers = (ours.query, ours.key, ours.value)
    theirs.load_state_dict(
        {
            "in_proj_weight": torch.cat([layer.weight for layer in layers]),
            "in_proj_bias": torch.cat([layer.bias for layer in layers]),
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    return ours, theirs


def test_many_heads_on_a_memory_are_pytorchs() -> None:
    ours, theirs = pair(6, 3)
    queries, memory = normal(2, 5, 6), normal(2, 4, 6)
    expected, weights = theirs(queries, memory, memory, key_padding_mask=~MASK, average_attn_weights=False)
    torch.testing.assert_close(ours(queries, memory, MASK), expected)
    torch.testing.assert_close(ours.weights(queries, memory, MASK), weights)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_many_heads_on_oneself_are_pytorchs(causal: bool, masked: bool) -> None:
    ours, theirs = pair(6, 2)
    vectors, mask = normal(2, 4, 6), MASK if masked else None
    hidden = None if mask is None else ~mask
    expected, weights = theirs(
        vectors,
        vectors,
        vectors,
        key_padding_mask=hidden,
        attn_mask=~causal_mask(4, 4) if causal else None,
        average_attn_weights=False,
    )
    torch.testing.assert_close(ours(vectors, mask=mask, causal=causal), expected)
    torch.testing.assert_close(ours.weights(vectors, mask=mask, causal=causal), weights)


def test_bf16_rounds_alone() -> None:
    ours, _ = pair(8, 2)
    vectors, memory = normal(2, 5, 8), normal(2, 4, 8)
    exact = ours(vectors, memory, MASK)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = ours.float()(vectors.float(), memory.float(), MASK)
    assert rounded.dtype == torch.bfloat16
    assert 0 < float((rounded.double() - exact).detach().norm() / exact.detach().norm()) < 0.02


def test_later_steps_may_come_one_by_one() -> None:
    attention, vectors = MultiHeadAttention(6, 2).double(), normal(2, 5, 6)
    whole = attention(vectors, causal=True)
    keys, values = attention.keys_and_values(vectors)
    for t in range(5):
        step = attention.attend(vectors[:, t : t + 1], (keys[:, :, : t + 1], values[:, :, : t + 1]))
        torch.testing.assert_close(step[:, 0], whole[:, t])


def test_initial_weights_are_as_pytorchs() -> None:
    attention = MultiHeadAttention(64, 4)
    for layer in (attention.query, attention.key, attention.value):
        weights = layer.weight.detach()
        assert float(weights.abs().max()) <= (6 / 128) ** 0.5
        assert float(weights.std()) == pytest.approx((2 / 128) ** 0.5, rel=0.05)
    assert not any(layer.bias.any() for layer in (attention.query, attention.key, attention.value, attention.out))


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^4 heads do not divide 6 numbers evenly: give a width that they divide\.$"):
        MultiHeadAttention(6, 4)
