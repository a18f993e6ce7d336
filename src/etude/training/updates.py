"""The optimizers' formulas on plain tensors, for steps that are compiled, captured or vectorised as a whole.

They move the very tensors that PyTorch's optimizers keep, so that a checkpoint does not tell who trained.
"""

import math

import torch
from torch import Tensor

from etude import recipes

Moments = dict[str, Tensor]


def initial_moments(settings: recipes.Optimizer, parameter: Tensor) -> Moments:
    """What PyTorch's optimizer keeps of a parameter before its first step, under PyTorch's names."""
    if settings.name == "sgd":
        return {"momentum_buffer": torch.zeros_like(parameter)} if settings.momentum else {}
    count = torch.zeros((), device=parameter.device)
    return {"step": count, "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}


def update(
    settings: recipes.Optimizer, parameter: Tensor, gradient: Tensor, moments: Moments, learning_rate: Tensor
) -> None:
    """Move a parameter and its moments in place by one step; `learning_rate` is a scalar tensor.

    As `torch.optim.SGD` without dampening (with Nesterov's momentum as Sutskever et al. 2013), `Adam` (Kingma and Ba
    2015, algorithm 1) and `AdamW` (Loshchilov and Hutter 2019, algorithm 2).
    """
    if settings.name == "adamw":
        parameter.mul_(1 - learning_rate * settings.weight_decay)
    elif settings.weight_decay:
        gradient = gradient + settings.weight_decay * parameter
    if settings.name == "sgd":
        if settings.momentum:
            velocity = moments["momentum_buffer"].mul_(settings.momentum).add_(gradient)
            gradient = gradient + settings.momentum * velocity if settings.nesterov else velocity
        parameter.sub_(learning_rate * gradient)
        return
    count = moments["step"].add_(1)
    # vmap has no rule for lerp_ and addcmul_.
    mean = moments["exp_avg"].mul_(settings.beta1).add_(gradient, alpha=1 - settings.beta1)
    square = moments["exp_avg_sq"].mul_(settings.beta2).add_(gradient.square(), alpha=1 - settings.beta2)
    # 1 − βᵗ loses its digits in float32 where β is near 1; expm1 keeps them.
    seen_mean, seen_square = (_seen(beta, count) for beta in (settings.beta1, settings.beta2))
    parameter.sub_(learning_rate / seen_mean * mean / ((square / seen_square).sqrt() + EPSILON))


EPSILON = 1e-8
"""Of Adam: PyTorch's default."""


def _seen(beta: float, count: Tensor) -> Tensor:
    """1 − βᵗ: the share of a running mean that is not its start of zero."""
    return -torch.expm1(count * math.log(beta)) if beta else torch.ones_like(count)
