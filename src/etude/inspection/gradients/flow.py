"""Do gradients reach the first layers? Scales of activations and gradients layer by layer, and remedies that are tried.

Measured on one batch at the start of training, on a copy in training mode. The gradient is that of a fixed random
mixture of the outputs, divided by the batch size; an output without axes is a loss, and is added as it is. Sources:
Glorot and Bengio 2010, He et al. 2015 and 2016, Ioffe and Szegedy 2015.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from etude.inspection.gradients.remedies import OVER_TIME, REMEDIES
from etude.inspection.gradients.time_flow import (
    EXPLODING,
    LEAST_STEPS,
    VANISHING,
    Recurrence,
    TimeFlow,
    through_calls,
    through_recurrence,
)
from etude.inspection.trace.failures import one_line, told
from etude.inspection.trace.outputs import tensors_in
from etude.inspection.trace.twin import own_copy, twin_of, undisturbed
from etude.models.recurrent import Cell

_RECURRENT = {each.__name__ for each in (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)}
_CELLS = {"lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"}
_PRODUCTS = {"matmul", "rmatmul", "mm", "bmm", "mv", "addmm", "addmv", "baddbmm", "einsum", "tensordot"}
"""Layers where one factor is a parameter."""
_WEIGHTED = {
    "linear",
    "bilinear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "embedding",
    "multi_head_attention_forward",
    *_RECURRENT,
    *_CELLS,
    *_PRODUCTS,
}
_ACTIVATIONS = {
    "relu",
    "relu_",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "gelu",
    "silu",
    "elu",
    "softplus",
    "hardtanh",
    "relu6",
}
_NORMS = {"batch_norm", "layer_norm", "group_norm", "instance_norm"}


@dataclass(eq=False)
class LayerFlow:
    """One layer, activation or normalisation, in the order of the forward pass."""

    path: str
    op: str
    activation_rms: float
    gradient_rms: float | None = None
    """Of the loss with respect to this layer's output; None when no gradient arrived."""
    dead: float | None = None
    """Fraction of ReLU units (features, channels) that are 0 for the whole batch."""
    saturated: float | None = None
    """Fraction of sigmoid or tanh outputs where the derivative is below 4 % of its largest value."""


@dataclass(frozen=True, repr=False)
class Flow:
    """The scales of one network; it shows itself as its verdict."""

    layers: list[LayerFlow]
    verdict: str
    """healthy, vanishing, exploding, cut off, not finite, or unknown where no layer has weights; the worse one of depth
    and time."""
    ratio: float
    """Gradient at the first layer with weights over that at the last one."""
    per_layer: float
    """The factor per layer with weights, geometric mean."""
    time: list[TimeFlow] = field(default_factory=list)
    """Of every recurrent layer, and of every layer that a loop calls."""
    unknown: list[str] = field(default_factory=list)
    """What could not be measured, with the reason."""

    @property
    def trouble_over_time(self) -> TimeFlow | None:
        """The layer that the verdict is about, where depth alone would be healthy."""
        if judge(self.layers).verdict not in ("healthy", "unknown"):
            return None
        return next((time for time in self.time if time.verdict == self.verdict != "healthy"), None)

    @property
    def worst_ratio(self) -> float:
        """The ratio that the verdict is about."""
        time = self.trouble_over_time
        return time.ratio if time else self.ratio

    @property
    def message(self) -> str:
        """The verdict in a sentence; over time too where that is where the trouble lies."""
        if time := self.trouble_over_time:
            return time.message
        same = [time.message for time in self.time if time.verdict == self.verdict != "healthy"]
        return " ".join([self._of_depth(), *same[:1]])

    @property
    def lines(self) -> list[str]:
        """The verdict, and what could not be measured."""
        return [self.message, *(f"! {text}" for text in self.unknown)]

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _of_depth(self) -> str:
        count = sum(layer.op in _WEIGHTED for layer in self.layers)
        if self.verdict == "not finite":
            return "not finite: activations or gradients overflow."
        if self.verdict == "unknown":
            return "no verdict: no layer with weights was seen."
        if count == 1 and self.verdict == "healthy" and self.time:
            steps = self.time[0].steps
            return f"healthy: a gradient reaches the one layer with weights; its depth is time, {steps} steps."
        if count == 1 and self.verdict == "healthy":
            return "healthy: a gradient reaches the one layer with weights; there is no depth for it to vanish in."
        if self.verdict == "cut off":
            return "cut off: no gradient reaches the first layer at all (dead units, or a detached path)."
        return (
            f"{self.verdict}: the gradient changes {self.ratio:.2g}-fold from the last to the first of {count} layers, "
            f"{self.per_layer:.2g} a layer."
        )


@dataclass(frozen=True)
class Remedy:
    """One change that was tried, and what became of the flow."""

    name: str
    flow: Flow | None
    why_not: str = ""
    """Why it could not be tried."""

    @property
    def cures(self) -> bool:
        """Whether the changed network is healthy."""
        return self.flow is not None and self.flow.verdict == "healthy"


class _Root(nn.Sequential):
    """A network as a part of another, so that it can be replaced itself. It takes any inputs."""

    def forward(self, *inputs: Any, **keywords: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self[0](*inputs, **keywords)


def gradient_flow(module: nn.Module, *inputs: Any, seed: int = 0, **keywords: Any) -> Flow:
    """Measure a copy of `module` on one batch, the random states as `seed` sets them."""
    with undisturbed():
        torch.manual_seed(seed)
        return _measure(twin_of(module).train(), inputs, keywords, seed)


def try_remedies(module: nn.Module, *inputs: Any, seed: int = 0, **keywords: Any) -> list[Remedy]:
    """Apply each remedy, and the pairs that belong together, to a copy and measure again."""
    found = []
    recurrent = any(isinstance(part, nn.RNNBase | nn.RNNCellBase | Cell) for part in module.modules())
    for name, changes in (REMEDIES | (OVER_TIME if recurrent else {})).items():
        with undisturbed():
            torch.manual_seed(seed)
            twin: nn.Module = _Root(twin_of(module).train())
            try:
                changed = [change(twin) for change in changes]  # every one, not only up to the first that cannot
                if not all(changed):
                    found.append(Remedy(name, None, "nothing to change: such layers are not modules of this network"))
                    continue
                found.append(Remedy(name, _measure(twin, inputs, keywords, seed)))
            except Exception as error:  # one remedy that does not fit this network must not end the report
                found.append(Remedy(name, None, one_line(error)))
    return found


# --- measuring ----------------------------------------------------------------------------------------------------


def _measure(module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], seed: int) -> Flow:
    for part in module.modules():
        if getattr(part, "inplace", False):
            part.inplace = False  # type: ignore[assignment]  # a gradient of what is overwritten cannot be read
    inputs, keywords = tree_map(own_copy, (inputs, keywords))
    with torch.enable_grad(), _Watch(module) as watch, told("in training mode"):
        out = module(*inputs, **keywords)
    outputs = [leaf for leaf in tensors_in(out) if leaf.requires_grad and leaf.numel()]
    generator = torch.Generator().manual_seed(seed)
    time, unknown = watch.over_time(torch.Generator().manual_seed(seed))
    if outputs:
        loss = sum((_mixed(leaf, generator) for leaf in outputs), torch.zeros(()))
        with told("in its backward pass"):
            watch.backward(loss)
    flow = judge(watch.layers)
    troubles = [each.verdict for each in time if each.verdict not in ("healthy", "cut off")]
    verdict = troubles[0] if troubles and flow.verdict in ("healthy", "unknown") else flow.verdict
    return Flow(flow.layers, verdict, flow.ratio, flow.per_layer, time, unknown)


def _mixed(out: Tensor, generator: torch.Generator) -> Tensor:
    """A fixed random mixture over the batch size; a loss as it is."""
    out = torch.view_as_real(out) if out.is_complex() else out
    return (out * torch.randn(out.shape, generator=generator)).sum() / len(out) if out.dim() else out


def judge(layers: list[LayerFlow]) -> Flow:
    """The verdict on measured scales."""
    weighted = [layer for layer in layers if layer.op in _WEIGHTED]
    numbers = [n for layer in layers for n in (layer.activation_rms, layer.gradient_rms) if n is not None]
    if any(not math.isfinite(n) for n in numbers):
        return Flow(layers, "not finite", math.nan, math.nan)
    if not weighted:
        return Flow(layers, "unknown", math.nan, math.nan)
    first, last = weighted[0].gradient_rms, weighted[-1].gradient_rms
    if not first or not last:
        return Flow(layers, "cut off", 0.0, 0.0)
    ratio = first / last
    verdict = "vanishing" if ratio < VANISHING else "exploding" if ratio > EXPLODING else "healthy"
    return Flow(layers, verdict, ratio, ratio ** (1 / max(len(weighted) - 1, 1)))


def steps_as_one(layers: list[LayerFlow], length: int) -> list[LayerFlow]:
    """The layers, those that are called `length` times or more in one place once: root mean squares over the calls."""
    found: dict[tuple[str, str], list[LayerFlow]] = {}
    for layer in layers:
        found.setdefault((layer.path, layer.op), []).append(layer)
    steps = {key: calls for key, calls in found.items() if len(calls) >= max(length, LEAST_STEPS)}
    shown = [layer for layer in layers if layer is steps.get((layer.path, layer.op), [layer])[0]]
    return [_over(calls) if (calls := steps.get((layer.path, layer.op))) else layer for layer in shown]


def _over(calls: list[LayerFlow]) -> LayerFlow:
    first = calls[0]
    gradients = [layer.gradient_rms for layer in calls if layer.gradient_rms is not None]
    return LayerFlow(
        first.path,
        f"{first.op} ×{len(calls)}",
        _root_mean_square([layer.activation_rms for layer in calls]),
        _root_mean_square(gradients) if gradients else None,
        *(
            None if getattr(first, name) is None else sum(getattr(layer, name) for layer in calls) / len(calls)
            for name in ("dead", "saturated")
        ),
    )


