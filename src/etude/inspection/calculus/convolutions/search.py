"""The search for every convolution along one axis that makes one size of another."""

from collections.abc import Iterable, Iterator

from etude.inspection.calculus.convolutions.layer import Conv, Padding

MOST_STEPS = 100_000
"""Combinations after which the search keeps to the usual ones."""
_FEW = 8


class _TooManyError(Exception):
    pass


def search(
    size_in: int,
    size_out: int,
    kernel: int | None,
    stride: int | None,
    padding: Padding | None,
    dilation: int | None,
    transposed: bool,
) -> tuple[list[Conv], bool]:
    """All that fit, the usual first, and whether these are all or only those near the usual choice."""
    for bounded in (False, True):
        looking = _Search(size_in, size_out, kernel, stride, padding, dilation, bounded)
        try:
            found = sorted(looking.transposed() if transposed else looking.plain(), key=how_unusual)
        except _TooManyError:
            continue
        return list(dict.fromkeys(found)), not bounded
    raise AssertionError((size_in, size_out))


class _Search:
    def __init__(
        self,
        size_in: int,
        size_out: int,
        kernel: int | None,
        stride: int | None,
        padding: Padding | None,
        dilation: int | None,
        bounded: bool,
    ) -> None:
        self.size_in, self.size_out = size_in, size_out
        self.kernel, self.stride, self.padding, self.dilation = kernel, stride, padding, dilation
        self.bounded = bounded
        self.steps = 0

    def _count(self, steps: int = 1) -> None:
        self.steps += max(steps, 1)
        if self.steps > MOST_STEPS and not self.bounded:
            raise _TooManyError

    def _near(self, among: range, centre: int) -> range:
        """All of a range, or where that is too much those nearest to a number."""
        self._count(len(among) if len(among) < MOST_STEPS else MOST_STEPS + 1)
        if not self.bounded or len(among) <= _FEW:
            return among
        first = min(max(centre - _FEW // 2, among.start), among.stop - _FEW)
        return range(first, first + _FEW)

    def _kernels(self, widest: int) -> Iterable[int]:
        if self.kernel is not None:
            return (self.kernel,)
        if not self.bounded:
            return range(1, widest + 1)
        return sorted({k for k in (*range(1, 12), *self._exact_kernels()) if 1 <= k <= widest})

    def _exact_kernels(self) -> Iterator[int]:
        """Kernels that the sizes ask for with the usual strides."""
        natural = max(self.size_in, self.size_out) // min(self.size_in, self.size_out)
        p = self.padding if isinstance(self.padding, int) else 0
        d = self.dilation or 1
        for s in (natural, natural + 1, 1, 2) if self.stride is None else (self.stride,):
            plain = self.size_in + 2 * p - s * (self.size_out - 1)
            for span in (plain, plain - 1, self.size_out + 2 * p - s * (self.size_in - 1)):
                yield (span - 1) // d + 1

    def _dilations(self, kernel: int, widest: int) -> Iterable[int]:
        if self.dilation is not None:
            return (self.dilation,)
        return self._near(range(1, (widest - 1) // (kernel - 1) + 1), 1) if kernel > 1 else (1,)

    def plain(self) -> Iterator[Conv]:
        """Plain convolutions."""
        size_in, size_out = self.size_in, self.size_out
        for k in self._kernels(size_in):
            for d in self._dilations(k, size_in):
                self._count()
                span = d * (k - 1) + 1
                if self.padding == "same" or (self.padding is None and span % 2 == 0):
                    if size_in == size_out and self.stride in (None, 1):
                        yield Conv(size_in=size_in, kernel=k, padding="same", dilation=d)
                    if self.padding == "same":
                        continue
                yield from self._plain_strides(k, d, span)

    def _plain_strides(self, k: int, d: int, span: int) -> Iterator[Conv]:
        size_in, size_out, given = self.size_in, self.size_out, self.padding
        assert not isinstance(given, str)
        # stride·(out - 1) <= in + 2·padding - span < stride·out, for the smallest and the largest padding:
        room = size_in - span
        least = max(1, (room + 2 * (given or 0)) // size_out + 1)
        widest = room + 2 * (size_in // 2 if given is None else given)
        most = size_in if size_out == 1 else min(size_in, widest // (size_out - 1))
        natural = max(1, round(size_in / size_out))
        strides = (self.stride,) if self.stride is not None else self._near(range(least, most + 1), natural)
        for s in strides:
            shortest = s * (size_out - 1) - size_in + span
            lowest, highest = max(0, -(-shortest // 2)), min(size_in // 2, (shortest + s - 1) // 2)
            if given is not None:
                lowest, highest = (given, given) if shortest <= 2 * given <= shortest + s - 1 else (1, 0)
            for p in self._near(range(lowest, highest + 1), span // 2):
                if size_in + 2 * p >= span:
                    yield Conv(size_in=size_in, kernel=k, stride=s, padding=p, dilation=d)

    def transposed(self) -> Iterator[Conv]:
        """Transposed convolutions."""
        size_in, size_out, given = self.size_in, self.size_out, self.padding
        assert not isinstance(given, str)
        for k in self._kernels(size_out):
            for d in self._dilations(k, size_out):
                self._count()
                span = d * (k - 1) + 1
                crop = 2 * (size_out // 2 if given is None else given)  # no stride makes more than is cropped again
                most = size_out if size_in == 1 else min(size_out, max(size_out + crop - span, 0) // (size_in - 1))
                natural = max(1, round(size_out / size_in))
                strides = (self.stride,) if self.stride is not None else self._near(range(1, most + 1), natural)
                for s in strides:
                    whole = (size_in - 1) * s + span  # whole - 2·padding + output padding = out
                    lowest = max(0, -(-(whole - size_out) // 2))
                    highest = min(size_out // 2, (whole - size_out + max(s, d) - 1) // 2)
                    if given is not None:
                        lowest, highest = (given, given) if 0 <= size_out - whole + 2 * given < max(s, d) else (1, 0)
                    for p in self._near(range(lowest, highest + 1), max(0, (span - s) // 2)):
                        yield Conv(size_in=size_in, kernel=k, stride=s, padding=p, dilation=d,
                                   output_padding=size_out - whole + 2 * p, transposed=True)  # fmt: skip


def how_unusual(conv: Conv) -> tuple[float, ...]:
    """No dilation, no window in the padding, a stride that makes the sizes alone, padding near half the kernel, output
    padding small, kernel near 3."""
    large, small = max(conv.size_in, conv.output), min(conv.size_in, conv.output)
    natural = large // small
    padding = conv.span // 2 if conv.padding == "same" else conv.padding
    assert isinstance(padding, int)
    centred = abs(padding - (conv.span - conv.stride) / 2) if conv.transposed else abs(padding - conv.span // 2)
    return (
        conv.dilation,
        conv.in_padding > 0 or padding >= conv.span,
        abs(conv.stride - natural),
        conv.stride,
        centred,
        conv.output_padding,
        abs(conv.kernel - 3),
        conv.kernel,
        padding,
    )
