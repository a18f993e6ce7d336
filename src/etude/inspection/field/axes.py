"""Which positions a layer reads along one axis, and the receptive field that the report shows.

A set of input positions is a Python integer whose bit i stands for position i, so a union is `|` and a shift `<<`.
A field holds them twice: for each position of the layer at hand, borders included (`reach` computes them), and as the
pattern that repeats on an endless axis, which gives size, stride and offset as papers define them (Araujo et al.,
"Computing receptive fields of convolutional neural networks", Distill 2019) even where the field is larger than the
input.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import floor, gcd, lcm
from operator import or_

import numpy as np


@dataclass(frozen=True)
class Window:
    """Which positions of its input one layer reads along an axis, the pattern repeating.

    Output position o = period·u + r reads input positions step·u + t for t in taps[r]: a convolution of stride 2 has
    step 2 and period 1, a transposed one step 1 and period 2.
    """

    step: int
    period: int
    taps: tuple[tuple[int, ...], ...]
    at_border: Callable[[int], Iterable[int]] | None = None
    """What output position o reads where the border changes the pattern (reflection, clamped interpolation)."""

    def reads(self, position: int) -> Iterable[int]:
        if self.at_border:
            return self.at_border(position)
        turns, phase = divmod(position, self.period)
        return (self.step * turns + tap for tap in self.taps[phase])


@dataclass(frozen=True)
class Pattern:
    """The field on an endless axis: position period·m + r sees the set `phases[r]` shifted by shift·m.

    A set is (lowest position, bits from there up); bits 0 stand for no position at all.
    """

    shift: int
    phases: tuple[tuple[int, int], ...]

    @property
    def stride(self) -> Fraction:
        """Input positions per step of one position."""
        return Fraction(self.shift, len(self.phases))

    @property
    def size(self) -> int:
        """Input positions from the first to the last one seen, the largest over the phases."""
        return max(bits.bit_length() for _, bits in self.phases)

    @property
    def taps(self) -> int:
        """Input positions seen, holes left out, the largest number over the phases."""
        return max(bits.bit_count() for _, bits in self.phases)

    @property
    def offset(self) -> int:
        """The first input position that position 0 sees; negative in the padding."""
        return self.phases[0][0]

    @property
    def centre(self) -> Fraction:
        """Where position 0 looks: the middle of its field, averaged over the phases."""
        seen = [(low, bits, r) for r, (low, bits) in enumerate(self.phases) if bits]
        middles = [low + Fraction(bits.bit_length() - 1, 2) - self.stride * r for low, bits, r in seen]
        return sum(middles, Fraction(0)) / max(len(middles), 1)

    def through(self, window: Window) -> "Pattern":
        """The pattern of a layer that reads this one through a window."""
        period = len(self.phases)
        turns = period // gcd(window.step, period)  # turns of the window after which the input's phase is the same
        phases = []
        for u in range(turns):
            for taps in window.taps:
                joined = (0, 0)
                for tap in taps:
                    m, phase = divmod(window.step * u + tap, period)
                    low, bits = self.phases[phase]
                    joined = _join(joined, (low + self.shift * m, bits))
                phases.append(joined)
        return Pattern(self.shift * window.step * turns // period, tuple(phases)).reduced()

    def picked(self, positions: Sequence[int]) -> "Pattern | None":
        """The pattern of a layer made of these positions; None when they are not evenly spaced and rising."""
        start, step = positions[0], (positions[1] - positions[0]) if len(positions) > 1 else 1
        regular = step > 0 and list(positions) == list(range(start, start + step * len(positions), step))
        return self.through(Window(step, 1, ((start,),))) if regular else None

    def union(self, other: "Pattern") -> "Pattern | None":
        """The pattern of two branches that meet; None when their strides differ."""
        if self.stride != other.stride:
            return None
        period = lcm(len(self.phases), len(other.phases))
        ours, theirs = self.over(period), other.over(period)
        pairs = zip(ours.phases, theirs.phases, strict=True)
        return Pattern(ours.shift, tuple(_join(a, b) for a, b in pairs)).reduced()

    def fits(self, seen: Sequence[int]) -> bool:
        """Whether half of the positions or more see what the pattern says; at borders they may not."""
        extent = reduce(or_, seen, 0).bit_length()
        expected = []
        for o in range(len(seen)):
            turns, phase = divmod(o, len(self.phases))
            low, bits = self.phases[phase]
            low += turns * self.shift
            expected.append((bits << low if low >= 0 else bits >> -low) & ((1 << extent) - 1))
        return 2 * sum(a == b for a, b in zip(expected, seen, strict=True)) >= len(seen)

    @classmethod
    def found_in(cls, seen: Sequence[int]) -> "Pattern | None":
        """The pattern of positions that all see the same further along, half of them or more; None without one."""
        lows = [(bits & -bits).bit_length() - 1 for bits in seen]
        best, start = (0, 0), 0
        for i in range(1, len(seen) + 1):
            step = lows[i] - lows[i - 1] if i < len(seen) and seen[i] and seen[i - 1] else 0
            goes_on = step > 0 and seen[i] == seen[i - 1] << step and step == lows[start + 1] - lows[start]
            if not goes_on:
                best, start = max(best, (i - start, -start)), i
        length, start = best[0], -best[1]
        if length < 2 or 2 * length < len(seen):
            return None
        step, bits = lows[start + 1] - lows[start], seen[start] >> lows[start]
        if max(map(_span, seen)) > bits.bit_length():
            return None
        return cls(step, ((lows[start] - step * start, bits),))

    def over(self, period: int) -> "Pattern":
        """The same pattern with its phases repeated up to a multiple of its period."""
        phases = []
        for r in range(period):
            turns, phase = divmod(r, len(self.phases))
            low, bits = self.phases[phase]
            phases.append((low + turns * self.shift, bits))
        return Pattern(self.shift * period // len(self.phases), tuple(phases))

    def reduced(self) -> "Pattern":
        """The same pattern with the shortest period."""
        for period in range(1, len(self.phases)):
            if len(self.phases) % period == 0 and self.shift * period % len(self.phases) == 0:
                shorter = Pattern(self.shift * period // len(self.phases), self.phases[:period])
                if shorter.over(len(self.phases)) == self:
                    return shorter
        return self


@dataclass(frozen=True)
class Field:
    """The receptive field of every position of one layer along one axis of the input."""

    extent: int
    """Positions of the input along this axis."""
    seen: tuple[int, ...]
    """For each position the set of input positions that reach it; one entry when all positions share one."""
    pattern: Pattern | None
    """None where the field does not repeat: after a mixture of all positions, in a recurrent layer."""
    mixed: bool = False
    """Whether an operation over all positions came before: the field is the whole input, up to unused borders."""

    def mixture(self) -> "Field":
        """The field of an operation over the whole axis."""
        return Field(self.extent, (reduce(or_, self.seen, 0),), None, mixed=True)

    @property
    def whole(self) -> bool:
        """Whether every position sees the whole axis, or all of it that anything sees."""
        return self.mixed or (self.pattern is None and all(bits == (1 << self.extent) - 1 for bits in self.seen))

    @property
    def size(self) -> int:
        """Span in input positions: of the endless pattern, or the largest one actually there."""
        return self.pattern.size if self.pattern else max(_span(bits) for bits in self.seen)

    @property
    def taps(self) -> int:
        """Input positions used within the span, fewer than `size` where dilation leaves holes."""
        return self.pattern.taps if self.pattern else max(bits.bit_count() for bits in self.seen)


def _join(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    if not a[1] or not b[1]:
        return a if a[1] else b
    low = min(a[0], b[0])
    return low, (a[1] << (a[0] - low)) | (b[1] << (b[0] - low))


def _span(bits: int) -> int:
    return bits.bit_length() - ((bits & -bits).bit_length() - 1) if bits else 0


# --- the windows of the layers ------------------------------------------------------------------------------------


def convolution(kernel: int, stride: int, padding: int, dilation: int) -> Window:
    """Also pooling: position o reads stride·o - padding + dilation·t for t below the kernel size."""
    return Window(stride, 1, (tuple(dilation * t - padding for t in range(kernel)),))


def transposed_convolution(kernel: int, stride: int, padding: int, dilation: int) -> Window:
    """Position o reads i where o = stride·i - padding + dilation·t for some t below the kernel size."""
    return Window(
        1,
        stride,
        tuple(
            tuple(sorted({(r + padding - dilation * t) // stride for t in range(kernel)
                          if (r + padding - dilation * t) % stride == 0}))
            for r in range(stride)
        ),
    )  # fmt: skip


def adaptive_pool(size: int, positions: int) -> Window:
    """Position o reads from floor(o·size / positions) up to, not with, ceil((o + 1)·size / positions)."""
    common = gcd(size, positions)
    step, period = size // common, positions // common
    taps = tuple(tuple(range(r * step // period, -(-(r + 1) * step // period))) for r in range(period))
    return Window(step, period, taps)


def nearest(size: int, positions: int, scale: float | None = None, *, exact: bool) -> Window:
    """Nearest-neighbour resizing; `exact` looks from the middle of a position, as `nearest-exact` does.

    `scale` is the factor that was given instead of a size; positions are then scaled by it and not by the two sizes.
    """
    ratio = _ratio(size, positions, scale)
    ahead = Fraction(1, 2) if exact else Fraction(0)
    taps = tuple((floor((r + ahead) * ratio),) for r in range(ratio.denominator))
    # The kernels compute in single precision, whatever the type of the tensor.
    step, middle = np.float32(1 / scale if scale else size / positions), np.float32(ahead)

    def read(o: int) -> tuple[int, ...]:
        if not exact and positions in (size, 2 * size):  # the kernel's shortcut
            return (o * size // positions,)
        return (min(int((np.float32(o) + middle) * step), size - 1),)

    return Window(ratio.numerator, ratio.denominator, taps, read)


def interpolation(size: int, positions: int, scale: float | None = None, *, align_corners: bool, cubic: bool) -> Window:
    """Linear (2 taps) or cubic (4 taps) resizing, borders clamped; a tap whose weight happens to be 0 counts too."""
    first, count = (-1, 4) if cubic else (0, 2)
    if align_corners:
        ratio, start = Fraction(size - 1, positions - 1) if positions > 1 else Fraction(0), Fraction(0)
        step, middle = (size - 1) / (positions - 1) if positions > 1 else 0.0, 0.0
    else:
        ratio = _ratio(size, positions, scale)
        start = (ratio - 1) / 2
        step, middle = 1 / scale if scale else size / positions, 0.5

    def around(source: Fraction | float) -> range:
        return range(floor(source) + first, floor(source) + first + count)

    def read(o: int) -> set[int]:
        if not cubic and positions == size:  # the kernel's shortcut
            return {o}
        # As the kernel: one fused product and sum in double precision, its floor in single precision.
        source = np.float32(float(Fraction(step) * Fraction(o + middle) - Fraction(middle)))
        return {min(max(i, 0), size - 1) for i in around(float(source if cubic else max(source, np.float32(0))))}

    taps = tuple(tuple(around(start + ratio * r)) for r in range(ratio.denominator))
    return Window(ratio.numerator, ratio.denominator, taps, read)


def _ratio(size: int, positions: int, scale: float | None) -> Fraction:
    """Input positions per output position."""
    return 1 / Fraction(scale).limit_denominator(1000) if scale else Fraction(size, positions)


def padding(before: int, size: int, mode: str) -> Window:
    """Padding: zeros read nothing, "reflection" and "replication" read the border again."""

    def reads(o: int) -> tuple[int, ...]:
        i = o - before
        if 0 <= i < size:
            return (i,)
        if mode == "reflection":
            return (-i if i < 0 else 2 * (size - 1) - i,)
        return (min(max(i, 0), size - 1),) if mode == "replication" else ()

    return Window(1, 1, ((-before,),), reads)
