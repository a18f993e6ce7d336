"""Attention of a sequence to itself: causal masks, several heads, positions (Vaswani et al. 2017)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import hypothesis.strategies as st
import torch
from torch import Tensor, nn

from etude.verify.contract import Case, Check, Convention, mistake
from etude.verify.contracts.sequences.calling import as_function, is_class, made_module, names_of, one_of_shape
from etude.verify.contracts.sequences.properties import ALONE, FUTURE, KEY_ORDER, alone, same
from etude.verify.inputs import normal
from etude.verify.observation import Observation, Refused, in_default_dtype, tensor_result
from etude.verify.sampling import fact

Pattern = Callable[[Tensor], Tensor]
"""From a square of ones to which positions each row sees."""


def causal_mask(length: int, *, pattern: Pattern = torch.tril, form: str = "keep") -> Tensor:
    """(length, length): which positions j each position i may see, j ≤ i."""
    seen = pattern(torch.ones(length, length)) > 0
    return {"keep": lambda: seen, "drop": lambda: ~seen, "added": lambda: seen.double() - 1}[form]()


def causal_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    pattern: Pattern = torch.tril,
    fill: float = -math.inf,
    scale: Callable[[int], float] = lambda dim: 1 / math.sqrt(dim),
    softmax_dim: int = -1,
    after: bool = False,
) -> Tensor:
    """softmax(Q Kᵀ / √d) V, (batch, length, d) each, where position i sees positions j ≤ i."""
    scores = query @ key.transpose(1, 2) * scale(query.shape[-1])  # (batch, length, length)
    hidden = ~causal_mask(query.shape[1], pattern=pattern)
    weights = (scores if after else scores.masked_fill(hidden, fill)).softmax(softmax_dim)
    return (weights.masked_fill(hidden, 0.0) if after else weights) @ value


def _split(x: Tensor, heads: int) -> Tensor:
    """(batch, length, d) → (batch, heads, length, d / heads)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    num_heads: int,
    *,
    split: Callable[[Tensor, int], Tensor] = _split,
    merge: Callable[[Tensor], Tensor] = lambda x: x.transpose(1, 2).flatten(2),
    size: Callable[[int, int], float] = lambda dim, heads: dim / heads,
    softmax_dim: int = -1,
) -> Tensor:
    """Heads of d / num_heads features each attend for themselves, then are joined: (batch, length, d)."""
    q, k, v = (split(each, num_heads) for each in (query, key, value))  # (batch, heads, length, d / heads)
    scores = q @ k.transpose(2, 3) / math.sqrt(size(query.shape[-1], num_heads))
    return merge(scores.softmax(softmax_dim) @ v)


# --- what a call shows ---


