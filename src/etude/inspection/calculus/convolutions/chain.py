"""Chains of layers, as "k5 pool2 k3s2p1": the sizes they give, a missing layer, the decoder that undoes them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from etude.errors import UsageError
from etude.inspection.calculus.convolutions.layer import Conv, Padding, apply, check
from etude.inspection.calculus.convolutions.search import how_unusual, search

_LAYER = re.compile(
    r"(?P<kind>t?k|pool)(?P<k>\d{1,10}|\?)(?:s(?P<s>\d{1,10}|\?))?(?:p(?P<p>\d{1,10}|same|\?))?(?:d(?P<d>\d{1,10}|\?))?"
    r"(?:o(?P<o>\d{1,10}))?"
)
MOST_LAYERS = 1000
MOST_SIZES = 64
"""Sizes after the missing layer that are tried."""


@dataclass(frozen=True, kw_only=True)
class ChainLayer:
    """One layer of a chain; a setting that is None is the one to find."""

    text: str
    kernel: int | None
    stride: int | None
    padding: Padding | None
    dilation: int | None
    output_padding: int
    transposed: bool
    pool: bool

    @property
    def open(self) -> bool:
        """Whether a setting is to be found."""
        return None in (self.kernel, self.stride, self.padding, self.dilation)

    @property
    def settings(self) -> tuple[int, int, Padding, int]:
        """Kernel, stride, padding and dilation of a layer that is not open."""
        assert self.kernel is not None, self
        assert self.stride is not None, self
        assert self.padding is not None, self
        assert self.dilation is not None, self
        return self.kernel, self.stride, self.padding, self.dilation


def read(flag: str, text: str) -> list[ChainLayer]:
    """The layers that a person typed."""
    if not isinstance(text, str):
        raise UsageError(f"{flag} is {text!r:.40}; allowed: a text of layers, as 'k3s2p1 k3'.")
    words = [word for word in re.split(r"[\s,]+", text.strip()) if word]
    if not words or len(words) > MOST_LAYERS:
        raise UsageError(f"{flag} has {len(words)} layers; allowed: 1 to {MOST_LAYERS}, as k3s2p1 k3.")
    return [_layer(flag, word) for word in words]


def _layer(flag: str, word: str) -> ChainLayer:
    match = _LAYER.fullmatch("k?s?p?d?" if word == "?" else "tk?s?p?d?" if word == "t?" else word)
    if not match:
        more = ", a pooling as pool2, a transposed one as tk4s2p1, a missing one as ?" if flag == "--chain" else ""
        shown = word if len(word) <= 40 else f"{word[:40]}…"
        raise UsageError(
            f"{flag} has {shown!r}; write each layer as kernel, stride, padding, dilation, for example k3s2p1 or "
            f"k3{more}."
        )
    pool, transposed = match["kind"] == "pool", match["kind"] == "tk"
    default = match["k"] if pool else "1"
    kernel, stride, padding, dilation = (
        None if each == "?" else each if each == "same" else int(each)
        for each in (match["k"], match["s"] or default, match["p"] or "0", match["d"] or "1")
    )
    if match["o"] and not transposed:
        raise UsageError(f"{flag} has {word!r}; only a transposed convolution has an output padding, as tk3s2p1o1.")
    layer = ChainLayer(text=word, kernel=kernel, stride=stride, padding=padding, dilation=dilation,  # type: ignore[arg-type]
                  output_padding=int(match["o"] or 0), transposed=transposed, pool=pool)  # fmt: skip
    if pool and layer.open:
        raise UsageError(f"{flag} has {word!r}; a missing layer is a convolution: ?, or k3s?p?.")
    if (pool and isinstance(padding, str)) or (pool and 2 * padding > dilation * (kernel - 1) + 1):  # type: ignore[operator]
        raise UsageError(f"{flag} has {word!r}; PyTorch pools with a padding up to half of the window.")
    if layer.output_padding and layer.output_padding >= max(stride or 1, dilation or 1):  # type: ignore[type-var]
        raise UsageError(f"{flag} has {word!r}; an output padding is smaller than the stride or the dilation.")
    return layer


def _through(layer: ChainLayer, size: int) -> Conv:
    try:
        conv = apply(size, *layer.settings, transposed=layer.transposed)
    except UsageError as error:
        raise UsageError(f"{layer.text}: {error}") from None
    if layer.output_padding:
        conv = Conv(size_in=size, kernel=conv.kernel, stride=conv.stride, padding=conv.padding, dilation=conv.dilation,
                    output_padding=layer.output_padding, transposed=True)  # fmt: skip
    check(**{f"output of {layer.text}": conv.output})
    return conv


def sizes(size_in: Sequence[int], layers: list[ChainLayer]) -> list[tuple[Conv, ...]]:
    """Every layer with what goes in and comes out, along each axis."""
    found, current = [], tuple(size_in)
    for layer in layers:
        convs = tuple(_through(layer, size) for size in current)
        found.append(convs)
        current = tuple(conv.output for conv in convs)
    return found


def missing(size_in: Sequence[int], size_out: Sequence[int], layers: list[ChainLayer]) -> tuple[list[Any], bool]:
    """The convolutions, one tuple per axis each, that may replace the open layer, so that the chain ends at a size."""
    place = next(i for i, layer in enumerate(layers) if layer.open)
    layer, after = layers[place], layers[place + 1 :]
    before = sizes(size_in, layers[:place])
    here = tuple(conv.output for conv in before[-1]) if before else tuple(size_in)
    complete, by_axis = True, []
    for start, end in zip(here, size_out, strict=True):
        low, high = _preimage(after, end)
        complete = complete and high - low < MOST_SIZES
        found: list[Conv] = []
        for size in range(low, min(high, low + MOST_SIZES - 1) + 1):
            more, whole = search(
                start, size, layer.kernel, layer.stride, layer.padding, layer.dilation, layer.transposed
            )
            found += more
            complete = complete and whole
        by_axis.append(sorted(found, key=how_unusual))
    return common(by_axis), complete


def common(by_axis: list[list[Conv]]) -> list[tuple[Conv, ...]]:
    """Solutions whose settings fit along every axis, in the order of the first."""
    keyed = [{_settings(conv): conv for conv in found} for found in by_axis]
    return [tuple(each[key] for each in keyed) for key in keyed[0] if all(key in each for each in keyed[1:])]


def _settings(conv: Conv) -> tuple[object, ...]:
    return conv.kernel, conv.stride, conv.padding, conv.dilation, conv.output_padding


def _preimage(layers: list[ChainLayer], size: int) -> tuple[int, int]:
    """The smallest and largest size that goes in where `size` comes out; empty: the second is smaller."""
    low = high = size
    for layer in reversed(layers):
        kernel, stride, given, dilation = layer.settings
        span = dilation * (kernel - 1) + 1
        padding = span - 1 if isinstance(given, str) else 2 * given
        if layer.transposed:
            shift = padding - span - layer.output_padding
            low, high = -(-(low + shift) // stride) + 1, (high + shift) // stride + 1
        else:
            low, high = (low - 1) * stride + span - padding, high * stride - 1 + span - padding
        low = max(low, 1, span - padding if not layer.transposed else 1)
    return low, high


def mirror(size_in: int, chain: str) -> list[tuple[Conv, Conv]]:
    """An encoder's layers, in order, each with the transposed one that undoes its size: read it backwards.

    `chain` is `k3s2p1 k3s2p1`: kernel, stride, padding and dilation of each layer, those not named 1, 0 and 1.
    """
    pairs, size = [], size_in
    for layer in read("--mirror", chain):
        if layer.pool or layer.transposed or layer.open or layer.padding == "same":
            raise UsageError(f"--mirror has {layer.text!r}; write convolutions with numbers, for example k3s2p1 or k3.")
        forward = _through(layer, size)
        back = Conv(
            size_in=forward.output,
            kernel=forward.kernel,
            stride=forward.stride,
            padding=forward.padding,
            dilation=forward.dilation,
            output_padding=forward.dropped,  # exactly what the floor lost
            transposed=True,
        )
        assert back.output == size, (forward, back)
        pairs.append((forward, back))
        size = forward.output
    return pairs
