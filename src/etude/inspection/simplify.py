"""Layers that fold into one, or into nothing, with proof that the outputs agree."""

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from etude.inspection.failures import told
from etude.inspection.record import Call, Trace, is_library
from etude.inspection.trace import trace
from etude.inspection.twin import twin_of, undisturbed

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
NUM_SAMPLES = 1_000_000
"""Entries that a pair of dropouts is drawn on to compare it with the one that replaces it."""


@dataclass(frozen=True)
class Fold:
    """One simplification."""

    kind: str
    paths: tuple[str, ...]
    message: str
    when: str
    """always, or evaluation."""
    parameters_saved: int = 0


@dataclass(frozen=True)
class Simplification:
    """All folds that were found, and the network with those for evaluation applied."""

    folds: list[Fold]
    module: nn.Module
    """A copy in eval mode, folded, in float64 as it was compared."""
    difference: float
    """The largest difference of any output in float64, relative to the largest output; 0 when nothing was folded."""


def simplify(module: nn.Module, *inputs: Any, **keywords: Any) -> Simplification:
    """Find and apply what folds in a copy of `module`; every fold is checked on these inputs in float64.

    Only layers that are called once, one directly after the other, with nothing else using what is between.
    """
    record = trace(module, *inputs, awake=DROPOUTS, **keywords)
    pairs = _pairs(record)
    with undisturbed():
        before = twin_of(module).eval().double()
        after = twin_of(module).eval().double()
        folds: list[Fold] = []
        taken: set[str] = set()
        for first, second in pairs:
            if taken & {first.path, second.path}:
                continue
            fold = _fold(after, first, second)
            if fold:
                folds.append(fold)
                taken |= {first.path, second.path} if fold.kind not in ("dropouts", "commute") else set()
        for call in record.calls:
            if isinstance(call.module, (*DROPOUTS, nn.Identity)) and call.path and call.path not in taken:
                _put(after, call.path, nn.Identity())
                folds.append(
                    Fold(
                        "at rest",
                        (call.path,),
                        f"{call.path} ({type(call.module).__name__}) does nothing in evaluation.",
                        "evaluation",
                    )
                )
        return Simplification(folds, after, _difference(before, after, inputs, keywords))


def _pairs(record: Trace) -> list[tuple[Call, Call]]:
    """Library layers of which the second alone takes what the first gives."""
    leaves = [call for call in record.calls if is_library(call.module) and call.children == 0]
    times: dict[int, int] = {}
    for call in leaves:
        times[id(call.module)] = times.get(id(call.module), 0) + 1
    users: dict[Any, set[Any]] = {}
    for operation in record.operations:
        for value in operation.inputs:
            users.setdefault(value, set()).add(operation.call)
    found = []
    for first in leaves:
        for second in leaves:
            if first is second or not (first.outputs and second.inputs and first.outputs[0] is second.inputs[0]):
                continue
            value = first.outputs[0]
            alone = users.get(value, set()) <= {second} and value not in record.outputs and value not in first.inputs
            if alone and first.registered and times[id(first.module)] == times[id(second.module)] == 1:
                found.append((first, second))
    return found


def _fold(root: nn.Module, first: Call, second: Call) -> Fold | None:
    a, b = root.get_submodule(first.path), root.get_submodule(second.path)
    paths = (first.path, second.path)
    if isinstance(a, DROPOUTS) and type(a) is type(b):
        return _fold_dropouts(paths, a.p, b.p)  # type: ignore[union-attr,arg-type]
    if isinstance(a, nn.modules.conv._ConvNd | nn.Linear) and isinstance(b, nn.modules.batchnorm._BatchNorm):
        return _fold_norm(root, paths, a, b)
    if isinstance(a, nn.Linear) and isinstance(b, nn.Linear):
        return _fold_linear(root, paths, a, b)
    if isinstance(a, nn.ReLU | nn.Flatten) and type(a) is type(b):
        _put(root, second.path, nn.Identity())
        return Fold("twice", paths, f"{second.path} repeats {first.path}: {type(a).__name__} twice is once.", "always")
    if {type(a), type(b)} == {nn.Dropout, nn.ReLU}:
        return Fold(
            "commute",
            paths,
            f"{first.path} and {second.path} may change places: max(0, m·x) = m·max(0, x) for a mask m ≥ 0.",
            "always",
        )
    return None


def two_dropouts(p1: float, p2: float) -> Fraction:
    """The probability q = 1 - (1 - p1)(1 - p2) of the one dropout that two in a row are, exact in decimals."""
    return 1 - (1 - Fraction(str(p1))) * (1 - Fraction(str(p2)))


