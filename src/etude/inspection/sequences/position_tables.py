"""How long a sequence may be: tables of positions, of which a longer sequence uses more rows."""

from collections.abc import Mapping
from dataclasses import dataclass

from etude.inspection.trace.flops import bound
from etude.inspection.trace.record import Operation, Trace, Value

_SAME = {"detach", "alias", "_to_copy", "clone"}


@dataclass(frozen=True)
class PositionTable:
    """A parameter or buffer with a row per position."""

    name: str
    rows: int
    limit: int
    """The longest sequence that it has rows for."""


def shortest_table(given: Trace, other: Trace, length: int, other_length: int) -> PositionTable | None:
    """The table that limits the length most; None where none does, as far as traces at two lengths can tell."""
    before, after = _used(other), _used(given)
    found = [
        PositionTable(name.removesuffix(".weight"), rows, rows - used + length)
        for (name, axis, rows), used in after.items()
        if used - before.get((name, axis, rows), used) == length - other_length
    ]
    return min(found, key=lambda table: table.limit, default=None)


def _used(record: Trace) -> Mapping[tuple[str, int, int], int]:
    """By name, axis and size: how many entries of a parameter or buffer are used along the axis."""
    named: dict[Value, tuple[str, tuple[int, ...]]] = {}
    found: dict[tuple[str, int, int], int] = {}
    for operation in record.operations:
        for value in operation.inputs:
            if value.kind in ("parameter", "buffer"):
                named.setdefault(value, (value.name, value.shape))
        source = next((value for value in operation.inputs if value in named), None)
        if source is None:
            continue
        name, sizes = named[source]
        if operation.name in _SAME or operation.name == "slice":
            named.update(dict.fromkeys(operation.outputs, (name, sizes)))
        if (use := _extent(operation)) is not None:
            axis, count = use
            key = name, axis, sizes[axis]
            found[key] = max(found.get(key, 0), count)
    return found


def _extent(operation: Operation) -> tuple[int, int] | None:
    """The axis that an operation takes a part of, and the end of that part; None for other operations."""
    arguments = bound(operation.func, operation.args, operation.kwargs)
    if operation.name == "slice":
        size = arguments["self"].shape[arguments["dim"]]
        end = arguments["end"]
        return arguments["dim"], size if end is None or end > size else end
    if operation.name == "index":
        axis = next(i for i, index in enumerate(arguments["indices"]) if index is not None)
        index = arguments["indices"][axis]
    elif operation.name in ("embedding", "index_select"):
        axis, index = arguments.get("dim", 0), arguments["indices" if operation.name == "embedding" else "index"]
    else:
        return None
    real = operation.indices.get(index)
    return None if real is None or not real.numel() or real.dtype.is_floating_point else (axis, int(real.max()) + 1)
