"""One tensor's receptive field, and what the rules of `receptive_field` are made of: joining, mixing, sliding, picking.

Each tensor remembers which of its dimensions runs along which axis of the input (`State.layout`), so that reshapes,
transposes, branches and attention are followed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any

from etude.inspection.axes import Field, Window
from etude.inspection.record import Operation, Value
from etude.inspection.writes import Landing

Factor = tuple[int, int]
"""(size, axis of the input or -1): a dimension is a product of factors, several after a flatten."""
Layout = tuple[tuple[Factor, ...], ...]


@dataclass(frozen=True)
class State:
    """What is known of one tensor: the factors of its dimensions and its field along each axis of the input."""

    layout: Layout
    fields: tuple[Field, ...]

    def dim_of(self, axis: int) -> int | None:
        """The dimension that runs along an axis alone; None when there is none."""
        return next((d for d, factors in enumerate(self.layout) if (axis in {f[1] for f in factors})), None)


@dataclass(frozen=True)
class Unknown:
    """A tensor whose field could not be derived, and why."""

    reason: str


@dataclass(frozen=True)
class Misaligned:
    """Two branches that meet but do not look at the same place."""

    operation: Operation
    axis: int
    centres: tuple[Fraction, Fraction]
    strides: tuple[Fraction, Fraction]


@dataclass(frozen=True, eq=False)
class Fields:
    """The fields of all tensors of a trace that depend on its first image- or sequence-like input."""

    input: Value | None
    axes: tuple[int, ...]
    """Dimensions of that input whose positions are followed."""
    states: dict[Value, State | Unknown]
    misaligned: list[Misaligned]


class NoRule(Exception):
    """An operation, or a use of one, that this module has no rule for; the text says which."""


class Step:
    """One operation of the trace; abstract: `receptive_field` adds a rule for each kind of operation."""

    def __init__(self, fields: Fields, operation: Operation) -> None:
        self.fields, self.operation = fields, operation
        self.states = fields.states
        self.args, self.out = operation.args, operation.outputs

    def _state(self, value: Any) -> State:
        state = self.states.get(value)
        if not isinstance(state, State):
            raise NoRule(f"{self.operation.name} where only another argument depends on the input")
        return state

    def _set(self, state: State, outputs: Iterable[Value] | None = None) -> None:
        if not all(any(f.seen) for f in state.fields):  # only padding is seen along one axis: nothing is seen at all
            state = State(state.layout, tuple(replace(f, seen=(0,) * len(f.seen)) for f in state.fields))
        for value in self.out if outputs is None else outputs:
            self.states[value] = state

    def _argument(self, index: int, name: str, default: Any) -> Any:
        return self.args[index] if len(self.args) > index else self.operation.kwargs.get(name, default)

    def _joined(self, values: list[Value]) -> State:
        """The union of several tensors that are combined element by element, broadcast from the right."""
        states = [state for value in values if isinstance(state := self.states.get(value), State)]
        joined = states[0]
        for state in states[1:]:
            joined = self._join(joined, state)
        rank = len(self.out[0].shape)
        padded = ((),) * (rank - len(joined.layout)) + joined.layout
        layout = tuple(
            factors if prod(f[0] for f in factors) == size else ((size, -1),)
            for factors, size in zip(padded, self.out[0].shape, strict=True)
        )
        return State(layout, joined.fields)

    def _join(self, a: State, b: State) -> State:
        rank = max(len(a.layout), len(b.layout))
        ours, theirs = (((),) * (rank - len(s.layout)) + s.layout for s in (a, b))
        layout = []
        for left, right in zip(ours, theirs, strict=True):
            tracked = [side for side in (left, right) if any(axis >= 0 for _, axis in side)]
            if len(tracked) == 2 and left != right:
                raise NoRule("two reshaped branches whose positions do not correspond")
            layout.append(tracked[0] if tracked else max(left, right, key=lambda f: prod(s for s, _ in f)))
        joined, fields = State(tuple(layout), ()), []
        for axis, (f, g) in enumerate(zip(a.fields, b.fields, strict=True)):
            dims = {dim for s in (State(ours, ()), State(theirs, ())) if (dim := s.dim_of(axis)) is not None}
            if len(dims) > 1:  # as in x[:, None] - x[:, :, None]: every position meets every other
                joined = State(forget(joined.layout, axis), ())
                fields.append(f.union(f.mixture()).mixture().union(g.mixture()))
                continue
            self._compare(axis, f, g)
            fields.append(f.union(g))
        return State(joined.layout, tuple(fields))

    def _compare(self, axis: int, f: Field, g: Field) -> None:
        if f.pattern and g.pattern and len(f.seen) > 1 and len(f.seen) == len(g.seen):
            centres, strides = (f.pattern.centre, g.pattern.centre), (f.pattern.stride, g.pattern.stride)
            if centres[0] != centres[1] or strides[0] != strides[1]:
                self.fields.misaligned.append(Misaligned(self.operation, axis, centres, strides))

    def _mix(self, state: State, axis_list: Iterable[int], *, keep: bool) -> State:
        """Every position along these axes sees all; `keep`: the tensor still has positions along them."""
        fields, layout = list(state.fields), state.layout
        for axis in set(axis_list):
            fields[axis] = fields[axis].mixture(len(fields[axis].seen) if keep else 1)
            layout = layout if keep else forget(layout, axis)
        return State(layout, tuple(fields))

    def _mix_along(self, state: State, dims: Iterable[int]) -> State:
        rank = len(state.layout)
        return self._mix(state, [axis for d in dims for _, axis in state.layout[d % rank] if axis >= 0], keep=True)

    def _slide(self, state: State, windows: list[Window], *, channels: int | None = None) -> None:
        """Apply one window to each of the last dimensions."""
        fields, layout = list(state.fields), list(state.layout)
        for out in self.out:
            for back, window in enumerate(reversed(windows), start=1):
                factors, positions = state.layout[-back], out.shape[-back]
                tracked = [axis for _, axis in factors if axis >= 0]
                if len(tracked) > 1 or (tracked and len(factors) > 1):
                    raise NoRule(f"{self.operation.name} along a dimension that was reshaped")
                if tracked:
                    fields[tracked[0]] = state.fields[tracked[0]].through(window, positions)
                layout[-back] = ((positions, tracked[0] if tracked else -1),)
            mixed = [axis for _, axis in state.layout[-len(windows) - 1] if axis >= 0] if channels is not None else []
            if channels is not None:
                layout[-len(windows) - 1] = ((channels, -1),)
            self._set(self._mix(State(tuple(layout), tuple(fields)), mixed, keep=False), [out])

    def _pick(self, state: State, dim: int, positions: list[int], out: Value, *, drop: bool = False) -> None:
        if not positions:
            raise NoRule("a tensor without elements")
        dim %= len(state.layout)
        tracked = [axis for _, axis in state.layout[dim] if axis >= 0]
        layout, fields = list(state.layout), list(state.fields)
        layout[dim] = ((len(positions), -1),)
        if tracked and len(positions) < prod(size for size, _ in state.layout[dim]):
            if len(state.layout[dim]) > 1:
                raise NoRule(f"{self.operation.name} along a dimension that was reshaped")
            layout[dim] = ((len(positions), tracked[0]),)
            fields[tracked[0]] = fields[tracked[0]].picked(positions)
        elif tracked:
            layout[dim] = state.layout[dim]
        if drop:
            del layout[dim]
        self._set(State(tuple(layout), tuple(fields)), [out])

    def _permuted(self, state: State, dim: int, source: Callable[[int, int], int]) -> State:
        size = prod(s for s, _ in state.layout[dim])
        tracked = [axis for _, axis in state.layout[dim] if axis >= 0]
        if not tracked:
            return state
        if len(state.layout[dim]) > 1:
            raise NoRule(f"{self.operation.name} along a dimension that was reshaped")
        fields = list(state.fields)
        fields[tracked[0]] = fields[tracked[0]].picked([source(i, size) for i in range(size)])
        return State(state.layout, tuple(fields))

    def _lay_out(self, values: Any, states: list[Any], dim: int, axis: int, counts: list[int]) -> None:
        """Join tensors along a dimension that runs along an axis: positions follow each other."""
        known = [s for s in states if isinstance(s, State)]
        extent = known[0].fields[axis].extent
        seen: list[int] = []
        for state, count in zip(states, counts, strict=True):
            own = state.fields[axis].seen if isinstance(state, State) else (0,)
            seen += own * count if len(own) == 1 else own
        mixed = any(s.fields[axis].mixed for s in known)
        fields = list(known[0].fields)
        for s in known[1:]:
            fields = [f if a == axis else f.union(g) for a, (f, g) in enumerate(zip(fields, s.fields, strict=True))]
        fields[axis] = Field(extent, tuple(seen), None, mixed)
        layout = list(known[0].layout)
        layout[dim] = ((sum(counts), axis),)
        self._set(State(tuple(layout), tuple(fields)))

    def _write_into(self, old: Value, written: Value, where: Landing) -> None:
        """A tensor after a block of it was written: there it sees what was written, elsewhere what it saw before."""
        if where.positions is None:
            raise NoRule("a write in place into a part of a tensor that is no block")
        shape, sizes = old.shape, [len(along) for along in where.positions]
        state = self.states.get(written)
        if isinstance(state, State):
            state = _spread(state, written.shape, sizes)
        before = self.states.get(old)
        known = [s for s in (before, state) if isinstance(s, State)]
        layout: list[tuple[Factor, ...]] = [((size, -1),) for size in shape]
        fields = []
        for axis, one in enumerate(known[0].fields):
            dims = {dim for s in known if (dim := s.dim_of(axis)) is not None}
            if len(dims) > 1 or any(len(s.layout[dim]) > 1 for dim in dims for s in known):
                raise NoRule("a write in place across the axes of the input")
            dim = next(iter(dims), None)
            if dim is not None:
                layout[dim] = ((shape[dim], axis),)
            replaced = all(sizes[d] == shape[d] for d in range(len(shape)) if d != dim)
            count = 1 if dim is None else shape[dim]
            old_field, new_field = (s.fields[axis] if isinstance(s, State) else None for s in (before, state))
            positions = (0,) if dim is None else where.positions[dim]
            fields.append(_overwritten(one.extent, old_field, new_field, positions, count, replaced=replaced))
        self._set(State(tuple(layout), tuple(fields)))


def _spread(state: State, shape: tuple[int, ...], sizes: list[int]) -> State:
    """The state of a block whose dimensions of size 1 were dropped or added (`x[:, 0] = y`), with those of `sizes`."""
    factors = [f for f, size in zip(state.layout, shape, strict=True) if size > 1]
    if [size for size in shape if size > 1] != [size for size in sizes if size > 1]:
        raise NoRule("a write in place that is reshaped")
    layout = tuple(factors.pop(0) if size > 1 else ((1, -1),) for size in sizes)
    return State(layout, state.fields)


def _overwritten(
    extent: int, old: Field | None, new: Field | None, positions: tuple[int, ...], count: int, *, replaced: bool
) -> Field:
    """One axis of a write: `positions` of `count` see what was written, and unless `replaced` the old content too."""
    seen = list(old.seen * count if old and len(old.seen) == 1 else old.seen if old else (0,) * count)
    for i, position in enumerate(positions):
        add = 0 if new is None else new.seen[i if len(new.seen) > 1 else 0]
        seen[position] = add | (0 if replaced else seen[position])
    pattern, start = None, positions[0]
    if positions == tuple(range(start, start + len(positions))):
        everywhere = len(positions) == count
        if old is None or (everywhere and replaced):
            pattern = new and new.through(Window(1, 1, ((-start,),)), 1).pattern
        elif everywhere:
            pattern = old.union(new).pattern if new else old.pattern
        elif 2 * len(positions) < count and (start == 0 or positions[-1] == count - 1):
            pattern = old.pattern  # a strip at the border, as a circular padding writes it
    mixed = any(f.mixed for f in (old, new) if f)
    return Field(extent, tuple(seen), pattern, mixed)


def forget(layout: Layout, axis: int) -> Layout:
    return tuple(tuple((size, -1 if a == axis else a) for size, a in factors) for factors in layout)


def reshaped(state: State, shape: tuple[int, ...]) -> State:
    """Deal the factors of a tensor out to the dimensions of its new shape, row-major, splitting where needed."""
    fields = list(state.fields)
    left = [factor for factors in state.layout for factor in factors if factor[0] != 1 or factor[1] >= 0]
    layout: list[tuple[Factor, ...]] = []
    if 0 in shape:
        raise NoRule("a tensor without elements")
    for position, size in enumerate(shape):
        factors: list[Factor] = []
        if size == 1 and left and left[0][0] == 1:
            factors.append(left.pop(0))
        while (have := prod(f[0] for f in factors)) < size:
            factor, axis = left.pop(0)
            wanted = size // have
            if factor == 1:  # its one position is that of all
                continue
            if wanted % factor == 0:
                factors.append((factor, axis))
            elif factor % wanted == 0:
                inner = factor // wanted
                if axis >= 0:
                    fields[axis] = fields[axis].through(Window(inner, 1, (tuple(range(inner)),)), wanted)
                factors.append((wanted, axis))
                left.insert(0, (inner, -1))
            else:
                raise NoRule(f"a reshape that cuts across positions, to dimension {position} of size {size}")
        layout.append(tuple(factors) or ((size, -1),))
    return State(tuple(layout), tuple(fields))
