"""Max-pooling and convolution of images from plain tensors."""

from collections.abc import Callable, Mapping
from typing import Any

import hypothesis.strategies as st
import torch.nn.functional as F
from torch import Tensor

from etude.verify.contract import Check, mistake
from etude.verify.inputs import normal, tensor
from etude.verify.observation import Observation, Refused, call, gradients, in_default_dtype, tensor_result, tracked


def max_pool2d(
    x: Tensor,
    kernel_size: int,
    stride: int,
    *,
    reduce: str = "max",
    fixed_stride: str = "",
    from_zero: bool = False,
    fixed_kernel: int | None = None,
    over_channels: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    """The maximum of each kernel_size × kernel_size window of x (batch, channels, height, width), no padding."""
    kernel = fixed_kernel or kernel_size
    stride = {"": stride, "kernel": kernel, "one": 1}[fixed_stride]
    if ceil_mode:
        return F.max_pool2d(x, kernel, stride, ceil_mode=True)
    windows = x.unfold(2, kernel, stride).unfold(3, kernel, stride).flatten(4)  # (batch, channels, rows, columns, k²)
    if reduce == "max":
        result = windows.max(-1).values
    else:
        result = {"mean": windows.mean, "min": windows.amin, "sum": windows.sum, "abs": windows.abs().amax}[reduce](-1)
    result = result.clamp(min=0) if from_zero else result
    return result.amax(1, keepdim=True).expand_as(result) if over_channels else result


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    stride: int,
    padding: int,
    *,
    flipped: bool = False,
    biased: bool = True,
    strided: bool = True,
    padded: str = "both",
    channels: str = "sum",
    transposed: bool = False,
    fill: float = 0.0,
) -> Tensor:
    """Cross-correlation of x (batch, in, height, width) with weight (out, in, kh, kw), plus bias (out,)."""
    weight = weight.flip(2, 3) if flipped else weight
    weight = weight.transpose(2, 3) if transposed else weight
    sides = {"both": (padding,) * 4, "none": (0,) * 4, "end": (0, 2 * padding) * 2, "width": (padding, padding, 0, 0)}
    x = F.pad(x, sides[padded], value=fill)
    if channels == "first":
        x, weight = x[:, :1], weight[:, :1]
    result = F.conv2d(x, weight, None, stride if strided else 1)
    if channels == "mean":
        result = result / weight.shape[1]
    return result + bias[:, None, None] if biased else result


@st.composite
def _pool_inputs(draw: st.DrawFn) -> dict[str, Any]:
    shape = draw(st.integers(1, 2)), 2, draw(st.integers(4, 5)), draw(st.integers(4, 6))
    return {
        "x": normal(shape, draw(st.integers(0, 1000))) - 0.5,
        "kernel_size": draw(st.integers(2, 3)),
        "stride": draw(st.integers(1, 3)),
    }


@st.composite
def _conv_inputs(draw: st.DrawFn) -> dict[str, Any]:
    seed, kernel = draw(st.integers(0, 1000)), draw(st.integers(2, 3))
    shape = draw(st.integers(1, 2)), 2, draw(st.integers(4, 6)), draw(st.integers(4, 6))
    return {
        "x": normal(shape, seed),
        "weight": normal((3, 2, kernel, kernel), seed + 1),
        "bias": draw(tensor((3,), 1, 2)),
        "stride": draw(st.integers(1, 2)),
        "padding": draw(st.integers(0, 2)),
    }


