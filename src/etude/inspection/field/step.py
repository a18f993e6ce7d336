"""One tensor's receptive field, and what the rules of `receptive_field` are made of: joining, sliding, moving."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, reduce
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from etude.inspection.field.axes import Field, Window
from etude.inspection.field.reach import Reach, moved_together
from etude.inspection.trace.flops import bound
from etude.inspection.trace.record import Operation, Value
from etude.inspection.trace.writes import Landing


@dataclass(frozen=True)
class TensorReach:
    """What is known of one tensor: its shape, and what each element sees along each axis of the input."""

    shape: tuple[int, ...]
    reaches: tuple[Reach, ...]

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """What each position sees, along each axis of the input."""
        return tuple(reach.field(self.shape) for reach in self.reaches)

    def scalar(self) -> "TensorReach":
        """One number that sees all that any element saw."""
        reaches = tuple(reach.mixture() for reach in self.reaches)
        return TensorReach((), tuple(reach.reshaped(reach.where.shape, ()) for reach in reaches))

    def dim_of(self, axis: int) -> int | None:
        """The dimension whose positions `fields` tells along an axis; None when there is none."""
        return self.reaches[axis].dim


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
    states: dict[Value, TensorReach | Unknown]
    misaligned: list[Misaligned]


class NoRule(Exception):
    """An operation, or a use of one, that `receptive_field` has no rule for; the text says which."""


class Step:
    """One operation of the trace, and the states of the tensors that it reads and makes; final."""

    def __init__(self, fields: Fields, operation: Operation) -> None:
        self.fields, self.operation = fields, operation
        self.states = fields.states
        self.args, self.out, self.name = operation.args, operation.outputs, operation.name
        self.named = bound(operation.func, operation.args, operation.kwargs)
        if self.out and 0 in self.out[0].shape:
            raise NoRule("a tensor without elements")

    def argument(self, name: str, default: Any = None) -> Any:
        """An argument by the name that the operation's schema gives it."""
        value = self.named.get(name)
        return default if value is None else value

    def state(self, value: Any) -> TensorReach:
        """The state of an argument that the rule is about."""
        state = self.states.get(value) if isinstance(value, Value) else None
        if not isinstance(state, TensorReach):
            raise NoRule(f"{self.name} where only another argument depends on the input")
        return state

    def known(self, values: Iterable[Any]) -> list[TensorReach]:
        """The states of those of these arguments that depend on the input."""
        tensors = [value for value in values if isinstance(value, Value)]
        return [state for value in tensors if isinstance(state := self.states.get(value), TensorReach)]

    def set(self, reaches: Iterable[Reach], outputs: Iterable[Value] | None = None) -> None:
        """Set the state of the outputs, or of some of them; dimensions of size 1 are added before the first."""
        reaches = tuple(reaches)
        for value in self.out if outputs is None else outputs:
            rank = len(value.shape)
            for reach in reaches:
                fits = reach.where.dim() <= rank
                sizes = reach.lifted(rank).where.shape if fits else ()
                if not fits or any(s not in (1, n) for s, n in zip(sizes, value.shape, strict=True)):
                    raise NoRule(f"{self.name}, whose rule gives another shape than its output has")
            self.states[value] = TensorReach(value.shape, tuple(reach.lifted(rank) for reach in reaches))

    def per_axis(self, value: Any, rule: Callable[[Reach], Reach], outputs: Iterable[Value] | None = None) -> None:
        """Apply one rule to the reach along each axis of one argument."""
        self.set([rule(reach) for reach in self.state(value).reaches], outputs)

    # --- joining --------------------------------------------------------------------------------------------------

    def join(self, states: Sequence[TensorReach], *, compare: bool = True) -> list[Reach]:
        """The union of tensors that are combined element by element, broadcast from the right."""
        if not states:
            raise NoRule(f"{self.name} of nothing that depends on the input")
        by_axis = zip(*(state.reaches for state in states), strict=True)
        return [self.join_axis(axis, reaches, compare=compare) for axis, reaches in enumerate(by_axis)]

    def join_axis(self, axis: int, reaches: Sequence[Reach], *, compare: bool = True) -> Reach:
        """The same along one axis."""
        return reduce(lambda a, b: self._joined(axis, a, b, compare=compare), reaches)

    def _joined(self, axis: int, a: Reach, b: Reach, *, compare: bool) -> Reach:
        rank = max(a.where.dim(), b.where.dim())
        a, b = a.lifted(rank), b.lifted(rank)
        if compare:
            self.compare(axis, a, b)
        return a.joined(b)

    def compare(self, axis: int, a: Reach, b: Reach) -> None:
        """Note where two branches that meet do not look at the same place."""
        if a.pattern and b.pattern and a.along is not None and a.along == b.along:
            one, two = (reach.where.shape[a.along] for reach in (a, b))
            centres, strides = (a.pattern.centre, b.pattern.centre), (a.pattern.stride, b.pattern.stride)
            if one == two > 1 and (centres[0] != centres[1] or strides[0] != strides[1]):
                self.fields.misaligned.append(Misaligned(self.operation, axis, centres, strides))

    # --- sliding --------------------------------------------------------------------------------------------------

    def slide(self, value: Value, windows: list[Window]) -> list[Reach]:
        """Read the last dimensions of an argument through one window each."""
        out, reaches = self.out[0].shape, self.state(value).reaches
        for back, window in enumerate(reversed(windows), start=1):
            dim, size = len(value.shape) - back, value.shape[-back]
            reaches = [reach.through(dim, size, window, out[-back]) for reach in reaches]
        return list(reaches)

    # --- moving ---------------------------------------------------------------------------------------------------

    def move(self, tensors: Sequence[Value], outputs: Sequence[Value] | None = None) -> None:
        """Run the operation itself on what the elements of these tensors see, in place of the elements.

        Other tensors (indices) are the real ones; where they depend on the input or were not kept there is no rule.
        """
        moved: list[list[Reach]] = []
        states = [self.states.get(tensor) for tensor in tensors]

        def run(*numbers: Tensor) -> Any:
            stand_ins = dict(zip(tensors, numbers, strict=True))

            def real(leaf: Any) -> Any:
                if not isinstance(leaf, Value):
                    return leaf
                if leaf in stand_ins:
                    return stand_ins[leaf]
                if leaf not in self.operation.indices:
                    raise NoRule(f"{self.name} at positions that the data choose")
                return self.operation.indices[leaf]

            args, kwargs = tree_map(real, (self.args, dict(self.operation.kwargs)))
            return self.operation.func(*args, **kwargs)

        shapes = [tensor.shape for tensor in tensors]
        for axis in range(len(self.fields.axes)):
            reaches = [state.reaches[axis] if isinstance(state, TensorReach) else None for state in states]
            out = moved_together(reaches, shapes, run)
            moved.append([reaches[0].kept_by(each) for each in out] if reaches[0] else out)
        outputs = self.out if outputs is None else outputs
        for out, reaches in zip(outputs, zip(*moved, strict=True), strict=len(outputs) == len(self.out)):
            self.set(reaches, [out])

    def write(self, old: Value, new: Value, where: Landing) -> None:
        """Some elements of a tensor got those of another."""
        states = [state if isinstance(state := self.states.get(value), TensorReach) else None for value in (old, new)]
        touched, sources = torch.from_numpy(where.touched), torch.from_numpy(where.sources)
        whole = bool((sources == sources[:, :1]).all() and (sources >= 0).all())  # no element keeps a part of its own

        def put(part: int) -> Callable[[Tensor, Tensor], Tensor]:
            def run(was: Tensor, now: Tensor) -> Tensor:
                now = torch.cat([now.flatten(), now.new_zeros(1)])  # for a part that is kept, -1: the last
                return was.flatten().index_copy(0, touched, now[sources[:, part]]).view(old.shape)

            return run

        reaches = []
        for axis in range(len(self.fields.axes)):
            before, after = (state and state.reaches[axis] for state in states)
            shapes = [old.shape, new.shape]
            if whole:
                (reach,) = moved_together([before, after], shapes, put(0))
            else:
                parts = [before] if before else []
                if after:
                    parts += [moved_together([None, after], shapes, put(i))[0] for i in range(sources.shape[1])]
                reach = reduce(Reach.joined, parts)
            if before and before.pattern and before.along is not None:
                fits = before.pattern.fits(replace(reach, along=before.along).field(old.shape).seen)
                if fits:  # a strip at the border, as a circular padding writes it
                    reach = replace(reach, pattern=before.pattern, along=before.along)
            reaches.append(reach.with_found_pattern())
        self.set(reaches)
