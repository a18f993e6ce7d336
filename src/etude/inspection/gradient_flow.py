"""Do gradients reach the first layers? Scales of activations and gradients layer by layer, and remedies that are tried.

Measured on one batch at the start of training, on a copy in training mode. The gradient is that of a fixed random
mixture of the outputs, divided by the batch size. Sources: Glorot and Bengio 2010, He et al. 2015 and 2016, Ioffe and
Szegedy 2015.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from etude.errors import UsageError
from etude.inspection.failures import told
from etude.inspection.twin import twin_of, undisturbed

VANISHING, EXPLODING = 1e-3, 1e3
"""The gradient at the first layer with weights over that at the last: outside these bounds it vanishes or explodes."""

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
    "lstm",
    "gru",
    "rnn_tanh",
    "rnn_relu",
    "multi_head_attention_forward",
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


@dataclass(frozen=True)
class Flow:
    """The scales of one network."""

    layers: list[LayerFlow]
    verdict: str
    """healthy, vanishing, exploding, cut off, not finite, or unknown where no layer has weights."""
    ratio: float
    """Gradient at the first layer with weights over that at the last one."""
    per_layer: float
    """The factor per layer with weights, geometric mean."""

    @property
    def message(self) -> str:
        """The verdict in a sentence."""
        count = sum(layer.op in _WEIGHTED for layer in self.layers)
        if self.verdict == "not finite":
            return "not finite: activations or gradients overflow."
        if self.verdict == "unknown":
            return "no verdict: no layer with weights was seen."
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


def gradient_flow(module: nn.Module, *inputs: Any, seed: int = 0, **keywords: Any) -> Flow:
    """Measure a copy of `module` on one batch, the random states as `seed` sets them."""
    with undisturbed():
        torch.manual_seed(seed)
        return _measure(twin_of(module).train(), inputs, keywords, seed)


def try_remedies(module: nn.Module, *inputs: Any, seed: int = 0, **keywords: Any) -> list[Remedy]:
    """Apply each remedy, and the pairs that belong together, to a copy and measure again."""
    found = []
    for name, changes in REMEDIES.items():
        with undisturbed():
            torch.manual_seed(seed)
            twin: nn.Module = nn.Sequential(twin_of(module).train())  # so that the root itself can be replaced
            changed = [change(twin) for change in changes]  # every one, not only up to the first that cannot
            if not all(changed):
                found.append(Remedy(name, None, "nothing to change: such layers are not modules of this network"))
                continue
            try:
                found.append(Remedy(name, _measure(twin, inputs, keywords, seed)))
            except UsageError as error:
                found.append(Remedy(name, None, str(error)))
    return found


# --- measuring ----------------------------------------------------------------------------------------------------


def _measure(module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], seed: int) -> Flow:
    for part in module.modules():
        if getattr(part, "inplace", False):
            part.inplace = False  # type: ignore[assignment]  # a gradient of what is overwritten cannot be read
    inputs, keywords = tree_map(lambda x: x.detach().clone() if isinstance(x, Tensor) else x, (inputs, keywords))
    with torch.enable_grad(), _Watch(module) as watch, told("in training mode"):
        out = module(*inputs, **keywords)
    outputs = [leaf for leaf in tree_flatten(out)[0] if isinstance(leaf, Tensor) and leaf.requires_grad]
    generator = torch.Generator().manual_seed(seed)
    if outputs:
        loss = sum(
            ((o * torch.randn(o.shape, generator=generator)).sum() / o.shape[0] for o in outputs), torch.zeros(())
        )
        with told("in its backward pass"):
            watch.backward(loss)
    return judge(watch.layers)


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


class _Watch(TorchFunctionMode):
    """Notes the output of every layer, activation and normalisation, functional ones too."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.names = {id(part): name for name, part in module.named_modules()}
        self.stack: list[str] = []
        self.layers: list[LayerFlow] = []
        self.outputs: list[Tensor] = []

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
        name = getattr(func, "__name__", "")
        if name in _WEIGHTED | _ACTIVATIONS | _NORMS:
            first, rest = (out[0], out[1:]) if isinstance(out, tuple) else (out, None)
            self._note(name.rstrip("_"), first)
            if not any(first is argument for argument in args):  # what goes on in place must not change what was noted
                with torch._C.DisableTorchFunction():
                    own = first.clone()
                return own if rest is None else (own, *rest)
        return out

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


