"""An inspection as a table in the terminal."""

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from etude.inspection.flops import CONVENTION, Cost
from etude.inspection.layers import Inspection, Layer
from etude.inspection.record import shape_text
from etude.notebook import paragraph_html, plain_text, table_html

_LEFT = ("layer", "operation", "output")
COLUMNS = (*_LEFT, "parameters", "MACs", "FLOPs", "backward", "saved", "field", "stride", "offset")


def render(inspection: Inspection) -> list[RenderableType]:
    """Heading, table, totals and findings, to print one after the other."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in _LEFT else "right", no_wrap=name != "layer", overflow="fold")
    for layer in inspection.layers:
        table.add_row(*(escape(cell) for cell in row(layer)))
    lines = [Text(f"{heading(inspection)}\n"), table, Text("\n" + totals(inspection))]
    return [*lines, *(Text(f"! {text}") for text in inspection.findings)]


def heading(inspection: Inspection) -> str:
    """What was inspected, and how costs are counted."""
    shapes = ", ".join(shape_text(value.shape) for value in inspection.trace.inputs)
    return f"{inspection.name} on {shapes}, {'training' if inspection.train else 'eval'} mode; {CONVENTION}."


def html(inspection: Inspection) -> str:
    """The same for a notebook."""
    table = table_html(COLUMNS, map(row, inspection.layers), left=len(_LEFT))
    findings = [f"! {text}" for text in inspection.findings]
    return paragraph_html(heading(inspection)) + table + "".join(map(paragraph_html, [totals(inspection), *findings]))


def text(inspection: Inspection, width: int = 160) -> str:
    """The same as plain text."""
    return plain_text(*render(inspection), width=width)


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


def modules(inspection: Inspection) -> list[RenderableType]:
    """The totals of every module that holds others."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(("module", "kind", "parameters", "MACs", "FLOPs", "backward", "saved")):
        table.add_column(name, justify="left" if i < 2 else "right", no_wrap=bool(i), overflow="fold")
    for total in inspection.modules:
        partly = bool(total.uncounted)
        costs = [_count(total.cost, "macs", partly), _count(total.cost, "flops", partly)]
        back = "not counted" if inspection.backward is None else _count(total.backward, "flops", partly)
        saved = size_text(total.saved_bytes) if total.saved_bytes else ""
        cells = [total.path, total.op, f"{total.parameters:,}" if total.parameters else "", *costs, back, saved]
        table.add_row(*map(escape, cells))
    return [table, Text("\n" + totals(inspection))]


def totals(inspection: Inspection) -> str:
    """The last line: parameters, cost, memory."""
    frozen = inspection.parameters - inspection.trainable_parameters
    least = "at least " if inspection.uncounted else ""
    backward = inspection.backward
    return (
        f"{inspection.parameters:,} parameters{f' ({frozen:,} frozen)' if frozen else ''}; "
        f"forward {least}{inspection.cost.macs:,} MACs, {inspection.cost.flops:,} FLOPs; "
        f"backward {f'{least}{backward.flops:,} FLOPs' if backward else 'not counted'}; "
        f"{size_text(inspection.saved_bytes)} saved for backward."
    )


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
