"""Numbers that float32 sums up without rounding, and what a layer makes of them with its gradients."""

from collections.abc import Callable

import torch
from torch import Tensor


def whole_numbers(*shape: int, most: int = 4) -> Tensor:
    """Small whole numbers, of which float32 makes sums without rounding: results must then be equal."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(-most, most + 1, shape, generator=generator).float()


def numbers(layer: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """What a layer makes of its first input, and the gradients of all of a function of that."""
    inputs = tuple(each.detach().requires_grad_() for each in inputs)
    made = layer(*inputs)
    return [made.detach(), *torch.autograd.grad((made * whole_numbers(*made.shape)).sum(), inputs)]
