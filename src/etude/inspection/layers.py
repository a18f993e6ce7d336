"""The layers of a network as a person counts them: the operations of a trace grouped, summed and judged.

A module of PyTorch that calls no other module is one layer, whatever it runs (an LSTM is hundreds of operations); in
all other code each call of a function is one.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from typing import Any

from etude.inspection.field.axis_field import AxisField, axis_fields
from etude.inspection.field.receptive_field import Fields, TensorReach, Unknown
from etude.inspection.trace.flops import NOTHING, Cost, names_in
from etude.inspection.trace.record import Call, Function, Operation, Trace, Value, is_library, shape_text


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


_PREPARING = set(
    names_in("""
        t transpose permute view reshape slice select split unbind squeeze unsqueeze expand detach clone
    """)
)


class Grouping:
    """The layers of one trace, in `layers`, and the names of the parameters that they use, in `used`; final."""

    def __init__(self, record: Trace, fields: Fields) -> None:
        self.record, self.fields = record, fields
        self.layers: list[Layer] = []
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

    def find_fields(self, fields: Fields) -> None:
        """Give the layers other receptive fields."""
        self.fields = fields
        for layer in self.layers:
            layer.receptive_field, layer.no_field_because = None, ""
            self._find_field(layer)

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
        elif isinstance(state, TensorReach):
            layer.receptive_field = axis_fields(state)


def _summed(costs: list[tuple[str, Cost | None]]) -> tuple[Cost | None, list[str]]:
    """The sum of the known costs, and the names of the operations without one; None when nothing of cost is known."""
    missing = [name for name, cost in costs if cost is None]
    total = sum((cost for _, cost in costs if cost), Cost())
    return (None if missing and not total.flops else total), missing


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
