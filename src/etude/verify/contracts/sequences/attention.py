"""Attention with masks: additive (Bahdanau et al. 2015, A.1.2), scaled dot-product (Vaswani et al. 2017, eq. 1)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from etude.verify.contract import Case, Check, Convention, mistake
from etude.verify.contracts.sequences.calling import (
    as_function,
    is_class,
    made_module,
    mask_as_named,
    masked,
    one_of_shape,
    refill,
)
from etude.verify.contracts.sequences.properties import ALONE, KEY_ORDER, PADS, alone, same
from etude.verify.inputs import generator, normal
from etude.verify.observation import Observation, Refused, in_default_dtype, one_line
from etude.verify.sampling import fact

_BATCH, _KEYS, _DIM = 3, 5, 4
_QUERY_SIZE, _ATTENTION_SIZE = 2, 5


def attend(
    scores: Tensor,
    values: Tensor,
    keep: Tensor,
    *,
    masking: str = "before the softmax",
    fill: float = -math.inf,
    softmax_dim: int | None = -1,
) -> Tensor:
    """softmax(scores) V for scores (batch, queries, keys); keys that are not kept get no weight."""
    hidden = {"inverted": keep, "none": torch.zeros_like(keep)}.get(masking, ~keep)
    if masking == "zeroes":
        scores = scores.masked_fill(hidden, 0.0)
    elif masking != "after the softmax":
        scores = scores.masked_fill(hidden, fill)
    weights = scores if softmax_dim is None else scores.softmax(softmax_dim)
    return (weights.masked_fill(hidden, 0.0) if masking == "after the softmax" else weights) @ values


def additive_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    w_query: Tensor,
    w_key: Tensor,
    v: Tensor,
    bias: Tensor | float = 0.0,
    *,
    activation: Callable[[Tensor], Tensor] = torch.tanh,
    query_used: float = 1.0,
    weighted: str = "values",
    **switches: Any,
) -> Tensor:
    """Σ αⱼ valueⱼ with α = softmax(vᵀ tanh(W query + U keyⱼ)): (batch, dim)."""
    projected = query_used * (query @ w_query.T)[:, None] + keys @ w_key.T + bias  # (batch, keys, attention size)
    scores = (activation(projected) @ v)[:, None]  # (batch, 1, keys)
    return attend(scores, {"values": values, "keys": keys}[weighted], mask[:, None], **switches)[:, 0]


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    *,
    scale: Callable[[int], float] = lambda dim: 1 / math.sqrt(dim),
    weighted: str = "value",
    on_queries: bool = False,
    **switches: Any,
) -> Tensor:
    """softmax(Q Kᵀ / √d) V for (batch, queries, d), (batch, keys, d), (batch, keys, d), a mask of keys."""
    keep = mask.reshape(len(mask), 1, -1)  # (batch, 1, keys)
    scores = query @ key.transpose(1, 2) * scale(query.shape[-1])  # (batch, queries, keys)
    keep = (keep.transpose(1, 2) if on_queries else keep).expand_as(scores)
    return attend(scores, {"value": value, "key": key}[weighted], keep, **switches)


# --- what a call shows ---


def _observe_additive(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    query, keys, values, keep, *weights = in_default_dtype(case).values()
    weights = weights if seen is None or seen.state is None else seen.state
    state = None
    if is_class(candidate):
        module = made_module(candidate, _QUERY_SIZE, _DIM, _ATTENTION_SIZE)
        refill(module, int(1000 * query.abs().sum()))
        state, weights = _own_weights(module), []
        function = as_function(module)
    else:
        function = as_function(candidate, *weights)

    def run(query: Tensor, keys: Tensor, values: Tensor, keep: Tensor) -> Tensor:
        mask, _ = mask_as_named(candidate, keep)
        shapes = (len(query), _DIM), (len(query), 1, _DIM)
        return one_of_shape(masked(function, query, keys, values, mask=mask), *shapes).detach()

    result = run(query, keys, values, keep)
    facts = _facts(run, result, query, keys, values, keep)
    return Observation({**facts, "result": result}, state=state, note=mask_as_named(candidate, keep)[1])


def _own_weights(module: nn.Module) -> list[Tensor]:
    """w_query, w_key, v and the sum of the biases of a class, told apart by shape; joined weights as [query, key]."""
    found: dict[str, Tensor] = {}
    biases, vectors = [torch.zeros(_ATTENTION_SIZE)], dict[str, Tensor]()
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            each = parameter.detach().clone()
            each = each.T if each.ndim == 2 and each.shape[0] != _ATTENTION_SIZE else each
            match tuple(each.shape):
                case (rows, *_) if rows != _ATTENTION_SIZE:
                    continue  # a bias of the scores changes nothing
                case (_, columns) if columns == _QUERY_SIZE + _DIM:
                    found["w_query"], found["w_key"] = each.split([_QUERY_SIZE, _DIM], 1)
                case (_, columns) if columns in (_QUERY_SIZE, _DIM):
                    found["w_query" if columns == _QUERY_SIZE else "w_key"] = each
                case (_, 1):
                    found["v"] = each.flatten()
                case (_,) if isinstance(owner, nn.Linear):
                    biases.append(each)
                case (_,):
                    vectors[name] = each
                case _:
                    continue
    if "v" not in found and vectors:
        found["v"] = vectors.pop(next((name for name in vectors if name.startswith("v")), list(vectors)[-1]))
    if found.keys() != {"w_query", "w_key", "v"}:
        shapes = one_line(str([tuple(each.shape) for each in module.parameters()]))
        sizes = f"({_ATTENTION_SIZE}, {_QUERY_SIZE}), ({_ATTENTION_SIZE}, {_DIM}) and ({_ATTENTION_SIZE},)"
        raise Refused("weights", f"its weights have shapes {shapes}; expected {sizes}")
    biases += vectors.values()
    return [found["w_query"], found["w_key"], found["v"], torch.stack(biases).sum(0)]


def _observe_dot_product(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    query, key, value, keep = in_default_dtype(case).values()
    function = as_function(candidate)

    def run(query: Tensor, key: Tensor, value: Tensor, keep: Tensor) -> Tensor:
        mask, _ = mask_as_named(candidate, keep)
        return one_of_shape(masked(function, query, key, value, mask=mask), query.shape).detach()

    result = run(query, key, value, keep)
    facts = _facts(run, result, query, key, value, keep)
    return Observation({**facts, "result": result}, note=mask_as_named(candidate, keep)[1])


def _facts(
    run: Callable[..., Tensor], result: Tensor, query: Tensor, keys: Tensor, values: Tensor, keep: Tensor
) -> dict[str, Tensor]:
    """What needs no knowledge of how scores are made: pads, batch-mates and the order of the keys do not matter."""
    pad = ~keep.reshape(len(keep), -1, 1)
    other = run(query, keys.masked_fill(pad, 7.0), values.masked_fill(pad, -7.0), keep)
    # Hidden keys go to the front only where a mask may say which they are; a count of keys cannot.
    order = torch.tensor([1, 0, *range(2, keys.shape[1])])  # the first two are real in every row
    turned = run(query, keys[:, order], values[:, order], keep)
    return {
        PADS: fact(same(other, result)),
        ALONE: alone(run, result, query, keys, values, keep),
        KEY_ORDER: fact(same(turned, result)),
    }


def _keep(seed: int) -> Tensor:
    """Which keys are real, (batch, keys): at least two in each row, all in one, each row another number."""
    counts = torch.tensor([_KEYS, 2, 3])[torch.randperm(_BATCH, generator=generator(seed))]
    return torch.arange(_KEYS) < counts[:, None]


def _additive_cases(first: int) -> tuple[Case, ...]:
    return tuple(
        {
            "query": normal((_BATCH, _QUERY_SIZE), seed),
            "keys": normal((_BATCH, _KEYS, _DIM), seed + 1),
            "values": normal((_BATCH, _KEYS, _DIM), seed + 2),
            "mask": _keep(seed + 3),
            "w_query": normal((_ATTENTION_SIZE, _QUERY_SIZE), seed + 4),
            "w_key": normal((_ATTENTION_SIZE, _DIM), seed + 5),
            "v": normal((_ATTENTION_SIZE,), seed + 6),
        }
        for seed in range(first, first + 30, 10)
    )


def _dot_product_cases(first: int) -> tuple[Case, ...]:
    """As many queries as keys in one of them, so that a mask fits on the wrong axis."""
    return tuple(
        {
            "query": normal((_BATCH, queries, _DIM), seed),
            "key": normal((_BATCH, _KEYS, _DIM), seed + 1),
            "value": normal((_BATCH, _KEYS, _DIM), seed + 2),
            "mask": _keep(seed + 3)[:, None],
        }
        for seed, queries in ((first, _KEYS), (first + 10, 2), (first + 20, _KEYS))
    )


def _flat_mask(case: Case) -> Case:
    return {**case, "mask": case["mask"].flatten(1)}


_MASKED = "scores of hidden keys are −∞ before the softmax"
_ADDITIVE = "α = softmax(vᵀ tanh(W query + U key))"
_DOT = "softmax(Q Kᵀ / √d) V"
_MASKS = (
    mistake("no mask", "hidden keys get weights too", _MASKED, masking="none"),
    mistake("mask inverted", "True hides a key; if you mean it so, call it padding_mask", "True in mask keeps a key",
            masking="inverted"),
    mistake("masked scores set to 0", "scores · mask: e⁰ = 1 is a weight", _MASKED, masking="zeroes"),
    mistake("masked after the softmax", "softmax(scores) · mask: weights do not sum to 1", _MASKED,
            masking="after the softmax"),
)  # fmt: skip
_LARGE_FILL = (Convention("hidden scores are −10⁹", {"fill": -1e9}),)
"""As right as −∞; mistakes beside it look different."""

CHECKS = (
    Check(
        name="additive_attention",
        call="additive_attention(query, keys, values, mask, w_query, w_key, v) → Σ αⱼ valueⱼ (batch, dim), "
        f"{_ADDITIVE} (or with the weights); or a class AdditiveAttention(query_size, key_size, size)(query, keys, "
        "values, mask); True in mask (batch, keys) keeps a key, in padding_mask it hides it",
        right=additive_attention,
        mistakes=(
            *_MASKS,
            mistake("softmax over the batch", "softmax over dim 0", "softmax over the keys", softmax_dim=0),
            mistake("softmax forgotten", "α = vᵀ tanh(…)", _ADDITIVE, softmax_dim=None),
            mistake("tanh forgotten", "vᵀ (W query + U key)", _ADDITIVE, activation=lambda a: a),
            mistake("sigmoid instead of tanh", "vᵀ σ(W query + U key)", _ADDITIVE, activation=torch.sigmoid),
            mistake("keys used as values", "Σ αⱼ keyⱼ", "Σ αⱼ valueⱼ", weighted="keys"),
            mistake("query not used", "α = softmax(vᵀ tanh(U key))", _ADDITIVE, query_used=0.0),
        ),
        conventions=_LARGE_FILL,
        seeded=_additive_cases,
        observe=_observe_additive,
        points=2,
    ),
    Check(
        name="scaled_dot_product_attention",
        call=f"scaled_dot_product_attention(query, key, value, mask) → {_DOT} (or with the weights); True in mask, "
        "(batch, 1, keys) or (batch, keys), keeps a key, in padding_mask it hides it",
        right=scaled_dot_product_attention,
        mistakes=(
            *_MASKS,
            mistake("mask on the query axis", "rows of hidden queries", "columns of hidden keys", on_queries=True),
            mistake("not scaled", "softmax(Q Kᵀ) V", _DOT, scale=lambda dim: 1.0),
            mistake("scaled by d instead of √d", "softmax(Q Kᵀ / d) V", _DOT, scale=lambda dim: 1 / dim),
            mistake("multiplied by √d", "softmax(Q Kᵀ · √d) V", _DOT, scale=math.sqrt),
            mistake("softmax over the queries", "softmax over dim −2", "softmax over dim −1, the keys", softmax_dim=-2),
            mistake("softmax over the batch", "softmax over dim 0", "softmax over dim −1, the keys", softmax_dim=0),
            mistake("softmax forgotten", "(Q Kᵀ / √d) V", _DOT, softmax_dim=None),
            mistake("keys used as values", "softmax(Q Kᵀ / √d) K", _DOT, weighted="key"),
        ),
        conventions=_LARGE_FILL,
        seeded=_dot_product_cases,
        other_form=_flat_mask,
        observe=_observe_dot_product,
        points=2,
    ),
)  # fmt: skip
