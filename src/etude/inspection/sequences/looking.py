"""Whether a network reads sequences, what is to be told of them, and what is wrong with how it reads them."""

import contextlib
import io
import re
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from etude.errors import UsageError
from etude.inspection.layers import Layer
from etude.inspection.sequences.dependence import NUM_PADS, ROUNDING, Dependence, dependence
from etude.inspection.sequences.facts import SequenceFacts
from etude.inspection.sequences.position_tables import PositionTable, shortest_table
from etude.inspection.sequences.time_axis import Sequences, padding_of, sequences_of
from etude.inspection.sequences.variations import Variations, trace_of, vary
from etude.inspection.trace.flops import bound
from etude.inspection.trace.record import Call, Trace, Value
from etude.inspection.trace.tracing import is_large

LONGEST = 2**14
"""Limits of the length beyond it are not tried."""
_CAUSAL = re.compile(r"causal|autoregressive|gpt|language_?model", re.IGNORECASE)


def look(
    module: nn.Module, inputs: Any, keywords: Any, record: Trace, layers: list[Layer], *, train: bool
) -> tuple[SequenceFacts | None, list[str]]:
    """The facts, and findings; none for a network that reads no sequences, or whose length cannot be varied."""
    sequences = sequences_of(record)
    if sequences is None:
        return None, []
    with contextlib.redirect_stdout(io.StringIO()):  # what the network prints has been seen once
        return _look(module, inputs, keywords, record, layers, sequences, train=train)


def _look(module: nn.Module, inputs: Any, keywords: Any, record: Trace, layers: list[Layer], sequences: Sequences,
          *, train: bool) -> tuple[SequenceFacts | None, list[str]]:  # fmt: skip
    last = _last_of_both(record)
    try:
        varied = vary(module, inputs, keywords, record, layers, sequences, train=train)
    except UsageError as error:
        return None, [*last, str(error)]
    outputs, padding, found = varied.output_axes(), padding_of(record), None
    if not is_large(module, [leaf for leaf in tree_flatten((inputs, keywords))[0] if isinstance(leaf, Tensor)]):
        found = dependence(module, (inputs, keywords), varied.sequences, outputs, padding=padding)
    table = _limit(module, inputs, keywords, varied, train=train)
    findings = [*_axes_of_time(varied), *last, *_judged(module, record, found, padding)]
    return SequenceFacts(varied.sequences, varied.rows(), outputs, table, found), findings


def _limit(module: nn.Module, inputs: Any, keywords: Any, varied: Variations, *, train: bool) -> PositionTable | None:
    """The table that limits the length, if the network fails on one step more."""
    sequences = varied.sequences
    if len(sequences.lengths) > 1:
        return None
    point, other = list(varied.records.items())[-1]
    given, length = next(iter(varied.records.values())), max(sequences.lengths)
    table = shortest_table(given, other, length, *varied.lengths_at(point))
    if table is None or table.limit >= LONGEST:
        return None
    try:
        trace_of(module, inputs, keywords, sequences, (table.limit + 1,), sequences.batch, train=train)
    except UsageError:
        return table
    return None


def _judged(module: nn.Module, record: Trace, found: Dependence | None, padding: int | None) -> list[str]:
    """What the experiments showed."""
    if found is None:
        return []
    findings = []
    if found.mixed is not None and found.mixed > ROUNDING:
        findings.append(
            f"mixed batch: the output for one example changes with the others, by {_percent(found.mixed)} of its size: "
            "batch and time are confused somewhere (batch_first, or a view in place of a transpose)."
        )
    elif found.causal is False and (name := _causal_name(module, record)):
        findings.append(
            f"not causal: {name} is causal by its name, but a step of the output changes with later steps; mask them."
        )
    if found.padded is not None and found.padded > ROUNDING:
        findings.append(
            f"pads count: the output changes by {_percent(found.padded)} of its size when {NUM_PADS} pads (symbol "
            f"{padding}) follow a sequence; mask them, read each sequence at its end, or let a batch have one length."
        )
    return findings


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2g} %" if fraction < 1 else f"{100 * fraction:.0f} %"


def _causal_name(module: nn.Module, record: Trace) -> str:
    for part in [module, *(call.module for call in record.calls)]:
        name = type(part).__name__
        flags = (getattr(part, flag, None) is True for flag in ("causal", "is_causal"))
        if _CAUSAL.search(name) or any(flags) or isinstance(part, nn.TransformerDecoderLayer):
            return name
    return ""


def _axes_of_time(varied: Variations) -> list[str]:
    """Layers that read the batch as time."""
    first, second = varied.readers.get(0), varied.readers.get(1)
    sequences = varied.sequences
    if first and second:
        return [
            f"two axes of time: {_named(first[0])} reads the first axis of the input as time, {_named(second[0])} the "
            "second one; give both the same batch_first."
        ]
    readers = first or second
    if not readers or sequences.lengths != (1,) or sequences.batch == 1:
        return []
    read = f"{_named(readers[0])} reads the {'first' if first else 'second'} axis of the input as time"
    advice = f"set batch_first=True, or give time first: --input {sequences.batch},N" if first else (
        f"give the batch first: --input {sequences.batch}"
    )  # fmt: skip
    return [f"one step: {read}, which makes {sequences.batch} sequences of 1 step; {advice}."]


def _named(call: Call) -> str:
    return f"{call.path or 'the network'} ({type(call.module).__name__})"


def _last_of_both(record: Trace) -> list[str]:
    """Recurrent layers in both directions whose output is read at its last step, and not at its first."""
    places: dict[Value, tuple[Call, int]] = {}
    """Outputs of such layers, also transposed, with their axis of time."""
    lengths: dict[Call, int] = {}
    for call in record.calls:
        both = isinstance(call.module, nn.RNNBase) and call.module.bidirectional
        if both and call.outputs and len(call.outputs[0].shape) == 3:
            time = 1 if call.module.batch_first else 0
            places[call.outputs[0]], lengths[call] = (call, time), call.outputs[0].shape[time]
    sliced = {value for operation in record.operations if operation.name == "slice" for value in operation.inputs}
    steps: dict[Call, set[int]] = {}
    for operation in record.operations:
        source = next((value for value in operation.inputs if value in places), None)
        if source is None or not operation.outputs:
            continue
        (call, time), out = places[source], operation.outputs[0]
        arguments = bound(operation.func, operation.args, operation.kwargs)
        if operation.name == "transpose":
            axes = arguments["dim0"] % 3, arguments["dim1"] % 3
            places[out] = call, axes[1 - axes.index(time)] if time in axes else time
        elif operation.name == "permute":
            places[out] = call, [axis % 3 for axis in arguments["dims"]].index(time)
        elif operation.name == "slice" and out.shape == source.shape:
            places[out] = call, time
        elif operation.name == "select" and arguments["dim"] % 3 == time and out not in sliced:
            steps.setdefault(call, set()).add(arguments["index"] % lengths[call])
    return [
        f"last step of both directions: the network takes the last output of {_named(call)}, whose backward half has "
        "read one step; take the states that it returns, or the first step of that half."
        for call, taken in steps.items()
        if lengths[call] - 1 in taken and 0 not in taken
    ]
