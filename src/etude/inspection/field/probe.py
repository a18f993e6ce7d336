"""What really reaches an output: the network is run on inputs with one position poisoned.

A NaN survives every sum, product, maximum and activation, so an output that turns NaN has read the poisoned position.
One row of the input (all channels, one position along one axis) is poisoned per pass. A gradient probe is only a lower
bound: a maximum passes its gradient to one tap. `torch.where` and `nan_to_num` absorb NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from etude.errors import UsageError
from etude.inspection.field.receptive_field import TensorReach
from etude.inspection.inspecting import Inspection
from etude.inspection.trace.failures import told
from etude.inspection.trace.twin import float64_by_default, precise, precise_twin, undisturbed

BATCH_NUMBERS = 2**24
"""About this many input numbers go through the network at once where `pixels` poisons every pixel alone."""


@dataclass(frozen=True)
class Probe:
    """Which input positions reach each output position along one axis, measured; bit i is input position i."""

    axis: int
    seen: tuple[int, ...] | None
    """By poison; one entry where the output has no positions along the axis; None when nothing came through."""
    seen_by_gradient: int | None
    """By the gradient of a random mixture of all outputs: a subset. None where autograd gives none."""
    derived: tuple[int, ...] | None
    """By the rules of `receptive_field`; None where they could not say."""

    @property
    def agrees(self) -> bool | None:
        """Whether rules and measurement agree for every output position; None when one of them is missing."""
        return None if self.seen is None or self.derived is None else self.seen == self.derived


def probe(
    inspection: Inspection,
    module: nn.Module,
    *inputs: Any,
    progress: Callable[[int, int], None] = lambda done, total: None,
    **keywords: Any,
) -> list[Probe]:
    """Measure the receptive field of the first output, along every axis that `inspection` follows.

    `progress` is called with the number of positions done and that of all.

    Runs a copy of `module` in eval mode in float64, one input position poisoned per pass. Raises a `UsageError` for
    inputs without positions.
    """
    fields = inspection.fields
    if fields.input is None or not fields.input.dtype.is_floating_point:
        raise UsageError(
            "a probe needs an input of real numbers with positions: (N, C, L), (N, C, H, W) or (N, C, D, H, W)."
        )
    if not inspection.trace.outputs:
        raise UsageError("a probe needs an output: the network returns no tensor.")
    state = fields.states.get(inspection.trace.outputs[0])
    which = inspection.trace.inputs.index(fields.input)
    with undisturbed():
        twin = precise_twin(module).eval()
        runner = _Runner(twin, inputs, keywords, which)
        total, found = sum(fields.input.shape[axis] for axis in fields.axes), []
        for k, axis in enumerate(fields.axes):
            derived = state.fields[k].seen if isinstance(state, TensorReach) else None
            dim = state.dim_of(k) if isinstance(state, TensorReach) else _same_dim(inspection, axis)
            before = sum(fields.input.shape[axis] for axis in fields.axes[:k])
            seen = runner.poisoned(axis, dim, lambda done, before=before: progress(before + done, total))
            found.append(Probe(axis, seen, runner.gradient(axis), derived))
        return found


def pixels(
    inspection: Inspection, module: nn.Module, *inputs: Any, layer: str, **keywords: Any
) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """The field of the middle position of a layer, pixel by pixel: what it reads, and how strongly.

    `layer` is a module's path. Returns bool (H, W) by poison; the gradient's magnitude summed over channels, float64
    (H, W), the largest 1; and the position (row, column) that was looked at. Only for images.
    """
    fields = inspection.fields
    assert fields.input is not None
    assert fields.axes == (2, 3), fields.axes
    which = inspection.trace.inputs.index(fields.input)
    with undisturbed():
        twin = precise_twin(module).eval()
        return _Runner(twin, inputs, keywords, which, layer).pixels()


def _same_dim(inspection: Inspection, axis: int) -> int | None:
    """Without a derived layout: an output of the input's rank is taken to keep its axes."""
    same = inspection.fields.input and len(inspection.trace.outputs[0].shape) == len(inspection.fields.input.shape)
    return axis if same else None