def _fold_dropouts(paths: tuple[str, str], p1: float, p2: float) -> Fold:
    q = two_dropouts(p1, p2)
    torch.manual_seed(0)
    ones = torch.ones(NUM_SAMPLES)
    pair = nn.functional.dropout(nn.functional.dropout(ones, p1), p2)
    one = nn.functional.dropout(ones, float(q))
    scaled = f"both scale by {float(1 / (1 - q)):.6g}, which keeps the expectation" if q < 1 else "nothing is left"
    return Fold(
        "dropouts",
        paths,
        f"{paths[0]} and {paths[1]} drop {p1:g} and {p2:g}: together one dropout of q = 1 - (1 - {p1:g})(1 - {p2:g}) = "
        f"{float(q):g}; {scaled}. Drawn {NUM_SAMPLES:,} "
        f"times: {float((pair == 0).double().mean()):.4f} dropped by the pair, "
        f"{float((one == 0).double().mean()):.4f} by the one; means {float(pair.mean()):.4f} and "
        f"{float(one.mean()):.4f}.",
        "always",
    )


def _fold_norm(root: nn.Module, paths: tuple[str, str], layer: Any, norm: Any) -> Fold | None:
    """γ(Wx + b - μ)/σ + β = (γ/σ)W x + (b - μ)γ/σ + β, channel by channel."""
    if norm.running_mean is None:
        return None
    scale = (norm.running_var + norm.eps).rsqrt() * (1 if norm.weight is None else norm.weight.detach())
    transposed = isinstance(layer, nn.modules.conv._ConvTransposeNd)
    if transposed and layer.groups > 1:
        return None
    bias = torch.zeros_like(scale) if layer.bias is None else layer.bias.detach()
    shape = [1, -1] if transposed else [-1, 1]
    with torch.no_grad():
        layer.weight.copy_(layer.weight * scale.view(*shape, *[1] * (layer.weight.dim() - 2)))
        new = (bias - norm.running_mean) * scale + (0 if norm.bias is None else norm.bias.detach())
        had_bias = layer.bias is not None
        layer.bias = nn.Parameter(new)
    _put(root, paths[1], nn.Identity())
    saved = sum(p.numel() for p in norm.parameters()) - (0 if had_bias else new.numel())
    extra = (
        f" In training the bias of {paths[0]} ({new.numel()} parameters) is useless: the norm subtracts it."
        if had_bias
        else ""
    )
    return Fold("norm", paths, f"{paths[1]} folds into {paths[0]} in evaluation.{extra}", "evaluation", saved)


def _fold_linear(root: nn.Module, paths: tuple[str, str], a: nn.Linear, b: nn.Linear) -> Fold:
    with torch.no_grad():
        product = nn.Linear(a.in_features, b.out_features, dtype=torch.float64)
        product.weight.copy_(b.weight @ a.weight)
        zero = torch.zeros(b.out_features, dtype=torch.float64)
        product.bias.copy_(
            (b.weight @ a.bias if a.bias is not None else zero) + (b.bias if b.bias is not None else zero)
        )
    saved = sum(p.numel() for layer in (a, b) for p in layer.parameters()) - sum(
        p.numel() for p in product.parameters()
    )
    _put(root, paths[0], product)
    _put(root, paths[1], nn.Identity())
    more = "saves" if saved >= 0 else "costs"
    return Fold(
        "linear", paths,
        f"{paths[0]} and {paths[1]} have nothing between them: one Linear({a.in_features}, {b.out_features}) does the "
        f"same and {more} {abs(saved):,} parameters.",
        "always", saved,
    )  # fmt: skip


def _put(root: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    root.get_submodule(parent)._modules[name] = module


def _difference(before: nn.Module, after: nn.Module, inputs: Any, keywords: Any) -> float:
    def run(module: nn.Module) -> list[Tensor]:
        own = tree_map(_double, (inputs, keywords))
        with told("in float64, which the proof needs"):
            out = module(*own[0], **own[1])
        return [leaf.detach() for leaf in tree_flatten(out)[0] if isinstance(leaf, Tensor)]

    pairs = [(a, b) for a, b in zip(run(before), run(after), strict=True) if prod(a.shape)]
    scale = max((float(a.abs().max()) for a, _ in pairs), default=1.0) or 1.0
    return max((float((a - b).abs().max()) for a, b in pairs), default=0.0) / scale


def _double(leaf: Any) -> Any:
    if isinstance(leaf, torch.Generator):
        return leaf.clone_state()
    return leaf.detach().double() if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf
