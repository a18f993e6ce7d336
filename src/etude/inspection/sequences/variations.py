"""The same network traced at other lengths and in another batch, layer by layer beside the trace that was given."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from etude.errors import UsageError
from etude.inspection.field.receptive_field import Fields
from etude.inspection.layers import Grouping, Layer
from etude.inspection.sequences.axis_names import axis_names
from etude.inspection.sequences.growth import Point, Polynomial, lengths_at, points, polynomial
from etude.inspection.sequences.time_axis import Sequences, readers_of_time, resized, time_first
from etude.inspection.trace.flops import Cost
from etude.inspection.trace.record import Call, Trace, Value
from etude.inspection.trace.tracing import trace

Names = tuple[str, ...] | None


@dataclass(frozen=True, eq=False)
class Row:
    """One layer, or all steps of one that a loop over time calls."""

    layer: Layer
    axes: tuple[Names, ...]
    """Names of the axes of its outputs; None where they are not known."""
    flops: Polynomial | None
    """As a function of the lengths; None where it is no polynomial, or not counted."""
    calls: int


@dataclass(frozen=True, eq=False)
class Variations:
    """Traces at all `points` and one in a larger batch; final."""

    sequences: Sequences
    records: Mapping[Point, Trace]
    layers: Mapping[Point, list[Layer]]
    """By point, the given trace first."""
    larger: tuple[Trace, list[Layer]]
    """In a batch of one more, at the last point."""
    readers: Mapping[int, list[Call]]
    """By the axis of the sequences that they read as time: layers of the library."""

    def rows(self) -> list[Row]:
        """The layers of the given trace; those that are called more often for longer sequences once."""
        counts = {point: Counter(map(_key, layers)) for point, layers in self.layers.items()}
        given, *others = counts.values()
        looping = {key for key, count in given.items() if any(other[key] != count for other in others)}
        by_key: dict[Point, dict[Any, list[Layer]]] = {point: _by_key(x) for point, x in self.layers.items()}
        larger = _by_key(self.larger[1])
        zero = points(len(self.sequences.lengths))[0]
        found: list[Row] = []
        for key, i in _numbered(self.layers[zero]):
            if key in looping and i:
                continue
            same = {p: layers.get(key, []) if key in looping else [layers[key][i]] for p, layers in by_key.items()}
            axes = self._axes({p: _outputs(same[p]) for p in same}, _outputs(larger.get(key, [])[i : i + 1]))
            found.append(Row(_sum(same[zero]), axes, self._flops(same), len(same[zero])))
        return found

    def output_axes(self) -> tuple[Names, ...]:
        """Names of the axes of what the network returns."""
        return self._axes({p: record.outputs for p, record in self.records.items()}, self.larger[0].outputs)

    def lengths_at(self, point: Point) -> tuple[int, ...]:
        """The lengths of one of the traces."""
        return lengths_at(point, self.sequences.lengths)

    def _axes(self, outputs: Mapping[Point, list[Value]], larger: list[Value]) -> tuple[Names, ...]:
        """Of each output of the given trace, from what it is at every point and in the larger batch."""
        given, *_, last = outputs.values()
        num_lengths = len(self.sequences.lengths)
        others = [outputs[tuple(int(i == j) for j in range(num_lengths))] for i in range(num_lengths)]
        names = []
        for number, value in enumerate(given):
            if any(number >= len(each) for each in (last, larger, *others)):
                names.append(None)
                continue
            shapes = [(value.shape, other[number].shape) for other in others]
            changes = {
                "N": (last[number].shape, larger[number].shape),
                **dict(zip(self.sequences.letters, shapes, strict=True)),
            }
            names.append(axis_names(value.shape, changes))
        return tuple(names)

    def _flops(self, layers: Mapping[Point, list[Layer]]) -> Polynomial | None:
        if any(layer.cost is None or layer.partly for each in layers.values() for layer in each):
            return None
        counts = {p: sum(layer.cost.flops for layer in each if layer.cost) for p, each in layers.items()}
        return polynomial(counts, self.sequences.lengths)


def vary(module: nn.Module, inputs: Any, keywords: Any, record: Trace, layers: list[Layer], sequences: Sequences,
         *, train: bool) -> Variations:  # fmt: skip
    """Trace a network on its inputs at other lengths and in another batch.

    Raises a `UsageError` where it fails on any of them, or has sequences of more than two lengths.
    """

    def run(sequences: Sequences, lengths: tuple[int, ...], batch: int) -> Trace:
        try:
            return trace_of(module, inputs, keywords, sequences, lengths, batch, train=train)
        except UsageError as error:
            if batch != sequences.batch:
                raise UsageError(f"one batch size only: with {batch} examples, {error}") from error
            raise UsageError(f"one length only: with {' and '.join(map(str, lengths))} steps, {error}") from error

    def at_all(sequences: Sequences) -> dict[Point, Trace]:
        if not points(len(sequences.lengths)):
            count = len(sequences.lengths)
            raise UsageError(f"growth not measured: the inputs have {count} lengths, and two can be told apart.")
        given, *others = points(len(sequences.lengths))
        made = {p: run(sequences, lengths_at(p, sequences.lengths), sequences.batch) for p in others}
        return {given: record, **made}

    def larger_than(records: dict[Point, Trace], sequences: Sequences) -> Trace:
        return run(sequences, lengths_at(list(records)[-1], sequences.lengths), sequences.batch + 1)

    records = at_all(sequences)
    larger = larger_than(records, sequences)
    last = list(records.values())[-1]
    readers = readers_of_time({1: (record, last), 0: (last, larger)})
    if set(readers) == {0}:
        sequences = time_first(sequences)
        records = at_all(sequences)
        larger = larger_than(records, sequences)
    grouped = {p: layers if each is record else _layers(each) for p, each in records.items()}
    return Variations(sequences, records, grouped, (larger, _layers(larger)), readers)


def trace_of(module: nn.Module, inputs: Any, keywords: Any, sequences: Sequences, lengths: tuple[int, ...],
             batch: int, *, train: bool) -> Trace:  # fmt: skip
    """A trace of the network on the inputs with other lengths and another batch."""
    changed, named = resized((inputs, keywords), sequences, lengths, batch)
    return trace(module, *changed, train=train, **named)


def _layers(record: Trace) -> list[Layer]:
    return Grouping(record, Fields(None, (), {}, [])).layers


def _key(layer: Layer) -> tuple[str, str]:
    return layer.path, layer.op


def _by_key(layers: list[Layer]) -> dict[tuple[str, str], list[Layer]]:
    found: dict[tuple[str, str], list[Layer]] = {}
    for layer in layers:
        found.setdefault(_key(layer), []).append(layer)
    return found


def _numbered(layers: list[Layer]) -> list[tuple[tuple[str, str], int]]:
    """The key of each layer, and how many of that key came before it."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for layer in layers:
        found.append((_key(layer), seen[_key(layer)]))
        seen[_key(layer)] += 1
    return found


def _outputs(layers: list[Layer]) -> list[Value]:
    """Those of the first of these layers."""
    return layers[0].outputs if layers else []


def _sum(layers: list[Layer]) -> Layer:
    """The steps of a loop as one layer, whose receptive field is that of none of them."""
    if len(layers) == 1:
        return layers[0]
    return replace(
        layers[0],
        operations=[operation for layer in layers for operation in layer.operations],
        parameters=sum(layer.parameters for layer in layers),
        cost=_total([layer.cost for layer in layers]),
        backward=_total([layer.backward for layer in layers]),
        uncounted=[name for layer in layers for name in layer.uncounted],
        partly=any(layer.partly for layer in layers),
        partly_backward=any(layer.partly_backward for layer in layers),
        saved_bytes=sum(layer.saved_bytes for layer in layers),
        receptive_field=None,
        no_field_because="",
    )


def _total(costs: list[Cost | None]) -> Cost | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known, Cost()) if known else None
