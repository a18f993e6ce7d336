"""Which convolution gives this size: every stride, padding and dilation, not only the one people remember."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from etude.errors import UsageError
from etude.inspection.calculus.convolutions import chain as chains
from etude.inspection.calculus.convolutions.chain import mirror
from etude.inspection.calculus.convolutions.layer import Conv, Padding, apply, check, check_padding, check_reach
from etude.inspection.calculus.convolutions.search import search
from etude.inspection.calculus.convolutions.solutions import Solutions

__all__ = ["Conv", "Solutions", "apply", "mirror", "solve"]

Size = int | Sequence[int]
BOUNDED = (
    "the search is bounded: there are more, further from the usual; give --kernel, --stride, --padding or --dilation."
)
_FEW = 20


def solve(
    size_in: Size,
    size_out: Size | None = None,
    *,
    kernel: Size | None = None,
    stride: Size | None = None,
    padding: Size | str | None = None,
    dilation: Size | None = None,
    transposed: bool = False,
    chain: str | None = None,
    mirror: str | None = None,
) -> Solutions:
    """Every convolution that makes `size_out` of `size_in` positions, the usual choice first.

    Sizes are those of one axis or, as (64, 48), of several; a setting may be one for all axes or one per axis. What is
    given is kept. The search ends where a kernel is wider than the input, a stride larger than it or a padding more
    than half of it (of the output, when transposed), and near the usual choice where there are more than 100,000
    combinations; it says so. Empty when nothing fits. `padding` may be "same".

    Without `size_out` the one convolution that is given. With `chain`, "k5 pool2 k3s2p1", the sizes after each layer;
    with `size_out` too, the convolutions that may stand for its `?`. With `mirror` the transposed convolutions that
    undo an encoder.
    """
    if size_in is None:
        raise UsageError("--in is None; allowed: a whole number.")
    ins = _sizes("in", size_in)
    given = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    for name, text in (("chain", chain), ("mirror", mirror)):
        if text is not None and (stray := [each for each, value in given.items() if value is not None]):
            raise UsageError(f"--{name} holds every layer's settings; leave --{stray[0]} out.")
    if chain is not None:
        if transposed or mirror is not None:
            raise UsageError(f"--chain goes without {'--transposed: write tk4s2p1' if transposed else '--mirror'}.")
        return _chain(ins, size_out, chain)
    if mirror is not None:
        if size_out is not None or len(ins) > 1:
            raise UsageError("--mirror takes one size, that of --in; leave --out away.")
        return Solutions([back for size in ins for _, back in reversed(chains.mirror(size, mirror))])
    settings = [_per_axis(name, value, len(ins)) for name, value in given.items()]
    if size_out is None:
        if kernel is None:
            raise UsageError(
                "give --out to find convolutions, --kernel to compute an output, --chain for several layers, or "
                "--mirror to undo an encoder."
            )
        return _single(
            [
                _applied(size, k, s, p, d, transposed)
                for size, (k, s, p, d) in zip(ins, zip(*settings, strict=True), strict=True)
            ]
        )
    outs = _outs(size_out, ins)
    by_axis, complete = [], True
    for a, b, (k, s, p, d) in zip(ins, outs, zip(*settings, strict=True), strict=True):
        check(size_in=a, size_out=b, kernel=k, stride=s, dilation=d)
        check_padding(p, s, transposed)
        check_reach(a, k, d)
        found, whole = search(a, b, k, s, p, d, transposed)
        by_axis.append(found)
        complete = complete and whole
    notes = () if complete else (BOUNDED,)
    asked = f"{_text(outs)} of {_text(ins)} positions"
    if len(ins) == 1:
        return Solutions(by_axis[0], asked=asked, notes=notes)
    together = chains.common(by_axis)
    if not together and all(by_axis):
        combined = product(*(found[:_FEW] for found in by_axis))
        together = sorted(
            combined, key=lambda convs: sum(_rank(conv, found) for conv, found in zip(convs, by_axis, strict=True))
        )
        notes = (*notes, f"no one setting fits all axes: combinations of the {_FEW} most usual of each.")
    return Solutions(together, asked=asked, notes=notes)


def _rank(conv: Conv, found: list[Conv]) -> int:
    return found.index(conv)


def _sizes(flag: str, given: Any) -> tuple[int, ...]:
    found = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not 1 <= len(found) <= 3:
        raise UsageError(f"--{flag} has {len(found)} axes; allowed: 1 to 3, as 64x48.")
    for size in found:
        check(**{f"size_{flag}": size})
    return found


def _outs(size_out: Size, ins: tuple[int, ...]) -> tuple[int, ...]:
    outs = _sizes("out", size_out)
    if len(outs) != len(ins):
        raise UsageError(f"--in has {len(ins)} axes and --out {len(outs)}; give one size per axis, as 64x48.")
    return outs


def _per_axis(name: str, value: Any, axes: int) -> tuple[Any, ...]:
    """One value per axis."""
    if not isinstance(value, list | tuple):
        return (value,) * axes
    if len(value) != axes:
        raise UsageError(f"--{name} has {len(value)} values; allowed: 1, or {axes} as --in has axes.")
    return tuple(value)


def _applied(size: int, kernel: int, stride: int | None, padding: Padding | None, dilation: int | None,
             transposed: bool) -> Conv:  # fmt: skip
    return apply(size, kernel, 1 if stride is None else stride, 0 if padding is None else padding,
                 1 if dilation is None else dilation, transposed=transposed)  # fmt: skip


def _single(convs: list[Conv]) -> Solutions:
    return Solutions([convs[0] if len(convs) == 1 else tuple(convs)])


def _chain(ins: tuple[int, ...], size_out: Size | None, text: str) -> Solutions:
    layers = chains.read("--chain", text)
    open_layers = [layer for layer in layers if layer.open]
    if len(open_layers) > 1:
        raise UsageError(f"--chain has {len(open_layers)} layers with `?`; allowed: one.")
    if not open_layers:
        found = chains.sizes(ins, layers)
        ends = tuple(conv.output for conv in found[-1])
        wrong = size_out is not None and _outs(size_out, ins) != ends
        note = f"the chain ends at {_text(ends)}, not at --out; write ? for the layer that may change."
        return Solutions([each[0] if len(ins) == 1 else each for each in found],
                         labels=[layer.text for layer in layers], notes=(note,) if wrong else ())  # fmt: skip
    if size_out is None:
        raise UsageError("--chain has a layer to find; give --out, the size at its end.")
    outs = _outs(size_out, ins)
    found, complete = chains.missing(ins, outs, layers)
    asked = f"{_text(outs)} of {_text(ins)} positions in this chain"
    return Solutions([each[0] if len(ins) == 1 else each for each in found], asked=asked,
                     notes=() if complete else (BOUNDED,))  # fmt: skip


def _text(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes))
