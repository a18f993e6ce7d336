"""Where in a tensor a write in place through another view of its memory lands."""

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
import torch
from torch import Tensor

WRITE = torch.ops.aten.copy_.default
"""Stands in a trace for "this view changes because its memory was written to", with the arguments (the view as it was,
the tensor that was written, the `Landing`)."""

LARGEST = 2**20
"""Elements of the larger view beyond which to find out would cost more than it tells."""


@dataclass(frozen=True, eq=False)
class Landing:
    """The elements of a tensor that a write changed, and those of the written tensor that they got; flat positions."""

    touched: np.ndarray
    sources: np.ndarray
    """(elements, parts): several parts where the types differ, as the two halves of a complex number; -1: kept."""


def same_place(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors on one storage are the same elements in the same order."""
    return _geometry(a) == _geometry(b)


def landing(tensor: Tensor, written: Tensor) -> Landing | str | None:
    """Where in `tensor` a write to `written` landed; None when they share no element, as chunks do.

    A text says why that cannot be told.
    """
    if max(tensor.numel(), written.numel()) > LARGEST:
        return "a write in place into a large tensor"
    # Memory in units of which every element of both is a whole number: bytes, for types of different size.
    unit = gcd(tensor.element_size(), written.element_size())
    low = min(_first(tensor), _first(written))
    size = (max(_last(tensor), _last(written)) - low) // unit
    if size > 64 * LARGEST:
        return "a write in place into a large tensor"
    memory = np.full(size, -1)
    places = _units(written, low, unit)
    memory[places] = np.arange(written.numel())[:, None]
    source = memory[_units(tensor, low, unit)]  # (elements, units): the element of `written` that each is, or -1
    touched = source >= 0
    if not touched.any():
        return None
    hit = touched.any(1)
    return Landing(np.flatnonzero(hit), source[hit])


def _geometry(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.element_size()


def _first(tensor: Tensor) -> int:
    """The byte of a tensor's memory at which it begins."""
    return int(tensor.storage_offset()) * tensor.element_size()


def _last(tensor: Tensor) -> int:
    """The byte at which it ends."""
    steps = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return (int(tensor.storage_offset()) + steps + 1) * tensor.element_size()


def _units(tensor: Tensor, low: int, unit: int) -> np.ndarray:
    """(elements, units of one): the units of memory from the byte `low` that hold each element."""
    places = np.zeros(tensor.shape, np.int64)
    for d, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        places += (np.arange(size) * stride).reshape([-1 if e == d else 1 for e in range(tensor.dim())])
    count = tensor.element_size() // unit
    start = (_first(tensor) - low) // unit
    return (start + places.reshape(-1, 1) * count) + np.arange(count)
