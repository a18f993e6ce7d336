"""Answers to the summary questions that ask for code: a numerical gradient and an embedding."""

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def numerical_grad(loss_fn: Callable[[], Tensor], param: Tensor, eps: float) -> Tensor:
    """(L(w + ε) − L(w − ε)) / 2ε for one entry of `param` after the other."""
    gradient = torch.zeros_like(param)
    entries = param.view(-1)  # the same memory, so that loss_fn sees each change
    for index, value in enumerate(entries.tolist()):
        entries[index] = value + eps
        above = loss_fn()
        entries[index] = value - eps
        gradient.view(-1)[index] = (above - loss_fn()) / (2 * eps)
        entries[index] = value
    return gradient


def embedding(indices: Tensor, weight: Tensor) -> Tensor:
    """A row of `weight` for each index."""
    return weight[indices]
