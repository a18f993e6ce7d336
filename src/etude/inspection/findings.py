"""What is worth knowing about a network besides its table: repeated, unused or unregistered parts, branches that do not
line up, positions that nothing sees, and what the report could not find out."""

from typing import TYPE_CHECKING

from etude.inspection.receptive_field import Fields, Misaligned, State
from etude.inspection.record import Call, Trace, shape_text

if TYPE_CHECKING:
    from etude.inspection.layers import Layer

_READS = {"_local_scalar_dense", "nonzero", "masked_select"}
"""Operations whose result, or its shape, depends on the elements."""


def findings(
    record: Trace, layers: "list[Layer]", used: set[str], fields: Fields, used_in_training: set[str] | None
) -> list[str]:
    """All findings on one trace, each a sentence.

    `used` are the names of the parameters that took part; `used_in_training` of those that do in training, None where
    a pass in training mode fails.
    """
    found = _repeated_modules(record)
    again = {name for layer in layers for name in layer.shared}
    tied = {
        first: names for first, names in record.aliases.items() if first in again and not _same_module(record, names)
    }
    found += [f"tied: {' and '.join(names)} are one parameter; it is counted once." for names in tied.values()]
    unused = [name for name in record.parameters if name not in used]
    if unused and used_in_training is None:
        found.append(
            f"unused in evaluation: {_listed(unused)}; whether training uses them is not known: it fails here."
        )
    elif resting := [name for name in unused if name in (used_in_training or ())]:
        found.append(f"unused in evaluation: {_listed(resting)} take part in training mode only.")
    unused = [name for name in unused if name not in (used_in_training or ())]
    if unused and used_in_training is not None:
        found.append(f"unused: {_listed(unused)} took no part in the forward pass; they get no gradient.")
    if record.foreign_parameters:
        shapes = ", ".join(shape_text(value.shape) for value in record.foreign_parameters[:3])
        shapes += " …" if len(record.foreign_parameters) > 3 else ""
        found.append(
            f"unregistered: the forward pass uses {len(record.foreign_parameters)} parameters ({shapes}) that the "
            "module does not register, so an optimizer misses them; keep modules in nn.ModuleList or nn.Sequential, "
            "not in a list."
        )
    found += [_misaligned(item) for item in fields.misaligned]
    found += _dropped(fields, layers)
    if names := _reading(record):
        found.append(
            f"depends on the data: {_listed(names)} reads numbers out of tensors; another input may take another path "
            "or give other shapes than this one."
        )
    if record.backward_error:
        found.append(f"backward not recorded: {record.backward_error}.")
    uncounted = sorted({name for layer in layers for name in layer.uncounted})
    if uncounted:
        found.append(f"not counted: {_listed(uncounted)}; the totals leave them out and are lower bounds.")
    reasons = sorted({layer.no_field_because for layer in layers if layer.no_field_because})
    found += [f"receptive field not derived: {reason}; `--probe` measures it." for reason in reasons]
    return found


def _reading(record: Trace) -> list[str]:
    """Functions that read elements of what was computed from real numbers; checking that a label is in range is not."""
    real = {value for value in record.inputs if value.dtype.is_floating_point}
    names = []
    for operation in record.operations:
        if any(value in real for value in operation.inputs):
            real |= set(operation.outputs)
            if operation.name in _READS:
                names.append(operation.function.name if operation.function else operation.name)
        real |= {value for value in operation.outputs if value.kind == "computed" and value.dtype.is_floating_point}
    return list(dict.fromkeys(names))


def _repeated_modules(record: Trace) -> list[str]:
    """A module that holds parameters and stands in several places, as `[Linear(8, 8), Sigmoid()] * 24` makes them."""
    places: dict[int, list[Call]] = {}
    for call in record.calls:
        places.setdefault(id(call.module), []).append(call)
    found = []
    for calls in places.values():
        paths = list(dict.fromkeys(call.path for call in calls))
        if len(paths) > 1 and any(True for _ in calls[0].module.parameters()):
            found.append(
                f"repeated module: {_listed(paths)} are one {type(calls[0].module).__name__} object, used "
                f"{len(calls)} times with the same weights; build each anew (a list comprehension, not `[…] * n`) "
                "if that is not meant."
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


def _dropped(fields: Fields, layers: "list[Layer]") -> list[str]:
    """Input positions that no output sees, because a stride or pooling leaves a remainder."""
    state = next((s for layer in reversed(layers) for v in layer.outputs if (s := fields.states.get(v))), None)
    if not isinstance(state, State):
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
