"""Are the gradients right? Autograd against central differences in float64.

The loss is a fixed random mixture of all outputs, so that no error cancels. A few entries of every input and every
parameter are moved, by steps from 1e-3 to 1e-6 where the first is not conclusive; of complex numbers, the real and the
imaginary part. Before every evaluation the random states, buffers and frozen parameters are put back, so that dropout
draws the same mask. Spectral norm keeps its vectors, which its gradient takes for constants.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from etude.errors import UsageError
from etude.inspection.gradients.by_design import Casts, by_design, hold_power_iterations
from etude.inspection.gradients.faults import GradientEntry, agree, diagnose, difference
from etude.inspection.trace.failures import one_line, told
from etude.inspection.trace.outputs import tensors_in
from etude.inspection.trace.record import shape_text
from etude.inspection.trace.twin import float64_by_default, precise, precise_twin, undisturbed

STEPS = (1e-4, 1e-3, 1e-5, 1e-6)
"""Relative steps; the first is tried alone and believed when it agrees."""
BESIDE = 1e-2
"""How far all entries are moved to leave a point where values tie."""


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """The verdict on one input or parameter."""

    name: str
    shape: tuple[int, ...]
    fault: str
    """ok, kink or jump (notes, not mistakes), or what a mismatch looks like: see `diagnose`."""
    message: str
    entries: list[GradientEntry]
    checked: bool = True
    """False where no verdict is possible; the message says why."""

    @property
    def wrong(self) -> bool:
        """Whether this is a mistake."""
        return self.checked and self.fault not in ("ok", "kink", "jump")

    @property
    def worst(self) -> float:
        """The largest difference of two numbers that should agree, by what `agree` allows for: up to 1e-5 is right."""
        scale = max((abs(e.autograd) for e in self.entries), default=0.0)
        found = (difference(e.autograd, e.numerical, scale) for e in self.entries if not e.kink)
        return max(found, key=lambda x: math.inf if math.isnan(x) else x, default=0.0)

    def __repr__(self) -> str:
        numbers = f" ({len(self.entries)} entries, worst {self.worst:.1e})" if self.entries else ""
        return f"{self.name}: {self.message or 'ok'}{numbers}"


def gradcheck(
    module: nn.Module,
    *inputs: Any,
    num_entries: int = 8,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **keywords: Any,
) -> list[GradientCheck]:
    """Check the gradients of a copy of `module`, in its own mode, for its inputs and trainable parameters.

    At most `num_entries` entries of each tensor are compared: the largest by autograd, and random ones. `progress` is
    told after each entry how many are done and how many there are. Raises a `UsageError` where there is nothing to
    compare; what cannot be compared is a `GradientCheck` that says why.
    """
    with undisturbed():
        try:
            checker = _Checker(precise_twin(module), inputs, keywords, seed)
        except _NotInDouble as error:
            return [_unchecked("the forward pass", "precision", str(error))]
        if text := checker.unstable():
            return [_unchecked("the forward pass", "non-determinism", text)]
        if not math.isfinite(checker.at):
            text = f"not finite: the loss itself is {checker.at} at this input; no check is possible."
            return [_unchecked("the forward pass", "not finite", text)]
        if checker.broken:
            return [_unchecked("the backward pass", "no backward pass", f"autograd refuses: {checker.broken}.")]
        chosen = {name: checker.sample(name, num_entries) for name in checker.leaves}
        done, total = 0, sum(map(len, chosen.values()))
        found = []
        for name, entries in chosen.items():

            def moved(count: int, before: int = done) -> None:
                if progress:
                    progress(before + count, total)

            found.append(checker.check(name, entries, moved))
            done += len(entries)
        return found


def _unchecked(name: str, fault: str, message: str, shape: tuple[int, ...] = ()) -> GradientCheck:
    return GradientCheck(name, shape, fault, message, [], checked=False)


class _NotInDouble(UsageError):
    """The network does not run in float64."""


class _Checker:
    def __init__(self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], seed: int) -> None:
        self.module, self.seed = module, seed
        self.inputs, self.keywords = tree_map(_leaf, (inputs, keywords))
        self.generator = torch.Generator().manual_seed(seed)
        tensors = [leaf for leaf in tree_flatten((self.inputs, self.keywords))[0] if isinstance(leaf, Tensor)]
        real = [leaf for leaf in tensors if leaf.requires_grad]
        self.batch_size = real[0].shape[0] if real and real[0].dim() else 1
        self.leaves = {f"input {i}" if len(real) > 1 else "input": leaf for i, leaf in enumerate(real)}
        self.leaves |= {name: p for name, p in module.named_parameters() if p.requires_grad}
        frozen = {name: p for name, p in module.named_parameters() if not p.requires_grad}
        self.state = {name: (t, t.clone()) for name, t in (dict(module.named_buffers()) | frozen).items()}
        hold_power_iterations(module)
        self.skipped, self.by_design = by_design(module)
        self.weights: list[Tensor] | None = None
        self.low_precision = ""
        self.broken = ""
        if not self.leaves:
            raise UsageError("nothing to check: no input holds real numbers, and no parameter is trainable.")
        with Casts() as casts:
            loss = self.loss()
        self.low_precision = casts.dtype
        if not self.weights:
            raise UsageError("nothing to check: the network returns no tensor of real numbers.")
        leaves = list(self.leaves.values())
        found: Sequence[Tensor | None] = [None] * len(leaves)
        if loss.requires_grad:
            try:
                found = torch.autograd.grad(loss, leaves, allow_unused=True)
            except RuntimeError as error:
                self.broken = one_line(error)
        self.gradients = {
            name: torch.zeros_like(leaf) if gradient is None else gradient
            for (name, leaf), gradient in zip(self.leaves.items(), found, strict=True)
        }
        self.at = float(loss.detach())

    def loss(self) -> Tensor:
        """The fixed mixture of the outputs, from the same random state, buffers and frozen parameters every time."""
        torch.manual_seed(self.seed)
        random.seed(self.seed)
        np.random.seed(self.seed)  # noqa: NPY002 (the module may draw from the global one)
        with torch.no_grad():
            for tensor, value in self.state.values():
                tensor.copy_(value)
        inputs, keywords = tree_map(_fresh, (self.inputs, self.keywords))
        try:
            # With autograd on, always: a network may differentiate inside, or look whether it is on.
            with torch.enable_grad(), float64_by_default(), told("in float64, which the gradient check needs"):
                out = self.module(*inputs, **keywords)
        except UsageError as error:
            raise _NotInDouble(str(error)) from error
        outputs = [_real(leaf) for leaf in tensors_in(out) if leaf.is_floating_point() or leaf.is_complex()]
        if self.weights is None:
            self.weights = [torch.randn(o.shape, generator=self.generator, dtype=torch.float64) for o in outputs]
        with torch.enable_grad():
            mixed = ((w * o).sum() for w, o in zip(self.weights, outputs, strict=True))
            return sum(mixed, torch.zeros((), dtype=torch.float64))

    def unstable(self) -> str:
        values = {float(self.loss().detach()) for _ in range(3)} | {self.at}
        if len(values) == 1 or all(v != v for v in values):
            return ""
        return (
            f"non-determinism: equal inputs, weights and random states gave {len(values)} losses, "
            f"{max(values) - min(values):.2g} apart; it counts its calls, keeps state or draws from a "
            "generator of its own. "
            "Make it depend on its inputs only."
        )

    def check(self, name: str, entries: list[int], moved: Callable[[int], None]) -> GradientCheck:
        """The verdict on some entries of one leaf; `moved` is called with the number done."""
        leaf, gradient = _real(self.leaves[name]), _real(self.gradients[name])
        shape = tuple(self.leaves[name].shape)
        if name in self.by_design:
            return _unchecked(name, "by design", self.by_design[name], shape)
        found = []
        try:
            for count, flat in enumerate(entries, 1):
                found.append(self._entry(leaf, gradient, flat))
                moved(count)
            fault, message = diagnose(found, leaf.detach(), gradient, batch_size=self.batch_size)
            if fault not in ("ok", "kink", "jump", "not finite") and (beside := self._corner(name, entries)):
                found, fault = beside, "kink"
                message = f"kink: several entries tie at this very point; {BESIDE:g} beside it all agree."
            moving = self._moving(leaf, gradient) if fault not in ("ok", "kink", "jump") else ""
        except Exception as error:
            return _unchecked(name, "not checked", f"not checked: {one_line(error)}.", shape)
        if moving:
            return _unchecked(name, "state", (
                f"not checked: every pass writes {moving}, which depends on it without a gradient; if that is meant "
                "(a power iteration, an average), check in eval mode."
            ), shape)  # fmt: skip
        if fault != "ok" and self.low_precision:
            message = f"not checked: computes in {self.low_precision} whatever its inputs are."
            return GradientCheck(name, shape, "precision", message, found, checked=False)
        return GradientCheck(name, shape, fault, message, found, checked=fault != "loss not finite")

    def _corner(self, name: str, entries: list[int]) -> list[GradientEntry]:
        """The entries beside this point, where its slope changes as where values tie, and autograd's is right there."""
        leaf, at = _real(self.leaves[name]).detach(), self.at
        start, direction = leaf.clone(), torch.randn(leaf.shape, generator=self.generator, dtype=torch.float64)

        def moved(step: float) -> Tensor:
            leaf.copy_(start + step * direction)
            return self.loss()

        try:
            left, right = ((float(moved(h).detach()) - at) / h for h in (-STEPS[2], STEPS[2]))
            if abs(left - right) <= 1e-3 * max(abs(left), abs(right)):
                return []
            loss = moved(BESIDE)
            self.at = float(loss.detach())
            (gradient,) = torch.autograd.grad(loss, self.leaves[name], allow_unused=True)
            if gradient is None:
                return []
            beside = [self._entry(leaf, _real(gradient), flat) for flat in entries]
            fault, _ = diagnose(beside, leaf, _real(gradient), batch_size=self.batch_size)
            return beside if fault == "ok" else []
        finally:
            leaf.copy_(start)
            self.at = at

    def _moving(self, leaf: Tensor, gradient: Tensor) -> str:
        """The state that a pass writes, differently when the leaf is moved, and reads: not averages kept for later."""

        def after(step: float) -> dict[str, Tensor]:
            at(step)
            return {name: tensor.clone() for name, (tensor, _) in self.state.items()}

        with self._moved(leaf, int(gradient.abs().nan_to_num().argmax())) as at:
            plus, minus = after(STEPS[0]), after(-STEPS[0])
        written = [name for name in self.state if not torch.equal(plus[name], minus[name])]
        return ", ".join(name for name in written if self._reads(name))

    def _reads(self, name: str) -> bool:
        """Whether the loss depends on what this state was before the pass."""
        tensor, value = self.state[name]
        self.state[name] = (tensor, value + torch.linspace(0.1, 1, value.numel()).view(value.shape).to(value.dtype))
        changed = float(self.loss().detach()) != self.at
        self.state[name] = (tensor, value)
        return changed

    def sample(self, name: str, count: int) -> list[int]:
        """Which entries of a leaf are compared; of complex numbers, real and imaginary parts count each."""
        gradient = _real(self.gradients[name])
        allowed = torch.ones(gradient.shape, dtype=torch.bool)
        if name in self.skipped:
            allowed[self.skipped[name]] = False
        among = allowed.flatten().nonzero().flatten()
        if len(among) <= max(count, 16):
            return among.tolist()
        sizes = gradient.abs().nan_to_num(torch.inf).flatten()[among]
        top = among[sizes.topk(count // 2).indices].tolist()
        rest = among[torch.randperm(len(among), generator=self.generator)[: count - len(top)]].tolist()
        return list(dict.fromkeys(top + rest))

    def _entry(self, leaf: Tensor, gradient: Tensor, flat: int) -> GradientEntry:
        index = tuple(int(i) for i in np.unravel_index(flat, leaf.shape)) if leaf.dim() else ()
        found = float(gradient.flatten()[flat])
        scale = float(gradient.abs().nan_to_num().max())
        with self._moved(leaf, flat) as at:
            h = STEPS[0] * max(1.0, abs(at.start))
            slope = (at(h) - at(-h)) / (2 * h)
            if agree(found, slope, scale):
                return GradientEntry(index, found, slope)
            sweep, heights = [], []
            for relative in STEPS:
                h = relative * max(1.0, abs(at.start))
                plus, minus = at(h), at(-h)
                sweep.append(((minus - self.at) / -h, (plus - self.at) / h, (plus - minus) / (2 * h)))
                heights.append(max(abs(plus - self.at), abs(minus - self.at)))
        central = [c for _, _, c in sweep]
        if (near := min(central, key=lambda c: abs(c - found))) and agree(found, near, scale):
            return GradientEntry(index, found, near)
        left, right, slope = sweep[2]  # 1e-5: small enough for a kink to show, large enough for rounding not to
        if heights[3] > 0.5 * heights[0] and heights[3] > 1e-9 * max(1.0, abs(self.at)):
            return GradientEntry(
                index, found, slope, (left, right), heights[3]
            )  # a hundredth of the step, the same change
        (low, high), slack = sorted((left, right)), 1e-6 * scale
        if high - low > 1e-3 * max(abs(left), abs(right), scale) and low - slack <= found <= high + slack:
            return GradientEntry(index, found, slope, (left, right))
        return GradientEntry(index, found, slope)

    @contextmanager
    def _moved(self, leaf: Tensor, flat: int) -> Iterator["_Move"]:
        entries = leaf.detach()
        index = np.unravel_index(flat, leaf.shape) if leaf.dim() else ()
        start = float(entries[index])

        def loss_at(step: float) -> float:
            entries[index] = start + step
            try:
                return float(self.loss().detach())
            finally:
                entries[index] = start

        yield _Move(start, loss_at)


@dataclass(frozen=True)
class _Move:
    start: float
    loss_at: Callable[[float], float]

    def __call__(self, step: float) -> float:
        return self.loss_at(step)


def _leaf(value: Any) -> Any:
    value = precise(value)
    if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
        return value.clone().requires_grad_()
    return value


def _real(tensor: Tensor) -> Tensor:
    """Complex numbers as pairs along a last axis: autograd's gradient of z is ∂L/∂Re z + i ∂L/∂Im z."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def _fresh(leaf: Any) -> Any:
    """An alias that an in-place operation may change, for a tensor; a generator in the state it was given in."""
    if isinstance(leaf, torch.Generator):
        return leaf.clone_state()
    return leaf.clone() if isinstance(leaf, Tensor) else leaf


def summary(checks: list[GradientCheck]) -> str:
    """One line: how many are right, which are wrong, which could not be checked."""
    wrong = [check.name for check in checks if check.wrong]
    unchecked = [check for check in checks if not check.checked]
    right = [check for check in checks if check.checked and not check.wrong]
    if len(unchecked) == len(checks):
        if checks[0].name == "the backward pass":
            return "no gradient could be checked: mend the backward pass."
        return f"no gradient could be checked: {checks[0].message.removeprefix('not checked: ')}"
    left = (
        f" {len(unchecked)} could not be checked: {', '.join(check.name for check in unchecked)}." if unchecked else ""
    )
    if wrong:
        return f"{len(wrong)} of {len(checks)} gradients are wrong: {', '.join(wrong)}.{left}"
    entries = sum(len(check.entries) for check in right)
    worst = max((check.worst for check in right), default=0.0)
    agreeing = "the one gradient agrees" if len(checks) == 1 else f"all {len(checks)} gradients agree"
    if unchecked:
        agreeing = f"{len(right)} of {len(checks)} gradients agree"
    return f"{agreeing} with central differences ({entries} entries, worst relative difference {worst:.1e}).{left}"


def shape_of(check: GradientCheck) -> str:
    """The shape for a table."""
    return shape_text(check.shape) if check.shape else ""