def _observe_pool(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """The pooled images, and the gradient's share that reaches each pixel if the result has one: NumPy gives none."""
    result = tensor_result(call(function, *in_default_dtype(case).values()))
    x, *others = in_default_dtype(case).values()
    try:
        with_graph = tensor_result(call(function, tracked(x), *others))
    except Refused:
        with_graph = result
    # A mutant is asked for what was to be seen of the learner's code.
    if not (with_graph.requires_grad if seen is None else _GRADIENT in seen.parts):
        return Observation({"result": result.detach()})
    (gradient,) = gradients(with_graph, x)
    return Observation({"result": result.detach(), _GRADIENT: gradient})


def _observe_conv(function: Callable[..., Any], case: Mapping[str, Any], seen: Observation | None) -> Observation:
    return Observation({"result": tensor_result(call(function, *in_default_dtype(case).values())).detach()})


_GRADIENT = "gradient of x"
_MAX = "maximum of each window"
_CONV = "Σ over channels, rows, columns of w[o, c, i, j] · x[c, r + i, q + j] + b[o]"

CHECKS = (
    Check(
        name="max_pool2d",
        call="max_pool2d(x, kernel_size, stride) → (batch, channels, rows, columns), no padding",
        right=max_pool2d,
        mistakes=(
            mistake("average instead of maximum", "mean of each window", _MAX, reduce="mean"),
            mistake("minimum instead of maximum", "minimum of each window", _MAX, reduce="min"),
            mistake("sum instead of maximum", "sum of each window", _MAX, reduce="sum"),
            mistake("maximum of absolute values", "max |x|", "max x", reduce="abs"),
            mistake("starts from 0", "max(0, x₁, x₂, …): wrong below 0", "max(x₁, x₂, …)", from_zero=True),
            mistake("stride ignored: kernel_size instead", "window every kernel_size pixels",
                    "window every stride pixels", fixed_stride="kernel"),
            mistake("stride ignored: 1 instead", "window every pixel", "window every stride pixels",
                    fixed_stride="one"),
            mistake("kernel_size hard-coded to 2", "2 × 2 windows", "kernel_size × kernel_size windows",
                    fixed_kernel=2),
            mistake("maximum over channels too", "one maximum for all channels", "one for each channel",
                    over_channels=True),
            mistake("incomplete windows kept", "⌈(H − k) / s⌉ + 1 rows", "⌊(H − k) / s⌋ + 1 rows", ceil_mode=True),
        ),
        inputs=_pool_inputs(),
        extremes=(
            {"x": -normal((1, 2, 5, 6), 1).abs() - 1, "kernel_size": 3, "stride": 2},
            {"x": normal((2, 2, 7, 4), 2), "kernel_size": 2, "stride": 3},
            {"x": normal((2, 2, 6, 7), 3), "kernel_size": 2, "stride": 2},
        ),
        observe=_observe_pool,
    ),
    Check(
        name="conv2d",
        call="conv2d(x, weight, bias, stride, padding) → (batch, out, rows, columns)",
        right=conv2d,
        mistakes=(
            mistake("kernel flipped", "w[o, c, −i, −j]: the mathematician's convolution", _CONV, flipped=True),
            mistake("kernel transposed", "w[o, c, j, i]", _CONV, transposed=True),
            mistake("bias forgotten", "… + 0", "… + b[o]", biased=False),
            mistake("stride ignored", "window every pixel", "window every stride pixels", strided=False),
            mistake("padding ignored", "0 pixels on each side", "padding pixels on each side", padded="none"),
            mistake("padding on one side only", "2 · padding pixels at the end", "padding pixels on each side",
                    padded="end"),
            mistake("padding of the width only", "rows not padded", "padding pixels on each side", padded="width"),
            mistake("padded with ones", "1 outside the image", "0 outside the image", fill=1.0),
            mistake("only the first channel", "w[o, 0] · x[0]", _CONV, channels="first"),
            mistake("mean over the channels", "1/C Σ over channels", _CONV, channels="mean"),
        ),
        inputs=_conv_inputs(),
        extremes=(
            {"x": normal((2, 2, 6, 5), 1), "weight": normal((3, 2, 3, 3), 2), "bias": normal((3,), 3), "stride": 2,
             "padding": 2},
            {"x": normal((1, 2, 4, 4), 4), "weight": normal((2, 2, 2, 2), 5), "bias": normal((2,), 6), "stride": 1,
             "padding": 0},
        ),
        observe=_observe_conv,
    ),
)  # fmt: skip
