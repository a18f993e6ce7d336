"""What is worth knowing about a network in addition to its table.

Repeated, unused or unregistered parts, branches that do not line up, positions that nothing sees, and what the report
could not find out.
"""

from collections.abc import Callable
from math import prod

from etude.inspection.field.receptive_field import Fields, Misaligned, TensorReach
from etude.inspection.layers import Layer
from etude.inspection.trace.failures import one_line
from etude.inspection.trace.record import Call, Trace, shape_text

_READS = {
    "_local_scalar_dense", "equal", "allclose",
    "nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive",
}  # fmt: skip
"""Operations whose result is a number of Python, or whose shapes depend on the elements."""
_NUMBERS = {"bool", "item", "int", "float", "complex", "index", "tolist", "numpy", "array"}
"""Functions that hand numbers over to the network's own code."""


Training = Callable[[list[str]], tuple[set[str], str]]
"""Which of these parameters get a gradient in training mode, and why that is not known."""


def findings(record: Trace, layers: list[Layer], used: set[str], fields: Fields, training: Training) -> list[str]:
    """All findings on one trace, each a sentence; `used` are the names of the parameters that took part.

    A rule that fails says so in place of its finding; the others go on.
    """
    rules: dict[str, Callable[[], list[str]]] = {
        "repeated modules": lambda: _repeated_modules(record),
        "tied parameters": lambda: _tied(record, layers),
        "unused parameters": lambda: _unused(record, used, training),
        "unregistered parameters": lambda: _unregistered(record),
        "a changed batch": lambda: _changed_batch(record),
        "misaligned branches": lambda: [_misaligned(item) for item in fields.misaligned],
        "unseen positions": lambda: _dropped(fields, layers),
        "dependence on the data": lambda: _depends_on_data(record),
        "the backward pass": lambda: _not_recorded(record),
        "costs": lambda: _not_counted(layers),
        "receptive fields": lambda: _no_field(layers),
    }
    found: list[str] = []
    for name, rule in rules.items():
        try:
            found += rule()
        except Exception as error:
            found.append(f"unknown: the rule for {name} failed: {one_line(error)}.")
    return found


def _tied(record: Trace, layers: list[Layer]) -> list[str]:
    again = {name for layer in layers for name in layer.shared}
    tied = [n for first, n in record.aliases.items() if first in again and not _same_module(record, n)]
    return [f"tied: {' and '.join(names)} are one parameter; it is counted once." for names in tied]


def _unused(record: Trace, used: set[str], training: Training) -> list[str]:
    """The trace is of evaluation: before saying that a parameter gets no gradient, training mode is asked."""
    unused = [name for name in record.parameters if name not in used]
    if not unused:
        return []
    trained, unknown = training(unused)
    found = []
    if names := [name for name in unused if name in trained]:
        found.append(
            f"training only: {_listed(names)} took no part in evaluation; in training mode they get a gradient."
        )
    if names := [name for name in unused if name not in trained]:
        if unknown:
            found.append(f"unused in evaluation: {_listed(names)}; whether training uses them is unknown: {unknown}.")
        else:
            here = " on this input, which decides what runs" if reading(record) else ""
            found.append(f"unused: {_listed(names)} took no part in the forward pass{here}; they get no gradient.")
    return found


def _unregistered(record: Trace) -> list[str]:
    if not record.foreign_parameters:
        return []
    shapes = ", ".join(shape_text(value.shape) for value in record.foreign_parameters[:3])
    shapes += " …" if len(record.foreign_parameters) > 3 else ""
    return [
        f"unregistered: the forward pass uses {len(record.foreign_parameters)} parameters ({shapes}) that the "
        "module does not register, so an optimizer misses them; keep modules in nn.ModuleList or nn.Sequential, "
        "not in a list."
    ]


def _changed_batch(record: Trace) -> list[str]:
    """`x.view(-1, 400)` of anything that holds 400 numbers some other way: no error, and another batch size."""
    batch = next((value.shape[0] for value in record.inputs if value.shape), None)
    results = {value.shape[0] for value in record.outputs if value.shape}
    for operation in record.operations:
        if operation.name not in ("view", "reshape", "_unsafe_view", "_reshape_alias") or not operation.inputs:
            continue
        before, after = operation.inputs[0].shape, operation.outputs[0].shape
        if len(before) < 3 or len(after) != 2 or before[0] != batch or after[0] == batch or after[0] not in results:
            continue
        if after[1] in {prod(before[i:]) for i in range(len(before))}:  # rows of whole axes: positions as examples
            continue
        each = prod(before[1:])
        return [
            f"changed batch: a view in {operation.call.path or 'the network'} makes {after[0]} rows of {after[1]} out "
            f"of {shape_text(before)}, so that a batch of {batch} becomes one of {after[0]}; an example has "
            f"{'·'.join(map(str, before[1:]))} = {each} numbers: write flatten(1), and make the next layer take {each}."
        ]
    return []


