"""The optimizers' formulas on plain tensors, for steps that are compiled, captured or vectorised as a whole.

They change the same tensors that PyTorch's optimizers keep, so a checkpoint does not depend on which of them trained.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from etude.families.recipe import Optimizer

Moments = dict[str, Tensor]


def initial_moments(settings: Optimizer, parameter: Tensor) -> Moments:
    """What PyTorch's optimizer keeps for a parameter before its first step, under PyTorch's names."""
    if settings.name == "sgd":
        return {"momentum_buffer": torch.zeros_like(parameter)} if settings.momentum else {}
    count = torch.zeros((), device=parameter.device)
    return {"step": count, "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}


def update(
    settings: Optimizer,
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    moments: Mapping[str, Moments],
    learning_rate: Tensor,
) -> None:
    """Update a network's parameters and their moments in place by one step. `learning_rate` is a scalar tensor.

    Computes `torch.optim.SGD` without dampening (with Nesterov's momentum as in Sutskever et al. 2013), `Adam` (Kingma
    and Ba 2015, algorithm 1) and `AdamW` (Loshchilov and Hutter 2019, algorithm 2).
    """
    counts = [each["step"].add_(1) for each in moments.values() if "step" in each]
    rate, epsilon = learning_rate, EPSILON
    if counts:
        # m / s₁ / (√(v / s₂) + ε) as √s₂ / s₁ · m / (√v + ε √s₂): a division less for each weight. All have taken as
        # many steps: computed once, what follows from their number is not computed again in each loop.
        root = _seen(settings.beta2, counts[0]).sqrt()
        rate, epsilon = learning_rate * root / _seen(settings.beta1, counts[0]), EPSILON * root
    for name, parameter in parameters.items():
        gradient, own = gradients[name], moments[name]
        if settings.name == "adamw":
            parameter.mul_(1 - learning_rate * settings.weight_decay)
        elif settings.weight_decay:
            gradient = gradient + settings.weight_decay * parameter
        if settings.name == "sgd":
            if settings.momentum:
                velocity = own["momentum_buffer"].mul_(settings.momentum).add_(gradient)
                gradient = gradient + settings.momentum * velocity if settings.nesterov else velocity
            parameter.sub_(rate * gradient)
        else:
            # vmap has no rule for lerp_ and addcmul_.
            mean = own["exp_avg"].mul_(settings.beta1).add_(gradient, alpha=1 - settings.beta1)
            square = own["exp_avg_sq"].mul_(settings.beta2).add_(gradient.square(), alpha=1 - settings.beta2)
            parameter.sub_(rate * mean / (square.sqrt() + epsilon))


def clip_norm(gradients: Mapping[str, Tensor], most: float) -> dict[str, Tensor]:
    """Scale the gradients of a network so that their joint norm is at most `most`.

    Pascanu et al. 2013, algorithm 1, like `torch.nn.utils.clip_grad_norm_`.
    """
    norm = torch.stack([gradient.square().sum() for gradient in gradients.values()]).sum().sqrt()
    factor = (most / (norm + 1e-6)).clamp(max=1.0)
    return {name: gradient * factor for name, gradient in gradients.items()}


EPSILON = 1e-8
"""PyTorch's default for Adam."""


def _seen(beta: float, count: Tensor) -> Tensor:
    """1 − βᵗ: the share of a running mean that does not come from its initial zero.

    1 − exp(x) loses digits in float32 where x is near 0. −tanh(x / 2) · (1 + exp(x)) keeps them. With expm1, Inductor
    would compute it again for every row of the weights. It stores a number used by several loops only if an exponential
    is part of it (docs/log.md, 2026-11-27).
    """
    if not beta:
        return torch.ones_like(count)
    exponent = count * math.log(beta)
    return -torch.tanh(exponent / 2) * (1 + torch.exp(exponent))
