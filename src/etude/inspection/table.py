"""The layers of a network, and its modules, as tables."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from torch import nn

from etude.inspection.layers import Layer, ModuleTotal
from etude.inspection.sequences.facts import SequenceFacts
from etude.inspection.sequences.variations import Row as SequenceRow
from etude.inspection.trace.flops import Cost
from etude.inspection.trace.record import shape_text
from etude.models.recurrent import Recurrent
from etude.notebook import plain_table

TEXTS = ("layer", "operation", "output")
NUMBERS = ("parameters", "MACs", "FLOPs", "backward", "saved", "field", "stride", "offset")


def columns(sequence: SequenceFacts | None) -> tuple[tuple[str, ...], int]:
    """The headings, and how many of the first columns are texts. A sequence network has two more columns."""
    if sequence is None:
        return TEXTS + NUMBERS, len(TEXTS)
    costs = NUMBERS.index("backward")
    return (*TEXTS, "axes", *NUMBERS[:costs], "grows", *NUMBERS[costs:]), len(TEXTS) + 1


def cells(layers: Iterable[Layer], sequence: SequenceFacts | None) -> Iterable[tuple[str, ...]]:
    """A row per layer; of a sequence network the steps of a loop over time are one."""
    if sequence is None:
        return map(row, layers)
    return [_sequence_row(each, sequence.sequences.letters) for each in sequence.rows]


def layer_table(layers: Iterable[Layer], sequence: SequenceFacts | None) -> Table:
    """A row per layer."""
    names, texts = columns(sequence)
    return plain_table(names, cells(layers, sequence), align="l" * texts + "r")


def _sequence_row(steps: SequenceRow, letters: Sequence[str]) -> tuple[str, ...]:
    layer, op, output, *numbers = row(steps.layer)
    op += _kind(steps.layer) + (f" ×{steps.calls}" if steps.calls > 1 else "")
    axes = ", ".join(" ".join(names or "–") for names in steps.axes[:3]) + (" …" if len(steps.axes) > 3 else "")
    costs = NUMBERS.index("backward")
    grows = "?" if steps.flops is None else steps.flops.growth(letters)
    return (layer, op, output, axes if any(steps.axes) else "", *numbers[:costs], grows, *numbers[costs:])


def _kind(layer: Layer) -> str:
    """What a layer of sequences is made of: layers, directions, heads, the cell."""
    module = layer.call.module if layer.call and layer.op == type(layer.call.module).__name__ else None
    match module:
        case nn.RNNBase():
            parts = [f"{module.num_layers} layers"] if module.num_layers > 1 else []
            return "".join(f" {part}" for part in [*parts, *(["both ways"] if module.bidirectional else [])])
        case nn.MultiheadAttention():
            return f" {module.num_heads} head{'s' if module.num_heads > 1 else ''}"
        case Recurrent():
            return f" {type(module.cell).__name__}"
        case _:
            return ""


def row(layer: Layer) -> tuple[str, ...]:
    """The cells of one layer."""
    parameters = f"{layer.parameters:,}" if layer.parameters else ""
    if layer.shared:
        parameters = f"{parameters} shared".strip()
    if layer.frozen:
        parameters += " frozen"
    field, stride, offset = _field(layer)
    return (
        layer.path or "·",
        f"{layer.op} {_settings(layer)}".strip(),
        ", ".join(shape_text(value.shape) for value in layer.outputs[:3]) + (" …" if len(layer.outputs) > 3 else ""),
        parameters,
        _count(layer.cost, "macs", layer.partly),
        _count(layer.cost, "flops", layer.partly),
        _count(layer.backward, "flops", layer.partly_backward),
        size_text(layer.saved_bytes) if layer.saved_bytes else "",
        field,
        stride,
        offset,
    )


def module_table(totals: Iterable[ModuleTotal], *, with_backward: bool) -> Table:
    """A row per module that holds others."""
    rows = []
    for total in totals:
        partly = bool(total.uncounted)
        costs = [_count(total.cost, "macs", partly), _count(total.cost, "flops", partly)]
        back = _count(total.backward, "flops", partly) if with_backward else "not counted"
        saved = size_text(total.saved_bytes) if total.saved_bytes else ""
        rows.append([total.path, total.op, f"{total.parameters:,}" if total.parameters else "", *costs, back, saved])
    return plain_table(("module", "kind", "parameters", "MACs", "FLOPs", "backward", "saved"), rows, align="llr")


def size_text(count_bytes: int) -> str:
    """1536 -> 1.5 KiB."""
    amount, units = float(count_bytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount, units = amount / 1024, units[1:]
    return f"{amount:.0f} {units[0]}" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def _count(cost: Cost | None, what: str, partly: bool) -> str:
    if cost is None:
        return "not counted"
    value = getattr(cost, what)
    return f"{'≥ ' if partly else ''}{value:,}" if value else ""


def _settings(layer: Layer) -> str:
    """k5 s1 p0 d1 as people write it; what is 1 (0 for padding) is left out."""
    usual = {"kernel": None, "stride": 1, "padding": 0, "dilation": 1, "output_padding": 0, "groups": 1}
    letters = {"kernel": "k", "stride": "s", "padding": "p", "dilation": "d", "output_padding": "op", "groups": "g"}
    parts = []
    for name, value in layer.settings.items():
        values = [value] if isinstance(value, int) else list(value)
        if any(v != usual[name] for v in values):
            parts.append(letters[name] + (str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values))))
    return " ".join(parts)


def _field(layer: Layer) -> tuple[str, str, str]:
    if layer.receptive_field is None:
        return ("unknown" if layer.no_field_because else "", "", "")
    axes = layer.receptive_field
    if all(axis.whole for axis in axes):
        return "whole input", "", ""
    size = "×".join("all" if axis.whole else str(axis.size) for axis in axes)
    if any(axis.taps != axis.size and not axis.whole for axis in axes):
        size += f" ({'×'.join(str(axis.taps) for axis in axes)} taps)"
    strides = ["–" if axis.stride is None else str(axis.stride) for axis in axes]
    offsets = [str(axis.offset) for axis in axes]
    stride, offset = ("×".join(cells) if len(set(cells)) > 1 else cells[0] for cells in (strides, offsets))
    return size, stride, offset
