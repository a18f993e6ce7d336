"""The numerical gradient by central differences, of a loss that is a closure over its parameter."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from etude.verify.contract import Check, mistake
from etude.verify.inputs import normal
from etude.verify.observation import Observation, call, tensor_result

LossFunction = Callable[[], Tensor]


def numerical_grad(
    loss_fn: LossFunction,
    param: Tensor,
    eps: float,
    *,
    perturbed: bool = True,
    forward_only: bool = False,
    backward_only: bool = False,
    divisor: float = 2.0,
    divide_by_eps: bool = True,
    sign: float = 1.0,
    restored: bool = True,
    first_dimension_only: bool = False,
    all_at_once: bool = False,
    flat: bool = False,
    fixed_eps: float | None = None,
    first_only: bool = False,
) -> Tensor:
    """(L(w + ε) − L(w − ε)) / 2ε, one entry of `param` at a time, which is left as it was."""
    eps = eps if fixed_eps is None else fixed_eps
    gradient = torch.zeros_like(param).flatten()
    entries = param.data.view(-1)
    count = 1 if first_only else param.shape[0] if first_dimension_only else len(entries)
    for i in range(count):
        where = slice(None) if all_at_once else slice(i, i + 1)
        kept = entries[where].clone()
        above = below = loss_fn()
        if perturbed and not backward_only:
            entries[where] = kept + eps
            above = loss_fn()
        if perturbed and not forward_only:
            entries[where] = kept - eps
            below = loss_fn()
        if restored:
            entries[where] = kept
        span = divisor / 2 * (eps if forward_only or backward_only else 2 * eps)
        gradient[i] = sign * (above - below) / (span if divide_by_eps else 1.0)
    return gradient if flat else gradient.view_as(param)


def _losses(weights: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    """Losses with a known curvature, so that a one-sided difference is off by ½ ε L″."""
    return {
        "Σ a w²": lambda w: (weights.view_as(w) * w**2).sum(),
        "Σ a sin w + (Σ w)²": lambda w: (weights.view_as(w) * w.sin()).sum() + w.sum() ** 2,
    }


def _observe(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The gradient, and what is left of the parameter."""
    dtype = torch.get_default_dtype()
    param = case["param"].to(dtype, copy=True).requires_grad_(case["requires_grad"])
    weights = normal((param.numel(),), 7).to(dtype)
    start = param.detach().clone()
    loss = _losses(weights)[case["loss"]]

    def loss_fn() -> Tensor:
        with torch.no_grad():
            return loss(param)

    result = call(function, loss_fn, param, case["eps"])
    gradient = tensor_result(result).detach()
    return Observation({"result": gradient, "left in param": (param.detach() - start)})


def _case(shape: tuple[int, ...], loss: str, eps: float, requires_grad: bool, seed: int) -> dict[str, Any]:
    return {"loss": loss, "param": normal(shape, seed), "eps": eps, "requires_grad": requires_grad}


_RIGHT = "(L(w + ε) − L(w − ε)) / 2ε"

CHECKS = (
    Check(
        name="numerical_grad",
        call="numerical_grad(loss_fn, param, eps) → gradient of the shape of param; loss_fn() uses param",
        right=numerical_grad,
        mistakes=(
            mistake("the parameter is never perturbed", "(L(w) − L(w)) / 2ε = 0", _RIGHT, perturbed=False),
            mistake("forward instead of central difference", "(L(w + ε) − L(w)) / ε", _RIGHT, forward_only=True),
            mistake("backward instead of central difference", "(L(w) − L(w − ε)) / ε", _RIGHT, backward_only=True),
            mistake("2 forgotten in the divisor", "(L(w + ε) − L(w − ε)) / ε", _RIGHT, divisor=1.0),
            mistake("divided twice by 2", "(L(w + ε) − L(w − ε)) / 4ε", _RIGHT, divisor=4.0),
            mistake("not divided by ε", "L(w + ε) − L(w − ε)", _RIGHT, divide_by_eps=False),
            mistake("sign", "(L(w − ε) − L(w + ε)) / 2ε", _RIGHT, sign=-1.0),
            mistake("the parameter is not restored", "w stays at w − ε", "w is put back before the next entry",
                    restored=False),
            mistake("all entries perturbed at once", "L(w + ε·1) − L(w − ε·1)", "one entry at a time: L(w + ε eᵢ)",
                    all_at_once=True),
            mistake("only the first dimension's length", "for i in range(len(param))", "for i in range(param.numel())",
                    first_dimension_only=True),
            mistake("only the first entry", "one difference", "one difference for each entry", first_only=True),
            mistake("gradient of the wrong shape", "(n,)", "the shape of param", flat=True),
            mistake("ε hard-coded to 1e-3", "ε = 1e-3", "ε = eps", fixed_eps=1e-3),
        ),
        seeded=lambda first: (
            _case((3,), "Σ a w²", 0.1, False, first + 1),
            _case((2, 3), "Σ a sin w + (Σ w)²", 0.05, True, first + 2),
            _case((2, 1, 2), "Σ a sin w + (Σ w)²", 1e-4, True, first + 3),
        ),
        observe=_observe,
        tolerance=1e-7,  # the difference of two rounded losses, over 2ε
    ),
)  # fmt: skip
