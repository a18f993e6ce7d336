"""A copy of a module to look at, so that the module that was given, and every random state, stay as they were."""

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def at_rest(module: nn.Module, awake: tuple[type[nn.Module], ...]) -> nn.Module:
    """The module in eval mode, but for modules of the types in `awake`."""
    module.eval()
    for part in module.modules():
        part.training = isinstance(part, awake)
    return module


def _copied(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def without_elements(tensor: Tensor) -> Tensor:
    """A tensor of the same shape and type on the meta device; a parameter stays one."""
    empty = tensor.detach().to("meta")
    return nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def twin_of(module: nn.Module, make: Callable[[Tensor], Tensor] | None = None) -> nn.Module:
    """A deep copy of a module, its parameters and buffers made by `make`.

    Also of a module that holds tensors computed by autograd (as old weight norms do), which Python refuses to copy.
    """
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, Tensor) and (make or value.grad_fn is not None):
                memo[id(value)] = (make or _copied)(value)
    if make:
        memo |= {id(tensor): make(tensor) for tensor in (*module.parameters(), *module.buffers())}
    twin = copy.deepcopy(module, memo)
    for parameter in twin.parameters():
        if parameter.grad is not None:
            parameter.grad = None
    return twin


@contextmanager
def untouched_random_state() -> Iterator[None]:
    """Put the random states of PyTorch, Python and NumPy back as they were before."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 (the module may use the global one)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


def own_copy(value: Any, make: Callable[[Tensor], Tensor] = _copied) -> Any:
    """A copy of a tensor that the traced module may write into, and of a generator that it may draw from."""
    if isinstance(value, torch.Generator):
        return value.clone_state()
    return make(value.detach()) if isinstance(value, Tensor) else value
