"""Which convolution gives this size: every stride, padding and dilation, not only the one people remember."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from etude.errors import UsageError

KERNELS = range(1, 12)
"""Tried when no kernel is given."""


@dataclass(frozen=True, kw_only=True)
class Conv:
    """A convolution along one axis, plain or transposed, and the sizes it takes and gives."""

    size_in: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    output_padding: int = 0
    transposed: bool = False

    @property
    def span(self) -> int:
        """Positions from a kernel's first to its last tap."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def output(self) -> int:
        """Output size (`torch.nn.Conv2d` and `torch.nn.ConvTranspose2d`, section Shape); below 1: impossible."""
        if self.transposed:
            return (self.size_in - 1) * self.stride - 2 * self.padding + self.span + self.output_padding
        return (self.size_in + 2 * self.padding - self.span) // self.stride + 1

    @property
    def dropped(self) -> int:
        """Positions at the end, padding included, that the floor leaves out: no window starts there."""
        return 0 if self.transposed else (self.size_in + 2 * self.padding - self.span) % self.stride

    @property
    def in_padding(self) -> int:
        """Outputs whose window lies wholly in the padding: they are a constant, the bias."""
        if self.transposed or self.output < 1:
            return 0
        if self.dilation <= self.size_in:  # no hole is wider than the input: a window is before, behind or on it
            before = -(-(self.padding - self.span + 1) // self.stride)
            behind = self.output - -(-(self.size_in + self.padding) // self.stride)
            return min(max(before, 0), self.output) + max(behind, 0)
        starts = [o * self.stride - self.padding for o in range(self.output)]
        reads = range(0, self.span, self.dilation)
        return sum(not any(0 <= start + tap < self.size_in for tap in reads) for start in starts)

    def to_dict(self) -> dict[str, int]:
        """What `--json` prints."""
        found = {
            "kernel": self.kernel,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "output": self.output,
            "dropped": self.dropped,
        }
        return {**found, "output_padding": self.output_padding} if self.transposed else found


def solve(
    size_in: int,
    size_out: int,
    *,
    kernel: int | None = None,
    stride: int | None = None,
    padding: int | None = None,
    dilation: int | None = None,
    transposed: bool = False,
) -> list[Conv]:
    """Every convolution that makes `size_out` of `size_in` positions, the usual choice first.

    What is given is kept. The search ends where a kernel is wider than the input, a stride larger than it or a
    padding more than half of it (of the output, when transposed). Empty when nothing fits.
    """
    _check(size_in=size_in, size_out=size_out, kernel=kernel, stride=stride, dilation=dilation)
    _check(least=0, padding=padding)
    if transposed:
        found = _transposed(size_in, size_out, kernel, stride, padding, dilation)
    else:
        found = _plain(size_in, size_out, kernel, stride, padding, dilation)
    return sorted(found, key=_how_unusual)


def apply(size_in: int, kernel: int, stride: int, padding: int, dilation: int, *, transposed: bool = False) -> Conv:
    """The one convolution with these settings; a `UsageError` when the kernel does not fit into the input."""
    _check(size_in=size_in, kernel=kernel, stride=stride, dilation=dilation)
    _check(least=0, padding=padding)
    conv = Conv(
        size_in=size_in, kernel=kernel, stride=stride, padding=padding, dilation=dilation, transposed=transposed
    )
    if conv.output < 1:
        given = f"{size_in} positions with padding {padding} are {size_in + 2 * padding}"
        if transposed:
            raise UsageError(f"padding {padding} crops all of the output; use a padding below it, or a larger kernel.")
        least = -(-(conv.span - size_in) // 2)
        raise UsageError(f"the kernel spans {conv.span} positions and {given}; use padding {least} or more.")
    return conv


def mirror(size_in: int, chain: str) -> list[tuple[Conv, Conv]]:
    """An encoder's layers, in order, each with the transposed one that undoes its size: read it backwards.

    `chain` is `k3s2p1 k3s2p1`: kernel, stride, padding and dilation of each layer, those not named 1, 0 and 1.
    """
    pairs, size = [], size_in
    for text in re.split(r"[\s,]+", chain.strip()):
        match = re.fullmatch(r"k(\d+)(?:s(\d+))?(?:p(\d+))?(?:d(\d+))?", text)
        if not match:
            raise UsageError(
                f"--mirror has {text!r}; write each layer as kernel, stride, padding, dilation, for example "
                "k3s2p1 or k3."
            )
        kernel, stride, padding, dilation = (
            int(g) if g else d for g, d in zip(match.groups(), (0, 1, 0, 1), strict=True)
        )
        forward = apply(size, kernel, stride, padding, dilation)
        back = Conv(
            size_in=forward.output,
            kernel=kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            output_padding=forward.dropped,  # exactly what the floor lost
            transposed=True,
        )
        assert back.output == size, (forward, back)
        pairs.append((forward, back))
        size = forward.output
    return pairs


def _choices(given: int | None, among: Iterable[int]) -> Iterable[int]:
    return among if given is None else (given,)


def _plain(
    size_in: int, size_out: int, kernel: int | None, stride: int | None, padding: int | None, dilation: int | None
) -> Iterator[Conv]:
    for k in _choices(kernel, KERNELS):
        for d in _choices(dilation, range(1, (size_in - 1) // (k - 1) + 1) if k > 1 else (1,)):
            # stride·(out - 1) <= in + 2·padding - span < stride·out, for the smallest and the largest padding:
            room = size_in - d * (k - 1) - 1
            least = max(1, (room + 2 * (padding or 0)) // size_out + 1)
            widest = room + 2 * (size_in // 2 if padding is None else padding)
            most = size_in if size_out == 1 else min(size_in, widest // (size_out - 1))
            for s in _choices(stride, range(least, most + 1)):
                shortest = s * (size_out - 1) - size_in + d * (k - 1) + 1
                lowest, highest = max(0, -(-shortest // 2)), min(size_in // 2, (shortest + s - 1) // 2)
                if padding is not None:
                    lowest, highest = (padding, padding) if shortest <= 2 * padding <= shortest + s - 1 else (1, 0)
                for p in range(lowest, highest + 1):
                    yield Conv(size_in=size_in, kernel=k, stride=s, padding=p, dilation=d)


def _transposed(
    size_in: int, size_out: int, kernel: int | None, stride: int | None, padding: int | None, dilation: int | None
) -> Iterator[Conv]:
    for k in _choices(kernel, KERNELS):
        for d in _choices(dilation, range(1, (size_out - 1) // (k - 1) + 1) if k > 1 else (1,)):
            for s in _choices(stride, range(1, size_out + 1)):
                for p in _choices(padding, range(size_out // 2 + 1)):
                    extra = size_out - ((size_in - 1) * s - 2 * p + d * (k - 1) + 1)
                    if 0 <= extra < max(s, d):  # PyTorch's limit on output padding
                        yield Conv(size_in=size_in, kernel=k, stride=s, padding=p, dilation=d, output_padding=extra,
                                   transposed=True)  # fmt: skip


def _how_unusual(conv: Conv) -> tuple[float, ...]:
    """No dilation, no window in the padding, a stride that makes the sizes alone, padding near half the kernel, output
    padding small, kernel near 3."""
    large, small = max(conv.size_in, conv.output), min(conv.size_in, conv.output)
    natural = large // small
    centred = (
        abs(conv.padding - (conv.span - conv.stride) / 2) if conv.transposed else abs(conv.padding - conv.span // 2)
    )
    return (
        conv.dilation,
        conv.in_padding > 0 or conv.padding >= conv.span,
        abs(conv.stride - natural),
        conv.stride,
        centred,
        conv.output_padding,
        abs(conv.kernel - 3),
        conv.kernel,
        conv.padding,
    )


def _check(least: int = 1, **values: int | None) -> None:
    flags = {"size_in": "in", "size_out": "out"}
    for name, value in values.items():
        if value is not None and value < least:
            raise UsageError(f"--{flags.get(name, name)} is {value}; allowed: {least} or more.")
