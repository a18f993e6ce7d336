"""The layers of a network as a person counts them: the operations of a trace grouped, summed and judged.

A module of PyTorch that calls no other module is one layer, whatever it runs (an LSTM is hundreds of operations); in
all other code each call of a function is one.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from math import prod
from typing import Any

from torch import nn

from etude.inspection.findings import findings
from etude.inspection.flops import CONVENTION, NOTHING, Cost, names_in
from etude.inspection.receptive_field import Fields, State, Unknown, receptive_fields
from etude.inspection.record import Call, Function, Operation, Trace, Value, is_library, shape_text
from etude.inspection.trace import trace
from etude.inspection.training_only import gradient_in_training


@dataclass(frozen=True)
class AxisField:
    """The receptive field of a layer along one axis of the input, in input positions."""

    size: int
    """From the first to the last position seen; may exceed the input."""
    taps: int
    """Positions seen, without the holes that dilation leaves."""
    stride: Fraction | None
    """Input positions per step of the layer; None where the layer has no positions or they do not repeat."""
    offset: int
    """The first input position that position 0 sees; negative in the padding."""
    whole: bool
    """An operation over all positions came before: every position the layer before could see."""


@dataclass(eq=False)
class Layer:
    """One row of the report."""

    path: str
    op: str
    inputs: list[Value]
    outputs: list[Value]
    operations: list[Operation]
    call: Call | None = None
    """The call of a module that it is, or in which it ran."""
    parameters: int = 0
    """Elements of the parameters that no layer before has used."""
    shared: list[str] = field(default_factory=list)
    """Parameters that a layer before has used too; they are not counted again."""
    frozen: bool = False
    cost: Cost | None = NOTHING
    """Of the operations that could be counted; None when none of those that cost anything could."""
    backward: Cost | None = NOTHING
    uncounted: list[str] = field(default_factory=list)
    """Operations without a known cost, forward and backward: with any, the costs are lower bounds."""
    partly: bool = False
    partly_backward: bool = False
    saved_bytes: int = 0
    """Memory that this layer keeps for the backward pass; a tensor that several layers keep counts for the first."""
    settings: dict[str, Any] = field(default_factory=dict)
    """kernel, stride, padding, dilation, groups of what slides."""
    receptive_field: tuple[AxisField, ...] | None = None
    no_field_because: str = ""


@dataclass(eq=False)
class ModuleTotal:
    """The sum of all layers inside one module that holds other modules, over all its calls."""

    path: str
    op: str
    parameters: int = 0
    cost: Cost = NOTHING
    backward: Cost = NOTHING
    saved_bytes: int = 0
    uncounted: list[str] = field(default_factory=list)


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

    def __repr__(self) -> str:
        from etude.inspection.table import text

        return text(self)

    def _repr_html_(self) -> str:
        from etude.inspection.table import html

        return html(self)

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
        }


def inspect(module: nn.Module, *inputs: Any, name: str = "", train: bool = False, **keywords: Any) -> Inspection:
    """Trace `module(*inputs, **keywords)` and report on every layer; `module` stays as it is.

    In eval mode, or with `train` in training mode. Raises a `UsageError` that names the layer when the forward pass
    fails.
    """
    record = trace(module, *inputs, train=train, **keywords)
    fields = receptive_fields(record)
    grouped = _Grouping(record, fields)
    training = _none_in_training if train else partial(gradient_in_training, module, inputs, keywords)
    found = findings(record, grouped.layers, grouped.used, fields, training)
    return Inspection(name or type(module).__name__, grouped.layers, record, fields, found, train)


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


_PREPARING = set(
    names_in("""
        t transpose permute view reshape slice select split unbind squeeze unsqueeze expand detach clone
    """)
)


class _Grouping:
    def __init__(self, record: Trace, fields: Fields) -> None:
        self.record, self.fields = record, fields
        self.used: set[str] = set()
        groups: dict[Any, list[Operation]] = {
            call: [] for call in record.calls if is_library(call.module) and call.children == 0
        }
        self.names: dict[Value, frozenset[str]] = {v: frozenset([n]) for n, v in record.parameters.items()}
        for value in record.foreign_parameters:
            self.names[value] = frozenset([f"(unregistered parameter {shape_text(value.shape)})"])
        for operation in record.operations:
            if operation.call not in groups and self._only_prepares_a_parameter(operation):
                continue
            key = operation.call if operation.call in groups else operation.function or operation
            groups.setdefault(key, []).append(operation)
        ordered = sorted(groups.items(), key=lambda item: item[0].order)
        self.layers = [layer for key, operations in ordered if (layer := self._layer(key, operations))]

    def _only_prepares_a_parameter(self, operation: Operation) -> bool:
        """A view or copy of parameters alone (`weight.T`): whoever uses the result uses the parameter."""
        inputs = operation.inputs
        if operation.name not in _PREPARING or not inputs or any(v not in self.names for v in inputs):
            return False
        names = frozenset().union(*(self.names[v] for v in inputs))
        self.names.update(dict.fromkeys(operation.outputs, names))
        return True

    def _layer(self, key: Call | Function | Operation, operations: list[Operation]) -> Layer | None:
        if isinstance(key, Call):
            made = {v for operation in operations for v in operation.outputs}
            given = key.inputs or [  # by keyword
                v for operation in operations for v in operation.inputs if v not in made and v not in self.names
            ]
            layer = Layer(key.path, type(key.module).__name__, given, key.outputs, operations, key)
        else:
            made = {v for operation in operations for v in operation.outputs}
            inputs = list(dict.fromkeys(v for operation in operations for v in operation.inputs
                                        if v not in made and v not in self.names and v.kind != "constant"))  # fmt: skip
            used = inputs or any(v in self.names for operation in operations for v in operation.inputs)
            if not used and not any(operation.cost and operation.cost.macs for operation in operations):
                return None  # makes a constant
            outputs = key.outputs or operations[-1].outputs
            layer = Layer(operations[0].call.path, key.name, inputs, outputs, operations, operations[0].call)
        self._count_parameters(layer)
        self._count_cost(layer)
        holders = {id(h): h for op in operations for h in (op.function, key) if h and not isinstance(h, Operation)}
        layer.saved_bytes = sum(holder.saved_bytes for holder in holders.values())
        with suppress(Exception):
            layer.settings = _settings(operations)
        self._find_field(layer)
        return layer

    def _count_parameters(self, layer: Layer) -> None:
        names = {n for op in layer.operations for v in op.inputs for n in self.names.get(v, ())}
        layer.shared = sorted(names & self.used)
        new = [self.record.parameters[n] for n in sorted(names - self.used) if n in self.record.parameters]
        layer.parameters = sum(prod(value.shape) for value in new)
        known = names & set(self.record.parameters)
        layer.frozen = bool(known) and known <= self.record.frozen
        self.used |= names

    def _count_cost(self, layer: Layer) -> None:
        forward = [(operation.name, operation.cost) for operation in layer.operations]
        backward = [item for operation in layer.operations for item in operation.backward]
        layer.cost, missing = _summed(forward)
        layer.backward, missing_backward = _summed(backward)
        layer.uncounted = [*missing, *missing_backward]
        layer.partly, layer.partly_backward = bool(missing), bool(missing_backward)
        if self.record.backward_error:
            layer.backward = None

    def _find_field(self, layer: Layer) -> None:
        state = next((self.fields.states[v] for v in layer.outputs if v in self.fields.states), None)
        if isinstance(state, Unknown):
            layer.no_field_because = state.reason
        elif isinstance(state, State):
            layer.receptive_field = tuple(
                AxisField(
                    f.size,
                    f.taps,
                    f.pattern.stride if f.pattern else None,
                    f.pattern.offset if f.pattern else min((_lowest(bits) for bits in f.seen if bits), default=0),
                    f.whole,
                )
                for f in state.fields
            )


def _summed(costs: list[tuple[str, Cost | None]]) -> tuple[Cost | None, list[str]]:
    """The sum of the known costs, and the names of the operations without one; None when nothing of cost is known."""
    missing = [name for name, cost in costs if cost is None]
    total = sum((cost for _, cost in costs if cost), Cost())
    return (None if missing and not total.flops else total), missing


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


_SLIDING = set(
    names_in("""
        convolution max_pool2d_with_indices max_pool3d_with_indices avg_pool2d avg_pool3d
    """)
)


def _settings(operations: list[Operation]) -> dict[str, Any]:
    """Kernel, stride, padding and dilation of the one operation of a layer that slides, if it has one."""
    sliding = [op for op in operations if op.name in _SLIDING]
    if len(sliding) != 1:
        return {}
    operation, args = sliding[0], sliding[0].args
    if operation.name == "convolution":
        found = {"kernel": list(args[1].shape[2:]), "stride": args[3], "padding": args[4], "dilation": args[5]}
        if args[6]:
            found["output_padding"] = args[7]
        if args[8] > 1:
            found["groups"] = args[8]
        return {key: list(value) if isinstance(value, (list, tuple)) else value for key, value in found.items()}
    dims = 3 if "3d" in operation.name else 2
    values = [list(args[i]) if len(args) > i and args[i] else None for i in (1, 2, 3)]
    kernel, stride, padding = values[0] or [], values[1] or values[0], values[2] or [0] * dims
    dilation = list(args[4]) if "max" in operation.name and len(args) > 4 else [1] * dims
    both = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    return {key: value * dims if value and len(value) == 1 else value for key, value in both.items()}


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
