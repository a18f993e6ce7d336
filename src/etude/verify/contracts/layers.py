"""Layers from plain tensors: dropout, embedding, batch-norm, attention; `spatial` has pooling and convolution."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import hypothesis.strategies as st
import torch
from torch import Tensor

from etude.verify.contract import Check, mistake
from etude.verify.inputs import generator, normal, tensor
from etude.verify.observation import Observation, call, gradients, in_default_dtype, tensor_result, tracked
from etude.verify.sampling import DRAWS, fact, tolerance


def dropout(
    x: Tensor,
    p: float,
    training: bool,
    *,
    scale: Callable[[float], float] = lambda p: 1 / (1 - p),
    test_scale: Callable[[float], float] = lambda p: 1.0,
    keep: Callable[[float], float] = lambda p: 1 - p,
    always: bool = False,
    one_mask: bool = False,
    seeded: bool = False,
) -> Tensor:
    """Each element is 0 with probability p, else x / (1 − p); x itself outside training (Srivastava et al. 2014)."""
    if not (training or always):
        return x * test_scale(p)
    if seeded:
        torch.manual_seed(0)
    mask = torch.rand_like(x[:1] if one_mask else x) < keep(p)
    return x * mask * scale(p)


def _observe_dropout(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """Share of elements kept, factor on the kept ones, what happens outside training."""
    p = case["p"]
    x = 1 + torch.rand(200, DRAWS // 200, generator=generator(1)).to(torch.get_default_dtype())
    train, again, test = (
        tensor_result(call(function, x.clone(), p, training), shape=x.shape) for training in (True, True, False)
    )
    kept = train != 0
    is_random = p > 0
    rows_differ = fact(not is_random or not (kept == kept[:1]).all())
    return Observation(
        {
            "rows have masks of their own": rows_differ,
            "two calls differ": fact(not is_random or not torch.equal(train, again)),
            "share of elements kept": kept.double().mean() * rows_differ,  # one mask has too few draws to count
            "factor on the kept elements": _range((train / x)[kept]),
            "factor outside training": _range(test / x),
        }
    )


def _range(factors: Tensor) -> Tensor:
    if factors.numel() == 0:
        return torch.zeros(2)
    return torch.stack([factors.min(), factors.max()])


def embedding(
    indices: Tensor,
    weight: Tensor,
    *,
    offset: int = 0,
    flat: bool = False,
    transposed: bool = False,
    mean: bool = False,
) -> Tensor:
    """Row `indices` of `weight`: shape (*indices.shape, dim)."""
    rows = weight[(indices + offset) % len(weight)]
    if transposed:
        rows = rows.movedim(-1, 0)
    if mean and rows.ndim > 2:
        rows = rows.mean(-2)
    return rows.flatten(0, -2) if flat and not transposed else rows


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    scale: Callable[[int, int], float] = lambda dim, length: 1 / math.sqrt(dim),
    softmax_dim: int | None = -1,
    values: str = "value",
    scale_after: bool = False,
    transposed: bool = False,
) -> Tensor:
    """softmax(Q Kᵀ / √d) V of (batch, queries, d), (batch, keys, d), (batch, keys, dv): Vaswani et al. 2017, eq. 1."""
    scores = query @ key.transpose(-2, -1)  # (batch, queries, keys)
    factor = scale(query.shape[-1], key.shape[-2])
    if not scale_after:
        scores = scores * factor
    weights = scores if softmax_dim is None else scores.softmax(softmax_dim)
    if scale_after:
        weights = weights * factor
    result = weights @ {"value": value, "key": key}[values]
    return result.transpose(-2, -1) if transposed else result


def batch_norm(
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool,
    momentum: float,
    eps: float,
    *,
    biased: bool = True,
    running_biased: bool = False,
    reversed_momentum: bool = False,
    statistics_swapped: bool = False,
    updates: str = "training",
    epsilon: str = "inside",
    dim: int = 0,
    affine: tuple[bool, bool] = (True, True),
    square_root: bool = True,
    centred: bool = True,
) -> Tensor:
    """(x − mean) / √(var + ε) · weight + bias for x (batch, features); running statistics change in place.

    Biased variance normalises, unbiased enters the running variance, new = (1 − momentum) · old + momentum · batch's
    (Ioffe and Szegedy 2015, algorithm 1, in PyTorch's convention).
    """
    mean, var = x.mean(dim, keepdim=True), x.var(dim, keepdim=True, correction=0 if biased else 1)
    if training == statistics_swapped:
        mean, var = running_mean.clone()[None], running_var.clone()[None]
    if updates == "always" or (training and updates == "training"):
        old, new = (momentum, 1 - momentum) if reversed_momentum else (1 - momentum, momentum)
        running_mean.copy_(old * running_mean + new * x.mean(0))
        running_var.copy_(old * running_var + new * x.var(0, correction=0 if running_biased else 1))
    if epsilon == "outside":
        deviation = var.sqrt() + eps
    elif epsilon == "forgotten":
        deviation = var.sqrt()
    else:
        deviation = (var + eps).sqrt()
    deviation = deviation if square_root else var + eps
    normalised = (x - mean if centred else x) / deviation
    return (normalised * weight if affine[0] else normalised) + (bias if affine[1] else 0)


def _observe_batch_norm(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    values = in_default_dtype(case)
    result = tensor_result(call(function, *values.values()))
    return Observation(
        {
            "result": result,
            "running_mean afterwards": values["running_mean"],
            "running_var afterwards": values["running_var"],
        }
    )


def _norm_case(seed: int, training: bool, eps: float, scale: float = 1.0) -> dict[str, Any]:
    features = 4
    return {
        "x": scale * (normal((4, features), seed) + 0.5),  # as many rows as columns: a wrong axis fits in shape
        "running_mean": normal((features,), seed + 1),
        "running_var": normal((features,), seed + 2).abs() + 0.5,
        "weight": normal((features,), seed + 3),
        "bias": normal((features,), seed + 4),
        "training": training,
        "momentum": 0.3,
        "eps": eps,
    }


def _observe_embedding(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The rows looked up, and the gradient that reaches the weight."""
    values = in_default_dtype(case)
    weight = values["weight"]
    result = tensor_result(call(function, values["indices"], tracked(weight)))
    (gradient,) = gradients(result**2, weight)
    return Observation({"result": result.detach(), "gradient of weight": gradient})


@st.composite
def _attention_inputs(draw: st.DrawFn) -> dict[str, Tensor]:
    batch, queries, dim = draw(st.integers(1, 2)), draw(st.integers(2, 3)), draw(st.sampled_from([2, 3]))
    keys = queries + draw(st.integers(0, 1))
    return {
        "query": draw(tensor((batch, queries, dim), -3, 3)),
        "key": draw(tensor((batch, keys, dim), -3, 3)),
        "value": draw(tensor((batch, keys, dim), -3, 3)),
    }


def _observe_attention(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The output, or the first of (output, weights)."""
    result = call(function, *in_default_dtype(case).values())
    return Observation({"result": tensor_result(result[0] if isinstance(result, tuple) and result else result)})


def _large_attention(scale: float) -> dict[str, Tensor]:
    query, key, value = (normal((2, 3, 4), seed, scale if seed < 3 else 1.0) for seed in (1, 2, 3))
    return {"query": query, "key": key, "value": value}


_ATTENTION = "softmax(Q Kᵀ / √d) V"
_NORM = "(x − mean) / √(var + ε) · weight + bias"
_RUNNING = "running ← (1 − momentum) · running + momentum · batch's"

CHECKS = (
    Check(
        name="dropout",
        call="dropout(x, p, training): 0 with probability p, else x / (1 − p); x outside training",
        right=dropout,
        mistakes=(
            mistake("kept elements not scaled", "x · mask", "x · mask / (1 − p)", scale=lambda p: 1.0),
            mistake("scaled by 1 − p", "x · mask · (1 − p)", "x · mask / (1 − p)", scale=lambda p: 1 - p),
            mistake("scaled by 1 / p", "x · mask / p", "x · mask / (1 − p)", scale=lambda p: 1 / p),
            mistake("scaled outside training instead of in training", "train: x · mask, test: (1 − p) x",
                    "train: x · mask / (1 − p), test: x", scale=lambda p: 1.0, test_scale=lambda p: 1 - p),
            mistake("scaled outside training too", "test: x / (1 − p)", "test: x", test_scale=lambda p: 1 / (1 - p)),
            mistake("keeps with probability p", "mask = 1 with probability p", "mask = 1 with probability 1 − p",
                    keep=lambda p: p),
            mistake("active outside training", "test: x · mask / (1 − p)", "test: x", always=True),
            mistake("one mask for the whole batch", "mask₁ = mask₂ = … = mask_N", "a mask for each row", one_mask=True),
            mistake("the same mask at every call", "the seed is set inside", "a fresh draw at every call", seeded=True),
        ),
        seeded=lambda first: tuple(
            {"p": round(low + 0.2 * torch.rand(1, generator=generator(first)).item(), 3)} for low in (0.2, 0.6)
        ),
        observe=_observe_dropout,
        tolerance=tolerance(),
        is_random=True,
    ),
    Check(
        name="embedding",
        call="embedding(indices, weight) → (*indices.shape, dim), row by index",
        right=embedding,
        mistakes=(
            mistake("indices counted from 1", "weight[i − 1]", "weight[i]", offset=-1),
            mistake("index shape lost", "(n, dim)", "(*indices.shape, dim)", flat=True),
            mistake("dim first", "(dim, *indices.shape)", "(*indices.shape, dim)", transposed=True),
            mistake("tokens averaged", "mean over the tokens", "one row per token", mean=True),
        ),
        seeded=lambda first: tuple(
            {"indices": torch.tensor(indices), "weight": normal((5, 3), first + 1)}
            for indices in ([[0, 4, 4], [1, 2, 3]], [0, 4, 2, 2], [[[1], [0]]])
        ),
        observe=_observe_embedding,
    ),
    Check(
        name="batch_norm",
        call="batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps), running ones in place",
        right=batch_norm,
        mistakes=(
            mistake("running and batch statistics swapped", "train: running, test: batch's",
                    "train: batch's, test: running", statistics_swapped=True),
            mistake("unbiased variance normalises", "1/(N − 1) Σ(x − mean)²", "1/N Σ(x − mean)²", biased=False),
            mistake("biased running variance", "running_var from 1/N Σ", "running_var from 1/(N − 1) Σ",
                    running_biased=True),
            mistake("momentum the wrong way round", "running ← momentum · running + (1 − momentum) · batch's",
                    _RUNNING, reversed_momentum=True),
            mistake("running statistics never updated", "running ← running", _RUNNING, updates="never"),
            mistake("running statistics updated outside training", "test: running changes", "test: running stays",
                    updates="always"),
            mistake("ε outside the square root", "(x − mean) / (√var + ε)", _NORM, epsilon="outside"),
            mistake("ε forgotten", "(x − mean) / √var", _NORM, epsilon="forgotten"),
            mistake("square root forgotten", "(x − mean) / (var + ε)", _NORM, square_root=False),
            mistake("normalised over the features", "mean over dim 1: layer norm", "mean over dim 0, the batch", dim=1),
            mistake("weight forgotten", "(x − mean) / √(var + ε) + bias", _NORM, affine=(False, True)),
            mistake("bias forgotten", "(x − mean) / √(var + ε) · weight", _NORM, affine=(True, False)),
            mistake("mean not subtracted", "x / √(var + ε)", _NORM, centred=False),
        ),
        seeded=lambda first: (
            _norm_case(first + 1, True, 1e-5),
            _norm_case(first + 10, False, 1e-5),
            _norm_case(first + 20, True, 0.1),
            _norm_case(first + 30, False, 0.1, 10.0),
        ),
        observe=_observe_batch_norm,
        points=2,
    ),
    Check(
        name="attention",
        call="attention(query, key, value) → softmax(Q Kᵀ / √d) V (or first of output, weights)",
        right=attention,
        mistakes=(
            mistake("not scaled", "softmax(Q Kᵀ) V", _ATTENTION, scale=lambda dim, length: 1.0),
            mistake("scaled by d instead of √d", "softmax(Q Kᵀ / d) V", _ATTENTION,
                    scale=lambda dim, length: 1 / dim),
            mistake("multiplied by √d", "softmax(Q Kᵀ · √d) V", _ATTENTION,
                    scale=lambda dim, length: math.sqrt(dim)),
            mistake("scaled by the number of keys", "softmax(Q Kᵀ / √keys) V", _ATTENTION,
                    scale=lambda dim, length: 1 / math.sqrt(length)),
            mistake("scaled after the softmax", "softmax(Q Kᵀ) / √d · V", _ATTENTION, scale_after=True),
            mistake("softmax over the queries", "softmax over dim −2", "softmax over dim −1, the keys", softmax_dim=-2),
            mistake("softmax over the batch", "softmax over dim 0", "softmax over dim −1, the keys", softmax_dim=0),
            mistake("softmax forgotten", "(Q Kᵀ / √d) V", _ATTENTION, softmax_dim=None),
            mistake("keys used as values", "softmax(Q Kᵀ / √d) K", _ATTENTION, values="key"),
            mistake("output transposed", "(batch, dv, queries)", "(batch, queries, dv)", transposed=True),
        ),
        inputs=_attention_inputs(),
        extremes=(_large_attention(1.0), _large_attention(30.0)),
        observe=_observe_attention,
    ),
)  # fmt: skip
