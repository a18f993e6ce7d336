"""The axis of time: which inputs of a network are sequences, and the same inputs with other lengths and batches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from etude.inspection.trace.record import Call, Trace, Value
from etude.models.attention import MultiHeadAttention
from etude.models.recurrent import Cell, Recurrent

_READERS = (
    nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention, nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder,
    Cell, Recurrent, MultiHeadAttention,
)  # fmt: skip
"""Layers of sequences."""
_LOOKUPS = {"embedding", "_embedding_bag", "index_select", "index", "gather", "scatter"}


@dataclass(frozen=True)
class Sequences:
    """The inputs with an axis of time."""

    numbers: tuple[int, ...]
    """Of the tensors among the inputs, from 0."""
    shapes: tuple[tuple[int, ...], ...]
    """Theirs: (N, T, …), or (T, N, …) where `axis` is 0."""
    states: tuple[int, ...] = ()
    """Numbers of inputs that recurrent layers get as their first state, (L, N, D)."""
    axis: int = 1
    """That of time; the batch is the other one of the first two."""

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """The different lengths, in the order of the inputs."""
        return tuple(dict.fromkeys(shape[self.axis] for shape in self.shapes))

    @property
    def letters(self) -> tuple[str, ...]:
        """A letter for each length: T, or S and T of a source and a target."""
        few = {1: ("T",), 2: ("S", "T")}
        return few.get(len(self.lengths)) or tuple(f"T{i}" for i in range(1, len(self.lengths) + 1))

    @property
    def batch(self) -> int:
        """Sequences of one pass."""
        return self.shapes[0][1 - self.axis]

    @property
    def tokens(self) -> int:
        """Steps of all sequences of one pass; those of inputs of one length count once."""
        return self.batch * sum(self.lengths)


def sequences_of(record: Trace) -> Sequences | None:
    """The inputs that are sequences, with time as their second axis; None for a network of no sequences.

    These are whole numbers (N, T) that pick rows of a table, and vectors (N, T, D) of a network with a recurrent layer
    or attention.
    """
    inputs, picking = record.inputs, _picking(record)
    given = {value for call in record.calls if isinstance(call.module, nn.RNNBase) for value in call.inputs[1:]}
    states = tuple(i for i, value in enumerate(inputs) if value in given and len(value.shape) == 3)
    numbers = [i for i, value in enumerate(inputs) if value in picking and len(value.shape) == 2]
    if not numbers and _reads_sequences(record) and not any(len(value.shape) > 3 for value in inputs):
        vectors = [i for i, value in enumerate(inputs) if _is_real(value) and len(value.shape) == 3]
        numbers = [i for i in vectors if i not in states]
    if not numbers:
        return None
    return Sequences(tuple(numbers), tuple(inputs[number].shape for number in numbers), states)


def _picking(record: Trace) -> set[Value]:
    """Inputs of whole numbers that pick something, themselves or whole numbers computed from them."""
    origin: dict[Value, set[Value]] = {x: {x} for x in record.inputs if not _is_real(x) and x.dtype != torch.bool}
    found: set[Value] = set()
    for operation in record.operations:
        used = set().union(*(origin.get(value, ()) for value in operation.inputs))
        if not used:
            continue
        if operation.name in _LOOKUPS and (operation.name == "scatter" or any(map(_is_real, operation.inputs))):
            found |= used
        for value in operation.outputs:
            if not _is_real(value) and value.dtype != torch.bool:
                origin[value] = origin.get(value, set()) | used
    return found


def padding_of(record: Trace) -> int | None:
    """The symbol that stands for none, by the embedding that looks the sequences up; None where there is none."""
    root = record.calls[0].module
    tables = {value.name for operation in record.operations for value in operation.inputs if operation.name in _LOOKUPS}
    for name, part in root.named_modules():
        padding = getattr(part, "padding_idx", None)
        if isinstance(padding, int) and f"{name}.weight".removeprefix(".") in tables:
            return padding
    return None


def _reads_sequences(record: Trace) -> bool:
    functions = {operation.function.name for operation in record.operations if operation.function}
    return "scaled_dot_product_attention" in functions or any(isinstance(x.module, _READERS) for x in record.calls)


def _is_real(value: Value) -> bool:
    return value.dtype.is_floating_point


def resized(given: Any, sequences: Sequences, lengths: tuple[int, ...], batch: int) -> Any:
    """The inputs with other lengths, for each of `sequences.lengths`, and another batch; longer ones repeat themselves.

    What lies beside the sequences changes with them: a mask (N, T) or (T, T), a state (1, N, D), the lengths (N,).
    """
    new = dict(zip(sequences.lengths, lengths, strict=True))
    count = -1

    def change(leaf: Any) -> Any:
        nonlocal count
        if not isinstance(leaf, Tensor):
            return leaf
        count += 1
        if count in sequences.numbers:
            leaf = _fitted(leaf, sequences.axis, new[leaf.shape[sequences.axis]])
            return _fitted(leaf, 1 - sequences.axis, batch)
        if count in sequences.states:
            return _fitted(leaf, 1, batch)
        if leaf.dim() == 1 and leaf.numel() and not leaf.is_floating_point() and int(leaf[0]) in new:
            leaf = torch.where(leaf == leaf[0], new[int(leaf[0])], leaf)
        done = False
        for axis, size in enumerate(leaf.shape):
            if size == sequences.batch and not done and (axis == 0 or size not in new):
                leaf, done = _fitted(leaf, axis, batch), True
            elif size in new:
                leaf = _fitted(leaf, axis, new[size])
        return leaf

    return tree_map(change, given)


def _fitted(tensor: Tensor, axis: int, size: int) -> Tensor:
    while tensor.shape[axis] < size:
        tensor = torch.cat([tensor, tensor], axis)
    return tensor.narrow(axis, 0, size)


def readers_of_time(pairs: Mapping[int, tuple[Trace, Trace]]) -> dict[int, list[Call]]:
    """Which axis of the sequences the layers of the library read as time: 0 or 1, with those layers.

    `pairs` are two traces that differ in the size of this axis only. Where no layer tells, a loop does: it takes more
    steps. Where none does either, the second axis is time.
    """
    found: dict[int, list[Call]] = {}
    told = {axis: [[call for call in record.calls if _tells(call)] for record in pair] for axis, pair in pairs.items()}
    if len({len(calls) for pair in told.values() for calls in pair}) == 1:
        changed = {axis: [_steps(a) != _steps(b) for a, b in zip(*pair, strict=True)] for axis, pair in told.items()}
        for i, call in enumerate(told[1][0]):
            axes = [axis for axis, each in changed.items() if each[i]]
            if len(axes) == 1:
                found.setdefault(axes[0], []).append(call)
    looping = [axis for axis, (a, b) in pairs.items() if _num_calls(a) != _num_calls(b)]
    return found or ({0: []} if looping == [0] else {1: []})


def _steps(call: Call) -> int:
    """The size of the axis that a layer reads as time."""
    return call.inputs[0].shape[1 if call.module.batch_first else 0]


def _num_calls(record: Trace) -> int:
    """Calls of modules and functions; what these run may differ for a batch of one."""
    return len(record.calls) + len({id(operation.function) for operation in record.operations})


def _tells(call: Call) -> bool:
    """Whether a call is one of a layer whose `batch_first` says which axis is time."""
    layer = isinstance(call.module, nn.RNNBase | nn.MultiheadAttention)
    return layer and bool(call.inputs) and len(call.inputs[0].shape) == 3


def time_first(sequences: Sequences) -> Sequences:
    """The same inputs, read as (T, N, …)."""
    return replace(sequences, axis=0)
