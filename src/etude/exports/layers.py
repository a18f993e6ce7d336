"""What each operation of PyTorch's dispatcher becomes: a rule by its name, whatever network it is in."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_flatten

from etude.exports.program import Step


class Untranslatable(Exception):
    """A network that no list of steps can compute; the text says why: "it uses NAME, …"."""


class Writer:
    """What a rule writes its steps with; abstract."""

    live: dict[int, int]
    """Values by the ids of the tensors that hold them."""
    kept: list[Any]
    """All tensors of the pass: an id is unique only among the living."""
    steps: list[Step]
    input_size: int

    def add(self, layer: str, inputs: Sequence[int], size: int, **settings: Any) -> int:
        """Write a step; its value."""
        raise NotImplementedError

    def of(self, tensor: Tensor) -> int:
        """The value that a tensor holds; a new weight if it does not depend on the input."""
        raise NotImplementedError

    def number(self, given: Any) -> int:
        """The same for a tensor or a number."""
        with _disable_current_modes():
            return self.of(given if isinstance(given, Tensor) else torch.tensor(float(given)))

    def gathered(self, value: int, where: Tensor, fill: float = 0.0) -> int:
        """The numbers of a value at flat indices, `fill` at −1; the value itself if that changes nothing."""
        where = where.reshape(-1)
        with _disable_current_modes():
            if torch.equal(where, torch.arange(self.size(value))):
                return value
            return self.add("gather", (value, self.of(where.to(torch.int32))), where.numel(), **{"else": fill})

    def size(self, value: int) -> int:
        """How many numbers a value has."""
        return self.steps[value - 1].size if value > 0 else self.input_size

    def move(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """An operation that only moves numbers is a list of indices: what it does to 0, 1, 2 …"""
        source, *others = args
        value = self.live.get(id(source))
        pads = func.__name__.startswith("constant_pad_nd")
        fill = float(others[1]) if pads and len(others) > 1 else 0.0
        if value is None:
            raise Untranslatable(f"it uses {func.__name__} in a way for which there is no rule")
        with _disable_current_modes():
            places = torch.arange(source.numel(), dtype=torch.float64).view(source.shape)
            moved = func(places, *([others[0], -1.0] if pads else others), **kwargs)
        results = [leaf for leaf in tree_flatten(out)[0] if isinstance(leaf, Tensor)]
        for result, where in zip(results, tree_flatten(moved)[0], strict=True):
            self.live[id(result)] = self.gathered(value, where.long(), fill)


MOVES = frozenset({
    "view", "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze", "expand", "permute", "transpose", "t",
    "clone", "contiguous", "alias", "detach", "slice", "select", "split", "split_with_sizes", "unbind", "chunk", "flip",
    "roll", "repeat", "constant_pad_nd", "pixel_shuffle", "pixel_unshuffle", "upsample_nearest2d",
    "_upsample_nearest_exact2d", "reflection_pad2d", "replication_pad2d", "channel_shuffle", "diagonal", "lift_fresh",
    "unfold", "index_select",
})  # fmt: skip
"""Operations that move numbers and compute nothing."""


def _unary(name: str, *defaults: float) -> Callable[..., int]:
    def rule(w: Writer, x: Tensor, *given: Any, out: Tensor, **_: Any) -> int:
        numbers = [float(each) for each in (*given, *defaults[len(given) :])]
        return w.add("unary", (w.of(x),), out.numel(), name=name, **{"with": numbers})

    return rule


def _clamp(w: Writer, x: Tensor, low: Any = None, high: Any = None, *, out: Tensor, **named: Any) -> int:
    low, high = named.get("min", low), named.get("max", high)
    bounds = [-3e38 if low is None else float(low), 3e38 if high is None else float(high)]
    return w.add("unary", (w.of(x),), out.numel(), name="clamp", **{"with": bounds})


def _elu(w: Writer, x: Tensor, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0, *, out: Tensor) -> int:
    if input_scale != 1:
        raise Untranslatable("it uses elu with a scale of its input, for which there is no rule")
    value = w.add("unary", (w.of(x),), out.numel(), name="elu", **{"with": [float(alpha)]})
    return value if scale == 1 else _numbered(w, "mul", value, scale, out)


def _gelu(w: Writer, x: Tensor, *, approximate: str = "none", out: Tensor) -> int:
    return w.add(
        "unary", (w.of(x),), out.numel(), name="gelu_tanh" if approximate == "tanh" else "gelu", **{"with": []}
    )


def _pow(w: Writer, x: Any, exponent: Any, *, out: Tensor) -> int:
    if isinstance(exponent, Tensor) or not isinstance(x, Tensor):
        raise Untranslatable("it uses pow with an exponent that is no number, for which there is no rule")
    return w.add("unary", (w.of(x),), out.numel(), name="pow", **{"with": [float(exponent)]})


def _strides(given: Any, shape: Sequence[int]) -> list[int]:
    """Strides with which a contiguous tensor, or a number, is read as if it had the shape."""
    own = tuple(given.shape) if isinstance(given, Tensor) else ()
    own = (1,) * (len(shape) - len(own)) + own
    strides, step = [0] * len(shape), 1
    for axis in reversed(range(len(shape))):
        strides[axis] = step if own[axis] != 1 else 0
        step *= own[axis]
    return strides


def _paired(w: Writer, name: str, left: Any, right: Any, out: Tensor) -> int:
    shape = list(out.shape)
    inputs = (w.number(left), w.number(right))
    return w.add(
        "binary", inputs, out.numel(), name=name, shape=shape, left=_strides(left, shape), right=_strides(right, shape)
    )


def _numbered(w: Writer, name: str, value: int, number: float, out: Tensor) -> int:
    shape = [out.numel()]
    return w.add("binary", (value, w.number(number)), out.numel(), name=name, shape=shape, left=[1], right=[0])


def _binary(name: str) -> Callable[..., int]:
    def rule(w: Writer, left: Any, right: Any, *, alpha: float = 1, out: Tensor) -> int:
        if alpha != 1:
            scaled = right * alpha if not isinstance(right, Tensor) or id(right) not in w.live else None
            if scaled is None:
                raise Untranslatable(f"it uses {name} with alpha, for which there is no rule")
            right = scaled
        return _paired(w, name, left, right, out)

    return rule


def _rsub(w: Writer, left: Any, right: Any, alpha: float = 1, *, out: Tensor) -> int:
    if alpha != 1:
        raise Untranslatable("it uses rsub with alpha, for which there is no rule")
    return _paired(w, "sub", right, left, out)


def _mm(w: Writer, left: Tensor, right: Tensor, *bias: Tensor, out: Tensor) -> int:
    *_, rows, inner = left.shape
    inputs = [w.of(left), w.of(right), *map(w.of, bias)]
    return w.add("matmul", inputs, out.numel(), rows=rows, inner=inner, columns=right.shape[-1])


def _addmm(
    w: Writer, bias: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1, out: Tensor
) -> int:
    if (beta, alpha) != (1, 1) or bias.shape != (right.shape[-1],):
        raise Untranslatable("it uses addmm with factors, for which there is no rule")
    return _mm(w, left, right, bias, out=out)


def _convolution(
    w: Writer, x: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int],
    dilation: list[int], transposed: bool, output_padding: list[int], groups: int, *, out: Tensor,
) -> int:  # fmt: skip
    if x.ndim != 4 or id(weight) in w.live:
        raise Untranslatable("it uses a convolution that is not over images, for which there is no rule")
    inputs = [w.of(x), w.of(weight), *([] if bias is None else [w.of(bias)])]
    return w.add(
        "convolution", inputs, out.numel(), transposed=transposed, groups=groups, kernel=list(weight.shape[2:]),
        stride=list(stride), padding=list(padding), dilation=list(dilation), **_sides(x, out),
    )  # fmt: skip


def _sides(x: Tensor, out: Tensor) -> dict[str, list[int]]:
    return {"in": list(x.shape[1:]), "out": list(out.shape[1:])}


def _batch_norm(
    w: Writer, x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None, variance: Tensor | None,
    training: bool, momentum: float, eps: float, *, out: Any,
) -> int:  # fmt: skip
    """In evaluation: folded into a factor and a summand per channel. Without kept statistics: those of the example."""
    if training or mean is None or variance is None:
        channels = x.shape[1]
        return _normalised(w, x, x.numel() // channels, eps, weight, bias, (channels, *[1] * (x.ndim - 2)), out[0])
    with _disable_current_modes():
        scale = (variance.double() + eps).rsqrt() * (1 if weight is None else weight.double())
        shift = (0 if bias is None else bias.double()) - mean.double() * scale
        shape = (-1, *[1] * (x.ndim - 2))
        scale, shift = scale.float().view(shape), shift.float().view(shape)
    return _paired(w, "add", _held(w, _paired(w, "mul", x, scale, out[0]), out[0]), shift, out[0])


def _held(w: Writer, value: int, like: Tensor) -> Tensor:
    """A tensor of that shape that holds a value, for the next rule."""
    with _disable_current_modes():
        tensor = torch.empty_like(like)
    w.live[id(tensor)] = value
    w.kept.append(tensor)
    return tensor


def _normalised(w: Writer, x: Tensor, block: int, eps: float, weight: Any, bias: Any, shape: Any, out: Tensor) -> int:
    value = w.add("normalise", (w.of(x),), x.numel(), block=block, eps=eps)
    for name, given in (("mul", weight), ("add", bias)):
        if given is not None:
            value = _paired(w, name, _held(w, value, out), given.detach().view(shape), out)
    return value


def _layer_norm(w: Writer, x: Tensor, shape: list[int], weight: Any, bias: Any, eps: float, *, out: Any) -> int:
    return _normalised(w, x, math.prod(shape), eps, weight, bias, tuple(shape), out[0])


def _group_norm(
    w: Writer, x: Tensor, weight: Any, bias: Any, examples: int, channels: int, pixels: int, groups: int, eps: float,
    *, out: Any,
) -> int:  # fmt: skip
    block = channels // groups * pixels
    return _normalised(w, x, block, eps, weight, bias, (-1, *[1] * (x.ndim - 2)), out[0])


def _last(w: Writer, x: Tensor, axes: Sequence[int]) -> tuple[int, int, list[int]]:
    """A value whose `axes` come last, how many numbers they have together, and the order of the axes."""
    axes = [axis % x.ndim for axis in axes] or list(range(x.ndim))
    order = [axis for axis in range(x.ndim) if axis not in axes] + axes
    with _disable_current_modes():
        where = torch.arange(x.numel()).view(x.shape).permute(order)
        return w.gathered(w.of(x), where), math.prod(x.shape[axis] for axis in axes), order


def _softmax(w: Writer, x: Tensor, axis: int, half_to_float: bool = False, *, out: Tensor) -> int:
    value, block, order = _last(w, x, [axis])
    value = w.add("softmax", (value,), x.numel(), block=block)
    with _disable_current_modes():
        places = torch.arange(x.numel()).view([x.shape[at] for at in order])
        return w.gathered(value, places.permute([order.index(at) for at in range(x.ndim)]))


def _log_softmax(w: Writer, x: Tensor, axis: int, half_to_float: bool = False, *, out: Tensor) -> int:
    return w.add("unary", (_softmax(w, x, axis, out=out),), x.numel(), name="log", **{"with": []})


def _reduce(name: str) -> Callable[..., int]:
    def rule(w: Writer, x: Tensor, axes: Any = (), keep: bool = False, *, out: Tensor, **_: Any) -> int:
        value, block, _order = _last(w, x, [axes] if isinstance(axes, int) else axes or ())
        return w.add("reduce", (value,), out.numel(), name=name, block=block)

    return rule


def _max_pool(
    w: Writer, x: Tensor, kernel: list[int], stride: list[int] = [], padding: list[int] = [0, 0],  # noqa: B006
    dilation: list[int] = [1, 1], ceil: bool = False, *, out: Any,  # noqa: B006
) -> int:  # fmt: skip
    (kernel, stride, padding, dilation) = map(_two, (kernel, stride or kernel, padding, dilation))
    return w.add(
        "max_pool", (w.of(x),), out[0].numel(), kernel=kernel, stride=stride, padding=padding, dilation=dilation,
        ceil=ceil, **_sides(x, out[0]),
    )  # fmt: skip


def _average_pool(
    w: Writer, x: Tensor, kernel: list[int], stride: list[int] = [], padding: list[int] = [0, 0],  # noqa: B006
    ceil: bool = False, with_padding: bool = True, divisor: int | None = None, *, out: Tensor,
) -> int:  # fmt: skip
    if divisor is not None or (ceil and any(_two(padding))):
        raise Untranslatable("it uses avg_pool2d with a divisor, for which there is no rule")
    (kernel, stride, padding) = map(_two, (kernel, stride or kernel, padding))
    return w.add(
        "average_pool", (w.of(x),), out.numel(), kernel=kernel, stride=stride, padding=padding, ceil=ceil,
        with_padding=with_padding, **_sides(x, out),
    )  # fmt: skip


def _two(given: Sequence[int]) -> list[int]:
    return [given[0], given[-1]]


def _adaptive_pool(w: Writer, x: Tensor, size: list[int], *, out: Tensor) -> int:
    return w.add("adaptive_pool", (w.of(x),), out.numel(), **_sides(x, out))


def _concat(w: Writer, parts: Sequence[Tensor], axis: int = 0, *, out: Tensor, join: Any = torch.cat) -> int:
    parts = [part for part in parts if part.numel()]
    value = w.add("concat", [w.of(part) for part in parts], out.numel())
    with _disable_current_modes():
        ends = [0, *torch.tensor([part.numel() for part in parts]).cumsum(0).tolist()]
        ranges = [torch.arange(at, at + part.numel()).view(part.shape) for at, part in zip(ends, parts, strict=False)]
        return w.gathered(value, join(ranges, axis))


def _stack(w: Writer, parts: Sequence[Tensor], axis: int = 0, *, out: Tensor) -> int:
    return _concat(w, parts, axis, out=out, join=torch.stack)


def _same(w: Writer, x: Tensor, *_: Any, out: Tensor, **__: Any) -> int:
    if not out.is_floating_point():
        raise Untranslatable("it turns what depends on its input into whole numbers, for which there is no rule")
    return w.of(x)


RULES: dict[str, Callable[..., int]] = {
    **{name: _unary(name) for name in ("relu", "silu", "sigmoid", "tanh", "exp", "log", "sqrt", "rsqrt", "reciprocal",
                                       "neg", "abs", "sin", "cos", "hardswish", "hardsigmoid")},
    "leaky_relu": _unary("leaky_relu", 0.01),
    "softplus": _unary("softplus", 1.0, 20.0),
    "clamp": _clamp,
    "hardtanh": lambda w, x, low=-1.0, high=1.0, *, out: _clamp(w, x, low, high, out=out),
    "clamp_min": lambda w, x, low, *, out: _clamp(w, x, low, out=out),
    "clamp_max": lambda w, x, high, *, out: _clamp(w, x, None, high, out=out),
    "elu": _elu,
    "gelu": _gelu,
    "pow": _pow,
    **{name: _binary(name) for name in ("add", "sub", "mul", "div", "maximum", "minimum")},
    "rsub": _rsub,
    "mm": _mm,
    "bmm": _mm,
    "addmm": _addmm,
    "convolution": _convolution,
    "native_batch_norm": _batch_norm,
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "_softmax": _softmax,
    "_safe_softmax": lambda w, x, axis, dtype=None, *, out: _softmax(w, x, axis, out=out),
    "_log_softmax": _log_softmax,
    "mean": _reduce("mean"),
    "sum": _reduce("sum"),
    "amax": _reduce("max"),
    "amin": _reduce("min"),
    "max_pool2d_with_indices": _max_pool,
    "avg_pool2d": _average_pool,
    "_adaptive_avg_pool2d": _adaptive_pool,
    "cat": _concat,
    "stack": _stack,
    "_to_copy": _same,
    "dropout": _same,
}  # fmt: skip
"""From an operation's arguments and result to the value of the last step that it takes."""