class _Runner:
    def __init__(
        self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], which: int, layer: str = ""
    ) -> None:
        self.module = module
        self.inner: Tensor | None = None
        if layer:
            module.get_submodule(layer).register_forward_hook(self._keep)
        leaves, self.spec = tree_flatten((inputs, keywords))
        self.leaves = [precise(leaf) for leaf in leaves]
        tensors = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        self.slot = tensors[which]
        self.input: Tensor = self.leaves[self.slot]
        # Finite, positive and different numbers, so that no ReLU or maximum hides a gradient everywhere.
        generator = torch.Generator().manual_seed(0)
        self.input = torch.rand(self.input.shape, generator=generator, dtype=torch.float64) + 0.5

    def run(self, x: Tensor) -> Tensor:
        copies = x.shape[0] // self.input.shape[0]
        leaves = [
            leaf.repeat(copies, *[1] * (leaf.dim() - 1))
            if copies > 1 and isinstance(leaf, Tensor) and leaf.dim() and leaf.shape[0] == self.input.shape[0] else leaf
            for leaf in self.leaves
        ]  # fmt: skip
        leaves[self.slot] = x
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, torch.Generator):
                leaves[i] = leaf.clone_state()
        inputs, keywords = tree_unflatten(leaves, self.spec)
        with float64_by_default(), told("on inputs of float64, some of them NaN, which the probe needs"):
            out = self.module(*inputs, **keywords)
        return next(leaf for leaf in tree_flatten(out)[0] if isinstance(leaf, Tensor))

    def poisoned(self, axis: int, dim: int | None, progress: Callable[[int], None]) -> tuple[int, ...] | None:
        """For each output position along `dim` the set of input positions along `axis` that reach it.

        One position a pass: a network may look across the batch.
        """
        rows: list[Tensor] = []
        with torch.no_grad():
            for i in range(self.input.shape[axis]):
                x = self.input.clone()
                x.select(axis, i).fill_(torch.nan)
                rows.append(_any_but(self.run(x).isnan()[None], None if dim is None else dim + 1))
                progress(i + 1)
        hit = torch.cat(rows)  # (input positions, output positions)
        if not hit.any():
            return None
        return tuple(sum(1 << i for i in column.nonzero().flatten().tolist()) for column in hit.T)

    def gradient(self, axis: int) -> int | None:
        x = self.input.clone().requires_grad_()
        with torch.enable_grad():
            out = self.run(x.clone())  # a leaf may not be written into
            generator = torch.Generator().manual_seed(1)
            weights = torch.randn(out.shape, generator=generator, dtype=torch.float64)
            try:
                (gradient,) = torch.autograd.grad((out * weights).sum(), x, allow_unused=True)
            except RuntimeError:  # detached, or changed in place
                return None
        if gradient is None:
            return 0
        hit = _any_but((gradient != 0)[None], axis + 1)[0]
        return sum(1 << i for i in hit.nonzero().flatten().tolist())

    def _keep(self, module: nn.Module, inputs: Any, result: Any) -> None:
        self.inner = next(leaf for leaf in tree_flatten(result)[0] if isinstance(leaf, Tensor))

    def _at_middle(self, x: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        out = self.run(x)
        out = self.inner if self.inner is not None else out  # (N, C, rows, columns), or (N, features)
        middle = tuple(size // 2 for size in out.shape[2:])
        return out[(slice(None), slice(None), *middle)], middle

    def pixels(self) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        one = self.input[:1].clone()
        with torch.enable_grad():
            chosen, middle = self._at_middle((x := one.clone().requires_grad_()).clone())
            (gradient,) = torch.autograd.grad(chosen.abs().sum(), x)
        strength = gradient[0].abs().sum(0)  # (H, W)
        count = strength.numel()
        at_once = max(1, min(count, BATCH_NUMBERS // (16 * one.numel())))
        hit = torch.zeros(count, dtype=torch.bool)
        with torch.no_grad():
            for start in range(0, count, at_once):
                chunk = range(start, min(start + at_once, count))
                x = one.repeat(len(chunk), 1, 1, 1)
                flat = x.view(len(chunk), one.shape[1], -1)
                for b, i in enumerate(chunk):
                    flat[b, :, i] = torch.nan
                hit[start : chunk.stop] = self._at_middle(x)[0].isnan().flatten(1).any(1)
        return hit.view(strength.shape), strength / strength.max().clamp_min(1e-300), middle


def _any_but(hit: Tensor, keep: int | None) -> Tensor:
    """(positions, ...) -> (positions, size of dimension `keep`), or (positions, 1): whether anything there is true."""
    if keep is None:
        return hit.flatten(1).any(1, keepdim=True)
    return hit.movedim(keep, 1).flatten(2).any(2) if hit.dim() > 2 else hit