def _rms(values: Tensor) -> float:
    return float(values.detach().double().square().mean().sqrt()) if values.numel() else 0.0


# --- remedies -----------------------------------------------------------------------------------------------------

Change = Callable[[nn.Module], bool]
_LAYERS = (nn.Linear, nn.modules.conv._ConvNd)
_SWAPPED = (nn.Sigmoid, nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus)


class _Residual(nn.Module):
    """x + f(x) where the shapes allow it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return x + y if y.shape == x.shape else y


def _initialise(root: nn.Module) -> bool:
    """He (2015) before rectifiers, Glorot (2010) otherwise; biases 0."""
    rectified = any(isinstance(part, nn.ReLU | nn.LeakyReLU | nn.GELU | nn.SiLU | nn.ELU) for part in root.modules())
    layers = [part for part in root.modules() if isinstance(part, _LAYERS)]
    for layer in layers:
        if rectified:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        else:
            nn.init.xavier_normal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return bool(layers)


def _activate(make: Callable[[], nn.Module]) -> Change:
    def change(root: nn.Module) -> bool:
        kind = type(make())
        return _replace(
            root, lambda part: make() if isinstance(part, _SWAPPED) and not isinstance(part, kind) else None
        )

    return change


def _normalise(root: nn.Module) -> bool:
    """Batch-norm after every layer but the last."""
    layers = [part for part in root.modules() if isinstance(part, _LAYERS)]
    last = layers[-1] if layers else None

    def make(part: nn.Module) -> nn.Module | None:
        if part is last or not isinstance(part, _LAYERS):
            return None
        if isinstance(part, nn.Linear):
            return nn.Sequential(part, nn.BatchNorm1d(part.out_features))
        norm = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[len(part.kernel_size)]
        return nn.Sequential(part, norm(part.out_channels))

    return len(layers) > 1 and _replace(root, make)


def _bypass(root: nn.Module) -> bool:
    """A residual connection around every layer with what follows it up to the next one, in each `nn.Sequential`."""
    changed = False
    for parent in [part for part in root.modules() if type(part) is nn.Sequential]:
        blocks: list[list[nn.Module]] = []
        for child in parent:
            if isinstance(child, _LAYERS) or not blocks:
                blocks.append([])
            blocks[-1].append(child)
        if sum(isinstance(block[0], _LAYERS) for block in blocks) < 2:
            continue
        changed = True
        wrapped = [
            _Residual(nn.Sequential(*block)) if isinstance(block[0], _LAYERS) else nn.Sequential(*block)
            for block in blocks
        ]
        for name in list(parent._modules):
            del parent._modules[name]
        for i, block in enumerate(wrapped):
            parent.add_module(str(i), block)
    return changed


def _replace(root: nn.Module, make: Callable[[nn.Module], nn.Module | None]) -> bool:
    """Put `make(part)` in the place of every part for which it is not None; one object stays one object."""
    made: dict[int, nn.Module] = {}
    for parent in list(root.modules()):
        for name, child in list(parent._modules.items()):
            if child is None or id(parent) in {id(m) for m in made.values()}:
                continue
            new = made.get(id(child)) or make(child)
            if new is not None:
                made[id(child)] = new
                parent._modules[name] = new
    return bool(made)


REMEDIES: dict[str, tuple[Change, ...]] = {
    "initialisation": (_initialise,),
    "activation: tanh": (_activate(nn.Tanh),),
    "activation: ReLU": (_activate(nn.ReLU),),
    "activation: ReLU, with initialisation": (_activate(nn.ReLU), _initialise),
    "normalisation (batch-norm)": (_normalise,),
    "residual connections": (_bypass,),
}
"""Name: what is done to the copy, in order."""
