"""What one trace tells about a network: its layers, their sums, what is worth knowing; as text, HTML or JSON."""

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import prod
from typing import Any

from rich.console import RenderableType
from rich.text import Text
from torch import nn

from etude.inspection.field.receptive_field import Fields, receptive_fields
from etude.inspection.findings import findings
from etude.inspection.layers import Grouping, Layer, ModuleTotal
from etude.inspection.sequences.facts import SequenceFacts
from etude.inspection.sequences.looking import look
from etude.inspection.table import cells, columns, layer_table, module_table, size_text
from etude.inspection.trace.flops import CONVENTION, NOTHING, Cost
from etude.inspection.trace.record import Call, Trace, Value, shape_text
from etude.inspection.trace.tracing import trace
from etude.inspection.trace.training_only import gradient_in_training
from etude.notebook import paragraph_html, plain_text, table_html


@dataclass(frozen=True, eq=False, repr=False)
class Inspection:
    """All that one trace tells about a network; it shows itself as `etude inspect` prints it."""

    name: str
    layers: list[Layer]
    trace: Trace
    fields: Fields
    findings: list[str]
    train: bool = False
    """Whether the pass was one in training mode."""
    sequence: SequenceFacts | None = None
    """What is known of the axis of time; None for a network that reads no sequences."""

    @property
    def parameters(self) -> int:
        """Elements of all parameters, shared ones once, unused ones too."""
        return sum(prod(value.shape) for value in self.trace.parameters.values())

    @property
    def trainable_parameters(self) -> int:
        """Elements of the parameters that require a gradient."""
        return sum(prod(v.shape) for name, v in self.trace.parameters.items() if name not in self.trace.frozen)

    @property
    def cost(self) -> Cost:
        """Of the forward pass; a lower bound when something could not be counted."""
        return sum((layer.cost for layer in self.layers if layer.cost), Cost())

    @property
    def backward(self) -> Cost | None:
        """Of the backward pass; None when it could not be recorded."""
        if self.trace.backward_error:
            return None
        return sum((layer.backward for layer in self.layers if layer.backward), Cost())

    @property
    def modules(self) -> list[ModuleTotal]:
        """The totals of every module that holds others, the whole network left out, in the order of their calls."""
        calls = [call for call in self.trace.calls if call.parent and call.children and call.registered]
        found = {call.path: ModuleTotal(call.path, type(call.module).__name__) for call in calls}
        for layer in self.layers:
            for path in {above.path for above in _above(layer)}:
                if total := found.get(path):
                    total.parameters += layer.parameters
                    total.cost += layer.cost or NOTHING
                    total.backward += layer.backward or NOTHING
                    total.saved_bytes += layer.saved_bytes
                    total.uncounted += layer.uncounted
        return list(found.values())

    @property
    def saved_bytes(self) -> int:
        """Activations kept for the backward pass."""
        return sum(layer.saved_bytes for layer in self.layers)

    @property
    def uncounted(self) -> list[str]:
        """Operations without a known cost, forward and backward."""
        return sorted({name for layer in self.layers for name in layer.uncounted})

    def heading(self) -> str:
        """What was inspected, and how costs are counted."""
        named = self.sequence.input_axes if self.sequence else {}
        shapes = ", ".join(
            shape_text(value.shape) + (f" ({' '.join(named[i])})" if i in named else "")
            for i, value in enumerate(self.trace.inputs)
        )
        return f"{self.name} on {shapes}, {'training' if self.train else 'eval'} mode; {CONVENTION}."

    def totals(self) -> str:
        """The last line: parameters, cost, memory."""
        frozen = self.parameters - self.trainable_parameters
        least = "at least " if self.uncounted else ""
        backward = self.backward
        return (
            f"{self.parameters:,} parameters{f' ({frozen:,} frozen)' if frozen else ''}; "
            f"forward {least}{self.cost.macs:,} MACs, {self.cost.flops:,} FLOPs; "
            f"backward {f'{least}{backward.flops:,} FLOPs' if backward else 'not counted'}; "
            f"{size_text(self.saved_bytes)} saved for backward."
        )

    def report(self) -> list[RenderableType]:
        """Heading, table, totals and findings, to print one after the other."""
        table = layer_table(self.layers, self.sequence)
        return [Text(f"{self.heading()}\n"), table, Text("\n" + self.totals()), *map(Text, self.remarks())]

    def remarks(self) -> list[str]:
        """What is to be said below the totals: of sequences, then the findings."""
        time = self.sequence.lines(self.cost, self.backward) if self.sequence else []
        return [*time, *(f"! {text}" for text in self.findings)]

    def module_report(self) -> list[RenderableType]:
        """The totals of every module that holds others, to print one after the other."""
        return [module_table(self.modules, with_backward=self.backward is not None), Text("\n" + self.totals())]

    def text(self, width: int = 160) -> str:
        """The report as plain text."""
        return plain_text(*self.report(), width=width)

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        names, left = columns(self.sequence)
        table = table_html(names, cells(self.layers, self.sequence), left=left)
        return paragraph_html(self.heading()) + table + "".join(map(paragraph_html, [self.totals(), *self.remarks()]))

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        backward = self.backward
        return {
            "network": self.name,
            "convention": CONVENTION,
            "mode": "train" if self.train else "eval",
            "layers": [_layer_dict(layer) for layer in self.layers],
            "modules": [_module_dict(total) for total in self.modules],
            "total": {
                "parameters": self.parameters,
                "trainable_parameters": self.trainable_parameters,
                "macs": self.cost.macs,
                "flops": self.cost.flops,
                "backward_macs": backward and backward.macs,
                "backward_flops": backward and backward.flops,
                "saved_activation_bytes": self.saved_bytes,
                "buffer_bytes": self.trace.buffer_bytes,
                "uncounted": self.uncounted,
            },
            "findings": self.findings,
            **({"sequence": self.sequence.to_dict(self.cost, backward)} if self.sequence else {}),
        }