def _observe_mask(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The mask as a matrix; one that is added to the scores as 0 where it is 0, else −1."""
    length = case["length"]
    mask = tensor_result(as_function(candidate)(length))
    if mask.ndim < 2 or mask.shape[-2:] != (length, length) or mask.numel() != length**2:
        raise Refused(f"shape {tuple(mask.shape)}", f"it has shape {tuple(mask.shape)}; expected {(length, length)}")
    numbers = mask.reshape(length, length).double()
    return Observation({"result": torch.where(numbers < -100, -1.0, numbers)})


def _observe_causal(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The first position apart: it sees only itself, so a mask off by one leaves it nothing."""
    inputs = list(in_default_dtype(case).values())
    function = as_function(candidate)

    def run(*inputs: Tensor) -> Tensor:
        return one_of_shape(function(*inputs), inputs[0].shape).detach()

    result = run(*inputs)
    half = result.shape[1] // 2
    later = torch.arange(result.shape[1])[:, None] >= half
    changed = run(*(torch.where(later, normal(each.shape, 77).to(each), each) for each in inputs))
    return Observation(
        {
            FUTURE: fact(same(changed[:, :half], result[:, :half])),
            ALONE: alone(run, result, *inputs),
            "result": result,
        }
    )


def _observe_heads(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """A class's own projections are set to the identity, so that what is left is the heads' work."""
    query, key, value, num_heads = in_default_dtype(case).values()
    if is_class(candidate):
        d, first = query.shape[-1], next(iter(names_of(candidate)), "")
        sizes = (num_heads, d) if "head" in first or first == "h" else (d, num_heads)
        module = made_module(candidate, *sizes)
        _set_to_identity(module)
        function = as_function(module)
    else:
        function = as_function(candidate, num_heads)

    def run(*inputs: Tensor) -> Tensor:
        try:
            result = function(*inputs)
        except Refused as error:
            if error.kind != "signature":
                raise
            result = function(*inputs, None)  # it wants a mask
        return one_of_shape(result, inputs[0].shape).detach()

    result = run(query, key, value)
    turned = run(query, key.flip(1), value.flip(1))
    facts = {ALONE: alone(run, result, query, key, value), KEY_ORDER: fact(same(turned, result))}
    return Observation({**facts, "result": result})


def _set_to_identity(module: nn.Module) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 2:  # one projection, or several stacked
                rows, columns = parameter.shape
                parameter.copy_(torch.eye(min(rows, columns)).repeat(-(-rows // columns), -(-columns // rows)))
            else:
                parameter.zero_()


def _same_shapes(*others: tuple[str, Any]) -> Callable[[int], tuple[Case, ...]]:
    return lambda first: tuple(
        {name: normal((2, length, 4), seed + index) for index, name in enumerate(("query", "key", "value"))}
        | dict(others)
        for seed, length in ((first, 4), (first + 10, 3), (first + 20, 6))
    )


_SEES = "position i sees j ≤ i"
_DOT = "softmax(Q Kᵀ / √d) V"
_HEADS = "(batch, length, heads, d / heads), then transpose(1, 2)"
_ITSELF = ("a position is hidden from itself", "j < i", _SEES)
_NEXT = ("the next position is visible", "j ≤ i + 1", _SEES)
_TURNED = "j ≥ i: the past is hidden"


def _before(ones: Tensor) -> Tensor:
    return ones.tril(-1)


def _next(ones: Tensor) -> Tensor:
    return ones.tril(1)


def _after(ones: Tensor) -> Tensor:
    return ones.triu(1)


def _all(ones: Tensor) -> Tensor:
    return ones


CHECKS = (
    Check(
        name="causal_mask",
        call="causal_mask(length) → (length, length): True (or 1) where row i sees column j ≤ i; or True where it does "
        "not; or 0 and −∞ to be added",
        right=causal_mask,
        mistakes=(
            mistake(*_NEXT, pattern=_next),
            mistake(*_ITSELF, pattern=_before),
            mistake("diagonal on the wrong side", "triu(1s): kept, only the future; hidden, a position itself too",
                    "tril(1s) to keep, triu(1s, diagonal=1) to hide", pattern=torch.triu),
            mistake("nothing is hidden", "1 everywhere", _SEES, pattern=_all),
            mistake("mask inverted", "−∞ on the past, 0 on the future", "0 where j ≤ i, else −∞", pattern=_after,
                    form="added"),
        ),
        conventions=(
            Convention("True (or 1) hides a position, as in nn.MultiheadAttention; in scaled_dot_product_attention it "
                       "keeps one", {"form": "drop"}),
            Convention("added to the scores", {"form": "added"}),
        ),
        inputs=st.fixed_dictionaries({"length": st.integers(2, 8)}),
        extremes=({"length": 3},),
        observe=_observe_mask,
    ),
    Check(
        name="causal_attention",
        call=f"causal_attention(query, key, value) → {_DOT} with {_SEES}, (batch, length, d) (or with the weights)",
        right=causal_attention,
        mistakes=(
            mistake("no mask", "position i sees all", _SEES, pattern=_all),
            mistake(*_NEXT, pattern=_next),
            mistake(*_ITSELF, pattern=_before),
            mistake("mask inverted", "j > i: only the future is seen", _SEES, pattern=_after),
            mistake("mask transposed", _TURNED, _SEES, pattern=torch.triu),
            mistake("masked after the softmax", "softmax(scores) · mask: weights do not sum to 1",
                    "scores of the future are −∞ before the softmax", after=True),
            mistake("not scaled", "softmax(Q Kᵀ) V", _DOT, scale=lambda dim: 1.0),
            mistake("softmax over the queries", "softmax over dim −2", "softmax over dim −1, the keys", softmax_dim=-2),
        ),
        conventions=(Convention("hidden scores are −10⁹", {"fill": -1e9}),),
        seeded=_same_shapes(),
        observe=_observe_causal,
        points=2,
    ),
    Check(
        name="multi_head_attention",
        call="multi_head_attention(query, key, value, num_heads) → (batch, length, d), no projections; or a class "
        "MultiHeadAttention(d, num_heads)(query, key, value)",
        right=multi_head_attention,
        mistakes=(
            mistake("heads split by view without transpose", "view(batch, heads, length, d / heads)", _HEADS,
                    split=lambda x, heads: x.reshape(len(x), heads, x.shape[1], -1)),
            mistake("heads merged without transpose", "view(batch, length, d) of (batch, heads, length, d / heads)",
                    "transpose(1, 2), then view(batch, length, d)",
                    merge=lambda x: x.reshape(len(x), x.shape[2], -1)),
            mistake("√d of the model instead of the head", "Q Kᵀ / √d", "Q Kᵀ / √(d / heads)",
                    size=lambda dim, heads: dim),
            mistake("not scaled", "Q Kᵀ", "Q Kᵀ / √(d / heads)", size=lambda dim, heads: 1.0),
            mistake("softmax over the queries", "softmax over dim −2", "softmax over dim −1, the keys", softmax_dim=-2),
            mistake("softmax over the heads", "softmax over dim 1", "softmax over dim −1, the keys", softmax_dim=1),
            mistake("one head", "num_heads = 1", "num_heads heads", split=lambda x, heads: x[:, None],
                    size=lambda dim, heads: dim),
        ),
        conventions=(
            Convention("feature i belongs to head i mod num_heads", {
                "split": lambda x, heads: x.unflatten(2, (-1, heads)).movedim(3, 1),
                "merge": lambda x: x.movedim(1, 3).flatten(2)}),
        ),
        seeded=_same_shapes(("num_heads", 2)),
        observe=_observe_heads,
        points=2,
    ),
)  # fmt: skip
