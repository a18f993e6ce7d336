"""One convolution along one axis, and the sizes it takes and gives."""

from dataclasses import dataclass
from typing import Literal

from etude.errors import UsageError

LARGEST = 10**9
"""Largest size, kernel, stride, padding and dilation."""
Padding = int | Literal["same"]


@dataclass(frozen=True, kw_only=True)
class Conv:
    """A convolution along one axis, plain or transposed, and the sizes it takes and gives."""

    size_in: int
    kernel: int
    stride: int = 1
    padding: Padding = 0
    """On each side; "same" pads span − 1 in all, the odd one behind, as PyTorch does."""
    dilation: int = 1
    output_padding: int = 0
    transposed: bool = False

    @property
    def span(self) -> int:
        """Positions from a kernel's first to its last tap."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def _padded(self) -> tuple[int, int]:
        """Padding before and behind."""
        if isinstance(self.padding, int):
            return self.padding, self.padding
        return (self.span - 1) // 2, self.span - 1 - (self.span - 1) // 2

    @property
    def output(self) -> int:
        """Output size (`torch.nn.Conv2d` and `torch.nn.ConvTranspose2d`, section Shape); below 1: impossible."""
        before, behind = self._padded
        if self.transposed:
            return (self.size_in - 1) * self.stride - before - behind + self.span + self.output_padding
        return (self.size_in + before + behind - self.span) // self.stride + 1

    @property
    def dropped(self) -> int:
        """Positions at the end, padding included, that the floor leaves out: no window starts there."""
        return 0 if self.transposed else (self.size_in + sum(self._padded) - self.span) % self.stride

    @property
    def in_padding(self) -> int:
        """Outputs whose window lies wholly in the padding: they are a constant, the bias."""
        if self.transposed or self.output < 1:
            return 0
        padding = self._padded[0]
        if self.dilation <= self.size_in:  # no hole is wider than the input: a window is before, behind or on it
            before = -(-(padding - self.span + 1) // self.stride)
            behind = self.output - -(-(self.size_in + padding) // self.stride)
            return min(max(before, 0), self.output) + max(behind, 0)
        found = 0  # at most one tap of a window is on the input: count the windows of each tap
        for tap in range(0, self.span, self.dilation):
            first = max(-(-(padding - tap) // self.stride), 0)
            last = min((padding - tap + self.size_in - 1) // self.stride, self.output - 1)
            found += max(last - first + 1, 0)
        return self.output - found

    def to_dict(self) -> dict[str, int | str]:
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


def apply(size_in: int, kernel: int, stride: int, padding: Padding, dilation: int, *, transposed: bool = False) -> Conv:
    """The one convolution with these settings; a `UsageError` when the kernel does not fit into the input."""
    check(size_in=size_in, kernel=kernel, stride=stride, dilation=dilation)
    check_padding(padding, stride, transposed)
    conv = Conv(
        size_in=size_in, kernel=kernel, stride=stride, padding=padding, dilation=dilation, transposed=transposed
    )
    check_reach(size_in, kernel, dilation)
    if conv.output < 1:
        if transposed:
            raise UsageError(f"padding {padding} crops all of the output; use a padding below it, or a larger kernel.")
        assert isinstance(padding, int), conv
        given = f"{size_in} positions with padding {padding} are {size_in + 2 * padding}"
        least = -(-(conv.span - size_in) // 2)
        raise UsageError(f"the kernel spans {conv.span} positions and {given}; use padding {least} or more.")
    return conv


def check(least: int = 1, **values: int | None) -> None:
    """Raise a `UsageError` for a value out of range, by the name of its flag."""
    flags = {"size_in": "in", "size_out": "out"}
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"--{flags.get(name, name)} is {value!r:.40}; allowed: a whole number.")
        if value < least:
            raise UsageError(f"--{flags.get(name, name)} is {_short(value)}; allowed: {least} or more.")
        if value > LARGEST:
            raise UsageError(f"--{flags.get(name, name)} is {_short(value)}; allowed: up to {LARGEST:,}.")


def _short(value: int) -> str:
    return str(value) if abs(value) < 10**20 else f"a number of more than 20 digits{' below 0' if value < 0 else ''}"


def check_reach(size_in: int, kernel: int | None, dilation: int | None) -> None:
    """Holes wider than the input are counted tap by tap."""
    if kernel and dilation and dilation > size_in and kernel > 10**6:
        raise UsageError(f"--kernel is {kernel}; allowed with a dilation above the input: up to 1,000,000.")


def check_padding(padding: Padding | None, stride: int | None, transposed: bool) -> None:
    """ "same" is PyTorch's: of a plain convolution with stride 1."""
    if padding != "same":
        check(least=0, padding=padding)
    elif transposed:
        raise UsageError("--padding is same; a transposed convolution takes a number.")
    elif stride not in (None, 1):
        raise UsageError(f"--padding is same, which PyTorch has for stride 1 only, not {stride}; give a number.")
