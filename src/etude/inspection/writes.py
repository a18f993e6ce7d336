"""Where in a tensor a write in place through another view of its memory lands."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

WRITE = torch.ops.aten.copy_.default
"""Stands in a trace for "this view changes because its memory was written to", with the arguments (the view as it was,
the tensor that was written, the `Landing`)."""

LARGEST = 2**20
"""Elements of the larger view beyond which to find out would cost more than it tells."""


@dataclass(frozen=True)
class Landing:
    """The part of a tensor that a write changed."""

    positions: tuple[tuple[int, ...], ...] | None
    """Along each dimension; the part is their product, in the order of what was written. None: no such block."""


def same_place(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors on one storage are the same elements in the same order."""
    return _geometry(a) == _geometry(b)


def landing(tensor: Tensor, written: Tensor) -> Landing | None:
    """The part of `tensor` that a write to `written` changed; None when they share no element, as chunks do."""
    if max(tensor.numel(), written.numel()) > LARGEST:
        return Landing(None)
    memory = np.full(tensor.untyped_storage().nbytes() // tensor.element_size(), -1)
    _seen_as(memory, written)[...] = np.arange(written.numel()).reshape(written.shape)
    source = _seen_as(memory, tensor)  # for each element the one of `written` that it is, or -1
    touched = source >= 0
    if not touched.any():
        return None
    dims = range(tensor.dim())
    positions = [np.flatnonzero(touched.any(tuple(e for e in dims if e != d))) for d in dims]
    block = source[np.ix_(*positions)]
    if not np.array_equal(block.ravel(), np.arange(written.numel())):
        return Landing(None)
    return Landing(tuple(tuple(map(int, along)) for along in positions))


def _geometry(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.storage_offset(), tensor.shape, tensor.stride()


def _seen_as(memory: np.ndarray, tensor: Tensor) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(
        memory[tensor.storage_offset() :],
        tensor.shape,
        [stride * memory.itemsize for stride in tensor.stride()],
    )
