"""Rules of `receptive_field` for operations that move elements without computing with them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch

from etude.inspection.field.reach import Reach, moved_together
from etude.inspection.field.step import NoRule, Step, TensorReach
from etude.inspection.trace.flops import names_in
from etude.inspection.trace.record import Value

MOVES: dict[str, Callable[[Step], None]] = {}
"""Name of an operation to its rule."""


def _rule(names: str) -> Callable[[Callable[[Step], None]], Callable[[Step], None]]:
    def add(rule: Callable[[Step], None]) -> Callable[[Step], None]:
        MOVES.update(dict.fromkeys(names_in(names), rule))
        return rule

    return add


# --- the same elements in another shape or order ----------------------------------------------------------------------


@_rule(
    "view _unsafe_view reshape _reshape_alias squeeze unsqueeze flatten unflatten view_copy _reshape_copy squeeze_copy "
    "unsqueeze_copy"
)
def _reshape(step: Step) -> None:
    old, new = step.args[0], step.out[0]
    if prod(old.shape) != prod(new.shape):  # view(dtype)
        raise NoRule("a view of another type")
    step.per_axis(old, lambda reach: reach.reshaped(old.shape, new.shape))


@_rule("t t_copy")
def _t(step: Step) -> None:
    rank = len(step.args[0].shape)
    step.per_axis(step.args[0], lambda reach: reach.permuted(range(rank)[::-1]))


@_rule("transpose swapaxes transpose_copy")
def _transpose(step: Step) -> None:
    dims = list(range(len(step.args[0].shape)))
    a, b = step.args[1:3]
    if dims:
        dims[a], dims[b] = dims[b], dims[a]
    step.per_axis(step.args[0], lambda reach: reach.permuted(dims))


@_rule("permute permute_copy movedim")
def _permute(step: Step) -> None:
    step.per_axis(step.args[0], lambda reach: reach.permuted(step.args[1]))


@_rule("view_as_real")
def _view_as_real(step: Step) -> None:
    step.per_axis(step.args[0], Reach.with_last)


@_rule("view_as_complex")
def _view_as_complex(step: Step) -> None:
    step.per_axis(step.args[0], lambda reach: reach.union_over([-1]).picked(-1, [0], drop=True))


@_rule("expand expand_copy broadcast_to")
def _expand(step: Step) -> None:
    step.per_axis(step.args[0], lambda reach: reach)


@_rule("embedding")
def _embedding(step: Step) -> None:
    step.per_axis(step.args[1], Reach.with_last)


@_rule("_embedding_bag _embedding_bag_forward_only")
def _embedding_bag(step: Step) -> None:
    """Bags of one size, as rows of a matrix of indices are."""
    indices, bags = step.args[1], step.out[0].shape[0]
    each = indices.shape[0] // max(bags, 1)
    offsets = step.operation.indices.get(step.args[2])
    if offsets is None or offsets.tolist()[:bags] != [i * each for i in range(bags)] or each * bags != indices.shape[0]:
        raise NoRule("bags of different sizes")

    def rule(reach: Reach) -> Reach:
        return reach.reshaped([bags * each], [bags, each]).union_over([1])

    step.per_axis(indices, rule, step.out[:1])


# --- a part of the elements -------------------------------------------------------------------------------------------


def _pick(step: Step, dim: int, positions: Sequence[int], out: Value, *, drop: bool = False) -> None:
    if not positions:
        raise NoRule("a tensor without elements")
    step.per_axis(step.args[0], lambda reach: reach.picked(dim, positions, drop=drop), [out])


@_rule("slice slice_copy")
def _slice(step: Step) -> None:
    dim, start, end = step.argument("dim", 0), step.argument("start"), step.argument("end")
    size = step.args[0].shape[dim]
    _pick(step, dim, range(size)[start : end : step.argument("step", 1)], step.out[0])


@_rule("select select_copy")
def _select(step: Step) -> None:
    dim, index = step.args[1:3]
    _pick(step, dim, [index % step.args[0].shape[dim]], step.out[0], drop=True)


@_rule("unbind unbind_copy")
def _unbind(step: Step) -> None:
    for i, out in enumerate(step.out):
        _pick(step, step.argument("dim", 0), [i], out, drop=True)


@_rule(
    "split split_with_sizes unsafe_split unsafe_split_with_sizes split_copy split_with_sizes_copy chunk unsafe_chunk"
)
def _split(step: Step) -> None:
    dim, start = step.argument("dim", 0), 0
    for out in step.out:
        _pick(step, dim, range(start, start + out.shape[dim]), out)
        start += out.shape[dim]


@_rule("glu")
def _glu(step: Step) -> None:
    dim = step.argument("dim", -1)
    state, half = step.state(step.args[0]), step.args[0].shape[dim] // 2
    parts = [
        TensorReach(step.out[0].shape, tuple(r.picked(dim, range(i, i + half)) for r in state.reaches))
        for i in (0, half)
    ]
    step.set(step.join(parts))


@_rule("flip")
def _flip(step: Step) -> None:
    shape = step.args[0].shape

    def rule(reach: Reach) -> Reach:
        for dim in step.args[1]:
            reach = reach.picked(dim, range(shape[dim])[::-1])
        return reach

    step.per_axis(step.args[0], rule)


@_rule("roll")
def _roll(step: Step) -> None:
    shape, dims = step.args[0].shape, step.argument("dims", [])
    if not dims:
        return step.move(step.args[:1])

    def rule(reach: Reach) -> Reach:
        for shift, dim in zip(step.args[1], dims, strict=True):
            if shift % shape[dim]:
                reach = reach.picked(dim, [(i - shift) % shape[dim] for i in range(shape[dim])])
        return reach

    return step.per_axis(step.args[0], rule)


@_rule("repeat")
def _repeat(step: Step) -> None:
    times, rank = step.args[1], len(step.out[0].shape)
    old = (1,) * (rank - len(step.args[0].shape)) + step.args[0].shape

    def rule(reach: Reach) -> Reach:
        reach = reach.lifted(rank)
        for dim, count in enumerate(times):
            if count > 1 and old[dim] > 1:
                reach = reach.picked(dim, list(range(old[dim])) * count)
        return reach

    step.per_axis(step.args[0], rule)


@_rule("index_select")
def _index_select(step: Step) -> None:
    chosen = step.operation.indices.get(step.args[2])
    if chosen is None:
        return _anywhere(step)
    return _pick(step, step.args[1], chosen.flatten().tolist(), step.out[0])


@_rule("gather take_along_dim")
def _gather(step: Step) -> None:
    if step.args[2] in step.operation.indices:
        return step.move(step.args[:1])
    return _anywhere(step)


def _anywhere(step: Step) -> None:
    """Elements that the data choose along one dimension: each may come from any position there."""
    dim = step.args[1]
    states = step.known(step.args[:1])
    union = [TensorReach(s.shape, tuple(r.union_over([dim]) for r in s.reaches)) for s in states]
    index = step.known(step.args[2:3])
    index = index if step.name == "gather" else [s.scalar() for s in index]
    step.set(step.join([*union, *index], compare=False))


@_rule("index _unsafe_index")
def _index(step: Step) -> None:
    step.move(step.args[:1])


@_rule(
    "unfold im2col diagonal tril triu channel_shuffle native_channel_shuffle diag_embed rot90 take repeat_interleave "
    "diagonal_copy unfold_copy"
)
def _moves(step: Step) -> None:
    step.state(step.args[0])
    step.move(step.args[:1])


@_rule("_pack_padded_sequence")
def _pack(step: Step) -> None:
    step.state(step.args[0])
    step.move(step.args[:1], step.out[:1])


@_rule("as_strided as_strided_copy")
def _as_strided(step: Step) -> None:
    """Another view of the same memory, as pooling a map in channels-last gives."""
    old, (size, stride) = step.args[0], step.args[1:3]
    start = step.argument("storage_offset", old.offset) - old.offset
    reach_to = start + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    held = sum((n - 1) * s for n, s in zip(old.shape, old.strides, strict=True))
    if start < 0 or reach_to > held:
        raise NoRule("a view beyond the tensor that it is of")

    def run(numbers: torch.Tensor) -> torch.Tensor:
        base = torch.empty_strided(old.shape, old.strides, dtype=numbers.dtype).copy_(numbers)
        return base.as_strided(size, stride, start)

    state = step.state(old)
    moved = [moved_together([reach], [old.shape], run)[0] for reach in state.reaches]
    kept = zip(moved, state.reaches, strict=True)
    same = tuple(old.shape) == tuple(size)
    step.set([replace(m, pattern=r.pattern, along=r.along) if same else m for m, r in kept])


# --- several tensors in one -------------------------------------------------------------------------------------------


@_rule("cat concat")
def _cat(step: Step) -> None:
    values = [v for v in step.args[0] if v.shape != (0,)]
    dim = step.argument("dim", 0) % len(step.out[0].shape)
    _lay_out(step, values, [step.states.get(v) for v in values], dim, [v.shape[dim] for v in values])


@_rule("stack")
def _stack(step: Step) -> None:
    values, dim = step.args[0], step.argument("dim", 0) % len(step.out[0].shape)
    states = [step.states.get(v) for v in values]
    grown = [
        TensorReach(
            (*s.shape[:dim], 1, *s.shape[dim:]),
            tuple(r.reshaped(s.shape, (*s.shape[:dim], 1, *s.shape[dim:])) for r in s.reaches),
        )
        if isinstance(s, TensorReach) else None
        for s in states
    ]  # fmt: skip
    _lay_out(step, values, grown, dim, [1] * len(values))


def _lay_out(step: Step, values: Sequence[Value], states: Sequence[Any], dim: int, counts: list[int]) -> None:
    """Join tensors along a dimension: positions follow each other."""
    known = [s for s in states if isinstance(s, TensorReach)]
    out = []
    for axis in range(len(known[0].reaches)):
        parts = [s.reaches[axis] if isinstance(s, TensorReach) else None for s in states]
        tracked = [r for r in parts if r]
        along = tracked[0].along
        if (
            len(tracked) == len(parts)
            and all(_alike(r, tracked[0]) for r in tracked)
            and tracked[0].where.shape[dim] == 1
        ):
            out.append(step.join_axis(axis, tracked))
            continue
        pattern = None
        if along != dim and all(r.along == along for r in tracked):  # channels that see different positions
            pattern = tracked[0].pattern
            for r in tracked[1:]:
                step.compare(axis, tracked[0], r)
                pattern = pattern.union(r.pattern) if pattern and r.pattern else None
        sizes = [max(r.where.shape[d] for r in tracked) for d in range(len(step.out[0].shape))]
        shapes = [[*sizes[:dim], count, *sizes[dim + 1 :]] for count in counts]
        (moved,) = moved_together(parts, shapes, lambda *numbers: torch.cat(numbers, dim))
        out.append(replace(moved, pattern=pattern, along=along))
    step.set(out)


def _alike(a: Reach, b: Reach) -> bool:
    return torch.equal(a.where, b.where) and np.array_equal(a.sets, b.sets)


@_rule("copy fill zero")
def _copy(step: Step) -> None:
    """What was there before is gone; nothing else depends on the input then."""
    written = step.known(step.args[1:2])
    if written:
        step.set(step.join(written))
    else:
        for out in step.out:
            step.states.pop(out, None)


@_rule("slice_scatter select_scatter diagonal_scatter")
def _scatter_view(step: Step) -> None:
    step.move(step.args[:2])


@_rule(
    "index_put _index_put_impl _unsafe_index_put index_copy scatter scatter_add scatter_reduce index_add masked_scatter"
)
def _put(step: Step) -> None:
    """Known places are written to; at places that the data choose, everything may be anywhere."""
    adds = step.argument("accumulate", False) or "add" in step.name or step.argument("reduce") or "reduce" in step.name
    kinds = [v for v in step.operation.inputs if v not in step.operation.indices]
    data = [v for v in kinds if v in step.states or v.dtype.is_floating_point or v.dtype.is_complex]
    if not adds and len(data) == len(kinds) and step.name != "masked_scatter":
        return step.move(data)
    whole = [s.scalar() for s in step.known(step.operation.inputs[1:])]
    return step.set(step.join([*step.known(step.args[:1]), *whole], compare=False))