def inspect(module: nn.Module, *inputs: Any, name: str = "", train: bool = False, **keywords: Any) -> Inspection:
    """Trace `module(*inputs, **keywords)` and report on every layer; `module` stays as it is.

    In eval mode, or with `train` in training mode. Raises a `UsageError` that names the layer when the forward pass
    fails.
    """
    record = trace(module, *inputs, train=train, **keywords)
    fields = receptive_fields(record)
    grouped = Grouping(record, fields)
    training = _none_in_training if train else partial(gradient_in_training, module, inputs, keywords)
    sequence, wrong = look(module, inputs, keywords, record, grouped.layers, train=train)
    if sequence and sequence.sequences.axis == 0 and fields.axes == (1,):
        fields = receptive_fields(record, time_first=True)
        grouped.find_fields(fields)
    found = findings(record, grouped.layers, grouped.used, fields, training)
    name = name or type(module).__name__
    return Inspection(name, grouped.layers, record, fields, [*found, *wrong], train, sequence)


def _none_in_training(unused: list[str]) -> tuple[set[str], str]:
    """What `gradient_in_training` finds where the trace itself is of training mode: nothing more."""
    return set(), ""


def _above(layer: Layer) -> list[Call]:
    """The calls of modules in which a layer ran, its own first."""
    calls, call = [], layer.call
    while call:
        calls.append(call)
        call = call.parent
    return calls


def _number(value: Fraction | None) -> int | float | str | None:
    """A fraction as JSON holds it: whole numbers and halves exactly, thirds as text."""
    if value is None or value.denominator == 1:
        return None if value is None else value.numerator
    return float(value) if value.denominator & (value.denominator - 1) == 0 else str(value)


def _layer_dict(layer: Layer) -> dict[str, Any]:
    return {
        "path": layer.path,
        "op": layer.op,
        "input": list(layer.inputs[0].shape) if layer.inputs else None,
        "output": list(layer.outputs[0].shape) if layer.outputs else None,
        "inputs": [_value_dict(value) for value in layer.inputs],
        "outputs": [_value_dict(value) for value in layer.outputs],
        "parameters": layer.parameters,
        "shared_parameters": layer.shared,
        "frozen": layer.frozen,
        "macs": layer.cost and layer.cost.macs,
        "flops": layer.cost and layer.cost.flops,
        "backward_macs": layer.backward and layer.backward.macs,
        "backward_flops": layer.backward and layer.backward.flops,
        "uncounted": sorted(set(layer.uncounted)),
        "saved_activation_bytes": layer.saved_bytes,
        **layer.settings,
        "receptive_field": _field_dict(layer),
    }


def _module_dict(total: ModuleTotal) -> dict[str, Any]:
    return {
        "path": total.path,
        "op": total.op,
        "parameters": total.parameters,
        "macs": total.cost.macs,
        "flops": total.cost.flops,
        "backward_macs": total.backward.macs,
        "backward_flops": total.backward.flops,
        "saved_activation_bytes": total.saved_bytes,
        "uncounted": sorted(set(total.uncounted)),
    }


def _value_dict(value: Value) -> dict[str, Any]:
    return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}


def _field_dict(layer: Layer) -> dict[str, Any] | None:
    if layer.receptive_field is None:
        return {"unknown": layer.no_field_because} if layer.no_field_because else None
    found = layer.receptive_field
    return {
        "size": [f.size for f in found],
        "stride": [_number(f.stride) for f in found],
        "offset": [f.offset for f in found],
        "taps": [f.taps for f in found],
        "whole_input": [f.whole for f in found],
    }