def _root_mean_square(values: list[float]) -> float:
    return math.sqrt(sum(value**2 for value in values) / len(values))


class _Watch(TorchFunctionMode):
    """Notes the output of every layer, activation and normalisation, functional ones too."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.names = {id(part): name for name, part in module.named_modules()}
        self.stack: list[str] = []
        self.layers: list[LayerFlow] = []
        self.outputs: list[Tensor] = []
        self.recurrences: list[Recurrence] = []
        self.calls: dict[Any, list[tuple[Tensor, ...]]] = {}
        """By layer, operation and weight: what each call gave."""

    def __enter__(self) -> "_Watch":
        def enter(module: nn.Module, inputs: Any) -> None:
            self.stack.append(self.names.get(id(module), ""))

        def leave(module: nn.Module, inputs: Any, result: Any) -> None:
            self.stack.pop()

        self.handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
        super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        for handle in self.handles:
            handle.remove()
        super().__exit__(*exception)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").strip("_")
        if name not in _WEIGHTED | _ACTIVATIONS | _NORMS or (name in _PRODUCTS and _weight(name, args) is None):
            return out
        parts = out if isinstance(out, tuple) else (out,)
        if not isinstance(parts[0], Tensor):
            return out
        self._note(name, parts[0])
        path = self.stack[-1] if self.stack else ""
        if name in _RECURRENT:
            self.recurrences.append(Recurrence(path, name, func, args))
        elif (weight := _weight(name, args)) is not None:
            # A weight that is computed at every call (as weight norm does) is another tensor each time.
            key = (path, name, id(weight) if weight.is_leaf else None)
            self.calls.setdefault(key, []).append(tuple(p for p in parts if isinstance(p, Tensor)))
        if any(parts[0] is argument for argument in args):
            return out
        with torch._C.DisableTorchFunction():  # what goes on in place must not change what was noted
            own = tuple(p.clone() if isinstance(p, Tensor) else p for p in parts)
        return own if isinstance(out, tuple) else own[0]

    def over_time(self, generator: torch.Generator) -> tuple[list[TimeFlow], list[str]]:
        """How far gradients reach back in all that runs step by step, and what could not be measured."""
        measures = [(call.path, lambda call=call: through_recurrence(call, generator)) for call in self.recurrences]
        measures += [
            (path, lambda path=path, op=op, states=states: through_calls(path, op, states, generator))
            for (path, op, _), states in self.calls.items()
        ]
        found, unknown = [], []
        for path, measure in measures:
            try:
                found.append(measure())
            except Exception as error:  # one layer that cannot be measured must not end the report
                unknown.append(f"unknown over time: {path or 'the network'}: {one_line(error)}.")
        return [time for time in found if time], unknown

    def _note(self, name: str, out: Tensor) -> None:
        with torch._C.DisableTorchFunction():
            y = out.detach()
            layer = LayerFlow(self.stack[-1] if self.stack else "", name, _rms(y))
            if name in ("relu", "relu6") and y.dim() > 1:
                units = y.movedim(1, 0).flatten(1) if y.dim() > 2 else y.T  # (units, everything else)
                layer.dead = float((units <= 0).all(1).double().mean())
            if name in ("sigmoid", "tanh"):
                z = 2 * y - 1 if name == "sigmoid" else y  # both derivatives are in proportion to 1 - z²
                layer.saturated = float((1 - z**2 < 0.04).double().mean())
        self.layers.append(layer)
        self.outputs.append(out)

    def backward(self, loss: Tensor) -> None:
        wanted = [out for out in self.outputs if out.requires_grad]
        gradients = dict(zip(map(id, wanted), torch.autograd.grad(loss, wanted, allow_unused=True), strict=True))
        for layer, out in zip(self.layers, self.outputs, strict=True):
            gradient = gradients.get(id(out))
            layer.gradient_rms = None if gradient is None else _rms(gradient)


def _weight(name: str, args: tuple[Any, ...]) -> Tensor | None:
    """The weight that a layer is known by: the recurrent one of a cell; a parameter, or a view of one, of a product."""
    if name in _CELLS:
        return args[3]
    if name in _PRODUCTS:
        tensors = [leaf for leaf in tree_flatten(args)[0] if isinstance(leaf, Tensor)]
        bases = [leaf if leaf._base is None else leaf._base for leaf in tensors]
        return next((base for base in reversed(bases) if isinstance(base, nn.Parameter)), None)
    if name == "linear" or name.startswith("conv"):
        return args[1] if len(args) > 1 and isinstance(args[1], Tensor) else None
    return None


def _rms(values: Tensor) -> float:
    values = values.detach()
    values = values.to(torch.complex128).abs() if values.is_complex() else values.double()
    return float(values.square().mean().sqrt()) if values.numel() else 0.0