def _depends_on_data(record: Trace) -> list[str]:
    names = reading(record)
    if not names:
        return []
    return [
        f"depends on the data: {_listed(names)} reads numbers out of tensors; another input may take another path "
        "or give other shapes than this one."
    ]


def _not_recorded(record: Trace) -> list[str]:
    return [f"backward not recorded: {record.backward_error}."] if record.backward_error else []


def _not_counted(layers: list[Layer]) -> list[str]:
    uncounted = sorted({name for layer in layers for name in layer.uncounted})
    if not uncounted:
        return []
    return [f"not counted: {_listed(uncounted)}; the totals leave them out and are lower bounds."]


def _no_field(layers: list[Layer]) -> list[str]:
    reasons = sorted({layer.no_field_because for layer in layers if layer.no_field_because})
    return [f"receptive field not derived: {reason}; `--probe` measures it." for reason in reasons]


def reading(record: Trace, *, of_any: bool = False) -> list[str]:
    """Functions that read elements of what was computed from real numbers; checking that a label is in range is not.

    `of_any`: also where a network's own code reads numbers of any other input, such as a mask or a label.
    """
    real = {value for value in record.inputs if value.dtype.is_floating_point}
    given = set(record.inputs)
    names = []
    for operation in record.operations:
        name = operation.function.name if operation.function else operation.name
        own = of_any and name in _NUMBERS and any(value in given for value in operation.inputs)
        if any(value in given for value in operation.inputs):
            given |= set(operation.outputs)
        if any(value in real for value in operation.inputs):
            real |= set(operation.outputs)
            own = True
        if own and operation.name in _READS:
            names.append(name)
        real |= {value for value in operation.outputs if value.kind == "computed" and value.dtype.is_floating_point}
    return list(dict.fromkeys(names))


def _repeated_modules(record: Trace) -> list[str]:
    """A module that holds parameters and is used in several places, as `[Linear(8, 8), Sigmoid()] * 24` makes them."""
    places: dict[int, list[Call]] = {}
    for call in record.calls:
        places.setdefault(id(call.module), []).append(call)
    found = []
    for calls in places.values():
        paths = list(dict.fromkeys(call.path for call in calls))
        if len(paths) > 1 and any(True for _ in calls[0].module.parameters()):
            found.append(
                f"repeated module: {_listed(paths)} are one {type(calls[0].module).__name__} object, used "
                f"{len(calls)} times with the same weights; build a new one each time (a list comprehension, not "
                "`[…] * n`) if that is not meant."
            )
    return found


def _same_module(record: Trace, names: list[str]) -> bool:
    """Whether these names of one parameter come from one module under several names."""
    owners = {name.rpartition(".")[0] for name in names}
    paths = [call.path for call in record.calls]
    objects = {id(record.calls[paths.index(owner)].module) for owner in owners if owner in paths}
    return len(owners) > 1 and len(objects) == 1


def _misaligned(item: Misaligned) -> str:
    where = item.operation.call.path or "the network"
    what = item.operation.function.name if item.operation.function else item.operation.name
    (a, b), (s, t) = item.centres, item.strides
    if s != t:
        return f"misaligned: {what} in {where} joins branches of stride {s} and {t} along axis {item.axis}."
    return (
        f"misaligned: {what} in {where} joins branches whose centres lie {float(abs(a - b)):g} input positions apart "
        f"along axis {item.axis} (padding or kernel parity differ)."
    )


def _dropped(fields: Fields, layers: list[Layer]) -> list[str]:
    """Input positions that no output sees, because a stride or pooling leaves a remainder."""
    state = next((s for layer in reversed(layers) for v in layer.outputs if (s := fields.states.get(v))), None)
    if not isinstance(state, TensorReach):
        return []
    found = []
    for axis, f in enumerate(state.fields):
        reached = f.mixture().seen[0]
        missed = [i for i in range(f.extent) if not reached >> i & 1]
        if missed:
            found.append(f"unseen: positions {_listed([str(i) for i in missed])} of input axis {axis} reach no output.")
    return found


def _listed(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" … ({len(names)} in all)" if len(names) > most else "")
