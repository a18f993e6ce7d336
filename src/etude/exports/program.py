"""A network as a list of steps on flat arrays: what a page computes, and the same in PyTorch.

Step i has the value i + 1; the value 0 is the input. A negative input −1 − k is weight k. The batch has one example,
so arrays are flat and a change of shape is no step.
"""

import base64
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor

SMALL = 64
"""Weights of at most this many numbers stay in float32: they cost nothing."""
LARGEST_HALF = 65504.0


@final
@dataclass(frozen=True, kw_only=True)
class Step:
    """One layer, with its inputs and what the layer needs to know."""

    layer: str
    """A key of `LAYERS` here, and the name of a function of static/kernels.js."""
    inputs: tuple[int, ...]
    settings: dict[str, Any]
    size: int
    """Numbers of its output."""

    @property
    def num_products(self) -> int:
        """Multiplications of a layer with weights: nearly all of a network's work."""
        s = self.settings
        if self.layer == "matmul":
            return self.size * s["inner"]
        if self.layer != "convolution":
            return 0
        (small, large) = (s["in"], s["out"]) if s["transposed"] else (s["out"], s["in"])
        return math.prod(small) * large[0] // s["groups"] * math.prod(s["kernel"])


@final
@dataclass(frozen=True, kw_only=True)
class Weight:
    """Numbers that do not depend on the input: the same for all classes, or a row for each."""

    numbers: Tensor
    """Flat: float16, float32 or int32; with a first axis for the class if `by_class`."""
    by_class: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class Program:
    """A network for one example."""

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    steps: tuple[Step, ...]
    output: int
    """Which value is the output."""
    weights: tuple[Weight, ...]

    def __call__(self, example: Tensor, label: int = 0) -> Tensor:
        """The output for an example of `input_shape`, float32, as a page computes it."""
        values = [example.reshape(-1).float()]
        weights = [weight.numbers[label] if weight.by_class else weight.numbers for weight in self.weights]
        for step in self.steps:
            inputs = [values[at] if at >= 0 else weights[-1 - at] for at in step.inputs]
            inputs = [each.float() if each.dtype == torch.float16 else each for each in inputs]
            values.append(LAYERS[step.layer](step.settings, *inputs).reshape(-1))
            assert values[-1].numel() == step.size, step
        return values[self.output].reshape(self.output_shape)

    @cached_property
    def num_bytes(self) -> int:
        """Bytes of all weights."""
        return sum(weight.numbers.numel() * weight.numbers.element_size() for weight in self.weights)

    def packed(self) -> dict[str, Any]:
        """Plain values for JSON; the weights' bytes, little-endian, one after the other in base64."""
        kinds = {torch.float16: "f2", torch.float32: "f4", torch.int32: "i4"}
        order = sorted(range(len(self.weights)), key=lambda at: self.weights[at].numbers.dtype == torch.float16)
        content, described = bytearray(), [[]] * len(self.weights)
        for at in order:  # those of four bytes first, so that each lies at a multiple of its size
            numbers = self.weights[at].numbers
            rows = len(numbers) if self.weights[at].by_class else 0
            described[at] = [kinds[numbers.dtype], len(content), numbers.numel() // max(rows, 1), rows]
            array = numbers.numpy()
            content += array.astype(array.dtype.newbyteorder("<")).tobytes()
        return {
            "input": list(self.input_shape),
            "output": self.output,
            "shape": list(self.output_shape),
            "steps": [[step.layer, list(step.inputs), step.settings, step.size] for step in self.steps],
            "weights": described,
            "bytes": base64.b64encode(content).decode(),
        }


def as_weight(rows: Sequence[Tensor]) -> Weight:
    """The numbers for each class, or once if they are the same for all; float16 unless few or too large for it."""
    by_class = len(rows) > 1
    numbers = torch.stack([row.reshape(-1) for row in rows]) if by_class else rows[0].reshape(-1)
    if numbers.is_floating_point():
        half = rows[0].numel() > SMALL and numbers.numel() > 0 and numbers.abs().max().item() <= LARGEST_HALF
        return Weight(numbers=numbers.half() if half else numbers.float(), by_class=by_class)
    return Weight(numbers=numbers.to(torch.int32), by_class=by_class)


# The layers, as static/kernels.js computes them -----------------------------------------------------------------------

UNARY: dict[str, Callable[..., Tensor]] = {
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "clamp": torch.clamp,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "neg": torch.neg,
    "abs": torch.abs,
    "sin": torch.sin,
    "cos": torch.cos,
    "pow": torch.pow,
}
"""Functions of each number, with their settings in order."""
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}
REDUCTIONS: dict[str, Callable[..., Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "max": torch.amax,
    "min": torch.amin,
}


def _binary(s: dict[str, Any], left: Tensor, right: Tensor) -> Tensor:
    return BINARY[s["name"]](left.as_strided(s["shape"], s["left"]), right.as_strided(s["shape"], s["right"]))


def _matmul(s: dict[str, Any], left: Tensor, right: Tensor, *bias: Tensor) -> Tensor:
    rows, inner, columns = s["rows"], s["inner"], s["columns"]
    product = left.view(-1, rows, inner) @ right.view(-1, inner, columns)
    return product + bias[0] if bias else product


def _convolution(s: dict[str, Any], x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
    outgoing = s["out"][0] // s["groups"]
    incoming = s["in"][0] // s["groups"]
    first, second = (s["in"][0], outgoing) if s["transposed"] else (s["out"][0], incoming)
    left_over = [0, 0]
    if s["transposed"]:
        left_over = [
            s["out"][1 + at]
            - ((s["in"][1 + at] - 1) * s["stride"][at] - 2 * s["padding"][at])
            - s["dilation"][at] * (s["kernel"][at] - 1)
            - 1
            for at in (0, 1)
        ]
    return torch.convolution(
        x.view(1, *s["in"]), weight.view(first, second, *s["kernel"]), bias[0] if bias else None, s["stride"],
        s["padding"], s["dilation"], s["transposed"], left_over, s["groups"],
    )  # fmt: skip


def _max_pool(s: dict[str, Any], x: Tensor) -> Tensor:
    given = x.view(1, *s["in"])
    return F.max_pool2d(given, s["kernel"], s["stride"], s["padding"], s["dilation"], ceil_mode=s["ceil"])


def _average_pool(s: dict[str, Any], x: Tensor) -> Tensor:
    given = x.view(1, *s["in"])
    return F.avg_pool2d(given, s["kernel"], s["stride"], s["padding"], s["ceil"], s["with_padding"])


def _gather(s: dict[str, Any], x: Tensor, where: Tensor) -> Tensor:
    return torch.cat([x, torch.tensor([s["else"]])])[where.long()]  # −1 is the last: what stands where nothing was


LAYERS: dict[str, Callable[..., Tensor]] = {
    "unary": lambda s, x: UNARY[s["name"]](x, *s["with"]),
    "binary": _binary,
    "matmul": _matmul,
    "convolution": _convolution,
    "normalise": lambda s, x: F.layer_norm(x.view(-1, s["block"]), (s["block"],), eps=s["eps"]),
    "softmax": lambda s, x: x.view(-1, s["block"]).softmax(1),
    "reduce": lambda s, x: REDUCTIONS[s["name"]](x.view(-1, s["block"]), dim=1),
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "adaptive_pool": lambda s, x: F.adaptive_avg_pool2d(x.view(1, *s["in"]), s["out"][1:]),
    "gather": _gather,
    "concat": lambda s, *parts: torch.cat(parts),
}
