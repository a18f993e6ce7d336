"""Which input positions along one axis reach each element of a tensor: exact sets, carried from operation to operation.

A `Reach` holds the different sets once, as rows of bits, and for each element of the tensor the number of its row.
Operations that only move elements are run on the row numbers themselves, so that flattened grids, joined tokens,
windows and shuffled channels are followed without a special case. The numbers are of size 1 along dimensions where all
elements share one set, which is nearly always all of them but one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
import torch
from torch import Tensor

from etude.inspection.field.axes import Field, Pattern, Window

LARGEST = 2**18
"""Elements of one reach; beyond, two reaches that meet are taken to meet at all positions (attention over 512 of
them)."""
ROW_BYTES = 2**28
"""Memory of the sets of all elements at once."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Reach:
    """One axis of the input, seen from every element of one tensor."""

    extent: int
    """Positions of the input along this axis."""
    sets: np.ndarray
    """(number of sets, words) uint64: bit i of a row is input position i; row 0 is the empty set."""
    where: Tensor
    """int64, of the tensor's rank, each size 1 or the tensor's: the row of each element."""
    pattern: Pattern | None
    """The field on an endless axis; None where it does not repeat."""
    along: int | None
    """The dimension whose positions are those of the axis; None where it is gone or was merged with others."""
    mixed: bool = False
    """Whether an operation over all positions came before."""

    @classmethod
    def of_input(cls, rank: int, dim: int, extent: int) -> "Reach":
        """The reach of the input itself: position i sees position i."""
        sets = np.zeros((extent + 1, -(-extent // 64)), np.uint64)
        positions = np.arange(extent)
        sets[positions + 1, positions // 64] = np.uint64(1) << (positions % 64).astype(np.uint64)
        where = torch.arange(1, extent + 1).view([extent if d == dim else 1 for d in range(rank)])
        return cls(extent=extent, sets=sets, where=where, pattern=Pattern(1, ((0, 1),)), along=dim)

    @cached_property
    def dim(self) -> int | None:
        """The dimension along which the positions lie: `along`, or the one along which the most sets differ."""
        if self.along is not None:
            return self.along
        dims = [d for d, size in enumerate(self.where.shape) if size > 1]
        if len(dims) < 2:
            return next(iter(dims), None)
        return max(dims, key=lambda d: len(set(self._along(d))))

    def _along(self, dim: int | None) -> tuple[int, ...]:
        """The set of each position along a dimension, over all elements there."""
        merged = self.union_over([d for d in range(self.where.dim()) if d != dim])
        return tuple(int.from_bytes(merged.sets[i].tobytes(), "little") for i in merged.where.flatten().tolist())

    def field(self, shape: Sequence[int]) -> Field:
        """What the report says of it, for a tensor of this shape."""
        seen = self._along(self.dim)
        if self.dim is not None and len(seen) == 1:
            seen = seen * shape[self.dim]
        return Field(self.extent, seen, self.pattern, self.mixed)

    def _of_rows(self, rows: np.ndarray) -> "Reach":
        """The same with new sets (..., words) for its elements, equal ones kept once."""
        flat = np.ascontiguousarray(rows.reshape(-1, rows.shape[-1]))
        whole = flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).ravel()
        _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
        sets = np.concatenate([np.zeros((1, flat.shape[1]), np.uint64), flat[first]])
        where = torch.as_tensor(inverse + 1).reshape(rows.shape[:-1])
        return replace(self, sets=sets, where=thin(where))

    def _rows(self) -> np.ndarray:
        if self.where.numel() * self.sets.shape[1] * 8 > ROW_BYTES:
            raise TooLarge
        return self.sets[self.where.numpy()]

    # --- unions ---------------------------------------------------------------------------------------------------

    def union_over(self, dims: Iterable[int]) -> "Reach":
        """Each element sees what all elements along these dimensions saw; they stay, of size 1."""
        rank = self.where.dim()
        dims = {d % rank for d in dims if self.where.shape[d] > 1}
        if not dims:
            return self
        lost = self.along in dims
        if all(size == 1 or d in dims for d, size in enumerate(self.where.shape)):
            union = np.bitwise_or.reduce(self.sets[np.unique(self.where.numpy())], axis=0)
            sets = np.stack([np.zeros_like(union), union])
            where = torch.ones([1] * rank, dtype=torch.int64)
            return replace(self, sets=sets, where=where, pattern=None, mixed=True)
        merged = self._of_rows(np.bitwise_or.reduce(self._rows(), axis=tuple(dims), keepdims=True))
        merged = replace(merged, mixed=self.mixed or lost)
        if lost or self.along is None:
            merged = replace(merged, pattern=None).with_found_pattern()
        return merged

    def mixture(self) -> "Reach":
        """What an operation over all positions sees; the tensor keeps its shape."""
        return self.union_over(range(self.where.dim()))

    def prefix_over(self, dim: int, size: int) -> "Reach":
        """Each position sees what those up to it saw, as a running sum does."""
        if self.where.shape[dim] == 1:
            return self
        rows = np.bitwise_or.accumulate(self._rows(), axis=dim)
        return replace(self._of_rows(rows), pattern=None)

    def joined(self, other: "Reach") -> "Reach":
        """Two tensors combined element by element, broadcast from the right."""
        rank = max(self.where.dim(), other.where.dim())
        a, b = self.lifted(rank), other.lifted(rank)
        along, pattern = (a.along if a.along is not None else b.along), None
        apart = None not in (a.along, b.along) and a.along != b.along
        if apart:
            along = None
        elif a.pattern and b.pattern and a.along == b.along:
            pattern = a.pattern.union(b.pattern)
        mixed = a.mixed or b.mixed
        shape = torch.broadcast_shapes(a.where.shape, b.where.shape)
        if prod(shape) > LARGEST and prod(shape) > max(a.where.numel(), b.where.numel()):
            a, b = a.mixture(), b.mixture()
            mixed = True
        pairs, inverse = np.unique((a.where * len(b.sets) + b.where).numpy(), return_inverse=True)
        left, right = np.divmod(pairs, len(b.sets))
        union = a.sets[left] | b.sets[right]
        shape = torch.broadcast_shapes(a.where.shape, b.where.shape)
        where = torch.as_tensor(inverse + 1).reshape(shape)
        sets = np.concatenate([np.zeros((1, union.shape[1]), np.uint64), union])
        return Reach(extent=a.extent, sets=sets, where=thin(where), pattern=pattern, along=along, mixed=mixed)

    def through(self, dim: int, size: int, window: Window, positions: int) -> "Reach":
        """A layer that reads a dimension of this size through a window."""
        reads = [[i for i in window.reads(o) if 0 <= i < size] for o in range(positions)]
        pattern = self.pattern
        if pattern and self.along == dim:
            pattern = pattern.through(window)
        elif self.where.shape[dim] > 1 and self.along is None:
            pattern = None
        if self.where.shape[dim] == 1 and all(reads):
            return replace(self, pattern=pattern)
        rows = self._rows()
        rows = np.moveaxis(np.broadcast_to(rows, (*rows.shape[:dim], size, *rows.shape[dim + 1 :])), dim, 0)
        rows = np.concatenate([rows, np.zeros_like(rows[:1])])
        most = max(map(len, reads), default=0)
        taps = np.array([r + [size] * (most - len(r)) for r in reads]).reshape(positions, most)
        out = np.zeros((positions, *rows.shape[1:]), np.uint64)
        for t in range(most):
            out |= rows[taps[:, t]]
        return replace(self._of_rows(np.moveaxis(out, 0, dim)), pattern=pattern)

    # --- moves ----------------------------------------------------------------------------------------------------

    def lifted(self, rank: int) -> "Reach":
        """With dimensions of size 1 before the first."""
        more = rank - self.where.dim()
        if not more:
            return self
        along = None if self.along is None else self.along + more
        return replace(self, where=self.where[(None,) * more], along=along)

    def with_last(self) -> "Reach":
        """With a last dimension, of features that see the same."""
        return replace(self, where=self.where.unsqueeze(-1))

    def picked(self, dim: int, positions: Sequence[int], *, drop: bool = False) -> "Reach":
        """The elements at these positions of a dimension, in this order; `drop` the dimension of a single one."""
        where, pattern, along = self.where, self.pattern, self.along
        dim %= where.dim()
        if where.shape[dim] > 1:
            where = where.index_select(dim, torch.tensor(positions))
            if along == dim:
                pattern = pattern and pattern.picked(positions)
            elif along is None:
                pattern = None
        if drop:
            where = where.select(dim, 0)
            pattern = None if along == dim else pattern
            along = None if along == dim or along is None else along - (along > dim)
        return replace(self, where=thin(where), pattern=pattern, along=along)

    def permuted(self, dims: Sequence[int]) -> "Reach":
        """The dimensions in another order."""
        dims = [d % self.where.dim() for d in dims]
        along = None if self.along is None else dims.index(self.along)
        return replace(self, where=self.where.permute(dims), along=along)

    def reshaped(self, old: Sequence[int], new: Sequence[int]) -> "Reach":
        """The elements in row-major order in another shape; dimensions that vary are written out only where needed."""
        where_shape: list[int] = []
        where, along = self.where, None
        full: list[int] = []
        for olds, news in _groups(old, new):
            varies = any(where.shape[d] > 1 for d in olds)
            full += [old[d] if varies else 1 for d in olds]
            where_shape += [new[d] if varies else 1 for d in news]
            if self.along in olds:
                inner, outer = [d for d in olds if old[d] > 1], [d for d in news if new[d] > 1]
                if (len(inner), len(outer)) == (1, 1):
                    along = outer[0]
                elif not inner:
                    along = news[0] if news else None
        if prod(full) > 16 * LARGEST:
            raise TooLarge
        where = where.expand(full).reshape(where_shape)
        moved = replace(self, where=thin(where), along=along)
        if along is None and self.pattern:
            dims = [d for d, size in enumerate(moved.where.shape) if size > 1]
            if len(dims) == 1 and self.pattern.fits(moved._along(dims[0])):
                moved = replace(moved, along=dims[0])
        return moved

    def kept_by(self, moved: "Reach") -> "Reach":
        """The moved elements with this pattern, where the positions along its dimension are still the same."""
        same = self.pattern and self.along is not None and self.where.dim() == moved.where.dim()
        if same and moved._along(self.along) == self._along(self.along):
            return replace(moved, pattern=self.pattern, along=self.along)
        return moved

    def with_found_pattern(self) -> "Reach":
        """The same with the pattern that its sets show, if they do."""
        dim = self.dim
        pattern = Pattern.found_in(self._along(dim)) if dim is not None and not self.pattern else self.pattern
        return replace(self, pattern=pattern, along=dim if pattern else self.along)


class TooLarge(Exception):
    """More elements than can be followed one by one."""


def moved_together(
    reaches: Sequence[Reach | None], shapes: Sequence[Sequence[int]], move: Callable[..., Tensor | Sequence[Tensor]]
) -> list[Reach]:
    """Several tensors moved into one or more: `move` gets the rows of all, each of its full shape, as float64.

    None is a tensor that sees nothing. Zeros that `move` fills in see nothing either.
    """
    if sum(prod(shape) for shape in shapes) > 16 * LARGEST:
        raise TooLarge
    known = [reach for reach in reaches if reach]
    sets, start, numbers = [known[0].sets[:1]], 1, []
    for reach, shape in zip(reaches, shapes, strict=True):
        if reach is None:
            numbers.append(torch.zeros(tuple(shape), dtype=torch.float64))
            continue
        where = torch.where(reach.where > 0, reach.where + (start - 1), 0).double()
        numbers.append(where.expand(tuple(shape)).contiguous())
        sets.append(reach.sets[1:])
        start += len(reach.sets) - 1
    table = np.concatenate(sets)
    moved = move(*numbers)
    same = len({reach.along for reach in known}) == 1
    out = []
    for rows in [moved] if isinstance(moved, Tensor) else moved:
        along = known[0].along if same and rows.dim() == known[0].where.dim() else None
        out.append(
            Reach(
                extent=known[0].extent, sets=table, where=thin(rows.long()), pattern=None, along=along,
                mixed=any(reach.mixed for reach in known),
            )
        )  # fmt: skip
    return out


def thin(where: Tensor) -> Tensor:
    """Of size 1 along every dimension along which nothing differs."""
    for d in range(where.dim()):
        first = where.narrow(d, 0, min(1, where.shape[d]))
        if where.shape[d] > 1 and (where.stride(d) == 0 or bool((where == first).all())):
            where = first
    return where.contiguous()


def _groups(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of dimensions of two shapes that hold the same elements."""
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        olds, news, a, b = [], [], 1, 1
        while not (olds or news) or a != b:
            if i < len(old) and (a <= b or j == len(new)):
                olds.append(i)
                a *= old[i]
                i += 1
            else:
                news.append(j)
                b *= new[j]
                j += 1
        groups.append((olds, news))
    return groups
