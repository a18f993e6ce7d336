"""Are the gradients right? Autograd against central differences in float64, and what a mismatch looks like.

The loss is a fixed random mixture of all outputs, so that no error cancels. A few entries of every input and every
parameter are moved, by steps from 1e-3 to 1e-6 where the first is not conclusive. Before every evaluation the random
states and buffers are put back, so that dropout draws the same mask and a spectral norm takes the same step.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from etude.errors import UsageError
from etude.inspection.failures import one_line, told
from etude.inspection.record import shape_text
from etude.inspection.twin import twin_of, undisturbed

STEPS = (1e-4, 1e-3, 1e-5, 1e-6)
"""Relative steps; the first is tried alone and believed when it agrees."""
RELATIVE, ABSOLUTE = 1e-5, 1e-8
"""Two numbers agree within RELATIVE of the larger one, or ABSOLUTE of the largest entry of their tensor."""


@dataclass(frozen=True)
class Entry:
    """One entry of one tensor."""

    index: tuple[int, ...]
    autograd: float
    numerical: float
    kink: tuple[float, float] | None = None
    """The slopes to the left and to the right, where they differ."""


@dataclass(frozen=True)
class Check:
    """The verdict on one input or parameter."""

    name: str
    shape: tuple[int, ...]
    fault: str
    """ok, kink (a note, not a mistake), or what a mismatch looks like: see `diagnose`."""
    message: str
    entries: list[Entry]

    @property
    def wrong(self) -> bool:
        """Whether this is a mistake."""
        return self.fault not in ("ok", "kink")

    @property
    def worst(self) -> float:
        """The largest difference of two numbers that should agree, by what `agree` allows for: up to 1e-5 is right."""
        scale = max((abs(e.autograd) for e in self.entries), default=0.0)
        found = (difference(e.autograd, e.numerical, scale) for e in self.entries if not e.kink)
        return max(found, key=lambda x: math.inf if math.isnan(x) else x, default=0.0)


def gradcheck(module: nn.Module, *inputs: Any, num_entries: int = 8, seed: int = 0, **keywords: Any) -> list[Check]:
    """Check the gradients of a copy of `module`, in its own mode, for its real inputs and trainable parameters.

    At most `num_entries` entries of each tensor are compared: the largest by autograd, and random ones. Raises a
    `UsageError` where there is nothing to compare, or the network cannot run in float64.
    """
    with undisturbed():
        checker = _Checker(twin_of(module).double(), inputs, keywords, seed)
        if text := checker.unstable():
            return [Check("the forward pass", (), "non-determinism", text, [])]
        if not math.isfinite(checker.at):
            text = f"not finite: the loss itself is {checker.at} at this input; no check is possible."
            return [Check("the forward pass", (), "not finite", text, [])]
        if checker.broken:
            text = f"autograd refuses: {checker.broken}."
            return [Check("the backward pass", (), "no backward pass", text, [])]
        return [checker.check(name, leaf, num_entries) for name, leaf in checker.leaves.items()]


class _Checker:
    def __init__(self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], seed: int) -> None:
        self.module, self.seed = module, seed
        self.inputs, self.keywords = tree_map(_double, (inputs, keywords))
        self.generator = torch.Generator().manual_seed(seed)
        tensors = [leaf for leaf in tree_flatten((self.inputs, self.keywords))[0] if isinstance(leaf, Tensor)]
        real = [leaf for leaf in tensors if leaf.is_floating_point()]
        self.batch_size = real[0].shape[0] if real and real[0].dim() else 1
        self.leaves = {f"input {i}" if len(real) > 1 else "input": leaf for i, leaf in enumerate(real)}
        self.leaves |= {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
        self.weights: list[Tensor] | None = None
        self.low_precision = ""
        self.broken = ""
        if not self.leaves:
            raise UsageError("nothing to check: no input holds real numbers, and no parameter is trainable.")
        loss = self.loss()
        if not self.weights:
            raise UsageError("nothing to check: the network returns no tensor of real numbers.")
        leaves = list(self.leaves.values())
        found: Sequence[Tensor | None] = [None] * len(leaves)
        if loss.requires_grad:
            try:
                found = torch.autograd.grad(loss, leaves, allow_unused=True)
            except RuntimeError as error:
                self.broken = one_line(error)
        self.gradients = dict(zip(self.leaves, found, strict=True))
        self.at = float(loss.detach())

    def loss(self) -> Tensor:
        """The fixed mixture of the outputs, from the same random state and buffers every time."""
        torch.manual_seed(self.seed)
        random.seed(self.seed)
        np.random.seed(self.seed)  # noqa: NPY002 (the module may draw from the global one)
        with torch.no_grad():
            for buffer, value in self.buffers:
                buffer.copy_(value)
        inputs, keywords = tree_map(_fresh, (self.inputs, self.keywords))
        # With autograd on, always: a network may differentiate inside, or look whether it is on.
        with torch.enable_grad(), told("in float64, which the gradient check needs"):
            out = self.module(*inputs, **keywords)
        outputs = [leaf for leaf in tree_flatten(out)[0] if isinstance(leaf, Tensor) and leaf.is_floating_point()]
        if self.weights is None:
            self.weights = [torch.randn(o.shape, generator=self.generator, dtype=torch.float64) for o in outputs]
            self.low_precision = next((str(o.dtype) for o in outputs if o.dtype != torch.float64), "")
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

    def check(self, name: str, leaf: Tensor, num_entries: int) -> Check:
        gradient = self.gradients[name]
        gradient = torch.zeros_like(leaf) if gradient is None else gradient
        entries = [self._entry(leaf, gradient, flat) for flat in self._sample(gradient, num_entries)]
        fault, message = diagnose(entries, leaf.detach(), gradient, batch_size=self.batch_size)
        if fault != "ok" and self.low_precision:
            fault = "precision"
            inside = self.low_precision.removeprefix("torch.")
            message = f"computes in {inside} whatever its inputs are; no check is possible."
        return Check(name, tuple(leaf.shape), fault, message, entries)

    def _sample(self, gradient: Tensor, count: int) -> list[int]:
        if gradient.numel() <= max(count, 16):
            return list(range(gradient.numel()))
        top = gradient.abs().nan_to_num(torch.inf).flatten().topk(count // 2).indices.tolist()
        rest = torch.randperm(gradient.numel(), generator=self.generator)[: count - len(top)].tolist()
        return list(dict.fromkeys(top + rest))

    def _entry(self, leaf: Tensor, gradient: Tensor, flat: int) -> Entry:
        index = tuple(int(i) for i in np.unravel_index(flat, leaf.shape)) if leaf.dim() else ()
        found = float(gradient.flatten()[flat])
        scale = float(gradient.abs().nan_to_num().max())
        with self._moved(leaf, flat) as at:
            h = STEPS[0] * max(1.0, abs(at.start))
            slope = (at(h) - at(-h)) / (2 * h)
            if agree(found, slope, scale):
                return Entry(index, found, slope)
            sweep = []
            for relative in STEPS:
                h = relative * max(1.0, abs(at.start))
                plus, minus = at(h), at(-h)
                sweep.append(((minus - self.at) / -h, (plus - self.at) / h, (plus - minus) / (2 * h)))
        central = [c for _, _, c in sweep]
        if (near := min(central, key=lambda c: abs(c - found))) and agree(found, near, scale):
            return Entry(index, found, near)
        left, right, slope = sweep[2]  # 1e-5: small enough for a kink to show, large enough for rounding not to
        (low, high), slack = sorted((left, right)), 1e-6 * scale
        if high - low > 1e-3 * max(abs(left), abs(right), scale) and low - slack <= found <= high + slack:
            return Entry(index, found, slope, (left, right))
        return Entry(index, found, slope)

    @contextmanager
    def _moved(self, leaf: Tensor, flat: int) -> Iterator["_Move"]:
        entries = leaf.detach().view(-1) if leaf.is_contiguous() else None
        assert entries is not None, "copies are contiguous"
        start = float(entries[flat])

        def loss_at(step: float) -> float:
            entries[flat] = start + step
            value = float(self.loss().detach())
            entries[flat] = start
            return value

        yield _Move(start, loss_at)


@dataclass(frozen=True)
class _Move:
    start: float
    loss_at: Callable[[float], float]

    def __call__(self, step: float) -> float:
        return self.loss_at(step)


def agree(a: float, b: float, scale: float) -> bool:
    """Whether two gradients of one entry agree; `scale` is the largest gradient of its tensor."""
    return difference(a, b, scale) <= RELATIVE


def difference(a: float, b: float, scale: float) -> float:
    """Of two numbers, relative to the larger one, or to a thousandth of `scale` where that is larger still."""
    return abs(a - b) / (max(abs(a), abs(b)) + ABSOLUTE / RELATIVE * max(scale, 1e-2))


def diagnose(entries: list[Entry], values: Tensor, gradient: Tensor, *, batch_size: int) -> tuple[str, str]:
    """The name of the fault and a sentence on where to look; ("ok" or "kink", …) when there is none."""
    scale = max((abs(e.numerical) for e in entries), default=0.0)
    kinks = [e for e in entries if e.kink]
    smooth = [e for e in entries if not e.kink]
    bad = [e for e in smooth if not agree(e.autograd, e.numerical, max(scale, 1e-300))]
    if not bad:
        if kinks:
            left, right = kinks[0].kink or (0.0, 0.0)
            return "kink", (
                f"kink at {_at(kinks[0])}: slope {left:.4g} to the left and {right:.4g} to the right, autograd takes "
                f"{kinks[0].autograd:.4g}; both are allowed."
            )
        return "ok", ""
    pairs = [(e.autograd, e.numerical) for e in smooth]
    moving = [(a, n) for a, n in pairs if abs(n) > 1e-6 * scale]
    worst = max(bad, key=lambda e: abs(e.autograd - e.numerical) if e.autograd == e.autograd else np.inf)
    if any(not np.isfinite(a) for a, _ in pairs):
        return "not finite", (
            f"not finite: autograd gives {worst.autograd} at {_at(worst)} where the loss is smooth or has an end "
            "(sqrt, norm or log at 0); add a small constant inside."
        )
    if any(not np.isfinite(n) for _, n in pairs):
        return "not finite", f"not finite: the loss itself is not finite near {_at(worst)}; no check is possible."
    if all(a == 0 for a, _ in pairs):
        return "detached", (
            "zero: autograd gives 0 everywhere, yet the loss depends on it; it is detached on the way (detach, .data, "
            "no_grad, item, a new tensor made of it)."
        )
    if scale <= 1e-6 * max(abs(a) for a, _ in pairs):
        return "unused value", (
            "numerically zero: moving it does not move the loss, yet autograd gives a gradient; a cached copy is used "
            "in its place, a rounding passes gradients straight through, or the check forgot to perturb it."
        )
    ratio = _constant([a / n for a, n in moving])
    if ratio is not None:
        return _name_ratio(ratio, batch_size, values)
    if _is_transposed(smooth, gradient, scale):
        return "transpose", "transposed: autograd's entry (j, i) is the right one for (i, j); transpose the gradient."
    return _less_simple(smooth, bad, worst, values, gradient, scale)


def _less_simple(
    smooth: list[Entry], bad: list[Entry], worst: Entry, values: Tensor, gradient: Tensor, scale: float
) -> tuple[str, str]:
    differences = [e.autograd - e.numerical for e in smooth]
    own = [float(values[e.index]) for e in smooth]
    penalty = _constant([d / v for d, v in zip(differences, own, strict=True) if abs(v) > 1e-9])
    if len(smooth) > 2 and penalty is not None:
        return "penalty", (
            f"differs by {penalty:.4g} × its own value: an L2 penalty or weight decay is in the gradient and not in "
            "the loss (or the other way round)."
        )
    offset = _constant(differences)
    if len(smooth) > 2 and offset is not None:
        return "offset", f"every entry is off by {offset:.4g}: a constant is added to the gradient."
    bound = max(abs(e.autograd) for e in smooth)
    right = [e for e in smooth if e not in bad]
    if right and len(bad) > 1 and all(
        abs(abs(e.autograd) - bound) <= 1e-9 * bound and abs(e.numerical) > bound and e.autograd * e.numerical > 0
        for e in bad
    ):  # fmt: skip
        return "clipped", f"clipped: entries beyond ±{bound:.4g} are cut off in the backward pass."
    if right and all(e.autograd == 0 for e in bad):
        return "partly zero", (
            f"partly zero: {len(bad)} of {len(smooth)} entries get no gradient though the loss depends on them "
            f"({_at(worst)} should be {worst.numerical:.4g}); a mask, an index or a slice loses them."
        )
    if gradient.numel() == len(smooth) > 2 and np.allclose(
        sorted(e.autograd for e in smooth), sorted(e.numerical for e in smooth), rtol=1e-5, atol=1e-8 * scale
    ):
        return "misplaced", (
            "misplaced: the right numbers stand in the wrong places; a permutation or reshape is not undone."
        )
    if all(abs(abs(e.autograd) - abs(e.numerical)) <= RELATIVE * abs(e.numerical) + ABSOLUTE * scale for e in smooth):
        return "sign", f"sign: some entries have the wrong sign ({_at(worst)} should be {worst.numerical:.4g})."
    return "mismatch", (
        f"wrong without a simple pattern: {len(bad)} of {len(smooth)} entries; {_at(worst)} is {worst.autograd:.4g} by "
        f"autograd and {worst.numerical:.4g} by differences. A term of the chain or product rule is missing."
    )


def _constant(numbers: list[float]) -> float | None:
    """The one value that all have within 1e-4, or None."""
    if not numbers:
        return None
    middle = float(np.median(numbers))
    return middle if middle and all(abs(x - middle) <= 1e-4 * abs(middle) for x in numbers) else None


def _name_ratio(ratio: float, batch_size: int, values: Tensor) -> tuple[str, str]:
    if abs(ratio + 1) < 1e-4:
        return "sign", "sign: autograd gives exactly the negative; the gradient's sign is flipped."
    whole = {float(batch_size): f"the batch size {batch_size}", float(values.numel()): f"its {values.numel()} entries"}
    for count, what in whole.items():
        if count > 2:
            if abs(ratio * count - 1) < 1e-4:
                return "ratio", f"constant ratio 1/{count:g}: divided once too often by {what} (mean for sum)."
            if abs(ratio / count - 1) < 1e-4:
                return "ratio", f"constant ratio {count:g}: a division by {what} is missing (sum for mean)."
    simple = Fraction(ratio).limit_denominator(64)
    close = abs(float(simple) - ratio) < 1e-5 * abs(ratio)
    missing = 1 / ratio
    text = str(simple) if close else f"{ratio:.6g}"
    factor = f"{Fraction(1) / simple}" if close else f"{missing:.6g}"
    return "ratio", f"constant ratio {text}: every entry must be multiplied by {factor}."


def _is_transposed(entries: list[Entry], gradient: Tensor, scale: float) -> bool:
    if gradient.dim() != 2:
        return False
    swapped = gradient.T.reshape(gradient.shape)  # also for a matrix that was reshaped where it should be transposed
    other = gradient.reshape(gradient.T.shape).T
    return any(
        all(agree(float(candidate[e.index]), e.numerical, scale) for e in entries) for candidate in (swapped, other)
    )


def _at(entry: Entry) -> str:
    return f"entry {entry.index}" if entry.index else "it"


def _double(leaf: Any) -> Any:
    if isinstance(leaf, Tensor) and leaf.is_floating_point():
        return leaf.detach().double().contiguous().clone().requires_grad_()
    return leaf


def _fresh(leaf: Any) -> Any:
    """An alias that an in-place operation may change, for a tensor; a generator in the state it was given in."""
    if isinstance(leaf, torch.Generator):
        return leaf.clone_state()
    return leaf.clone() if isinstance(leaf, Tensor) else leaf


def summary(checks: list[Check]) -> str:
    """One line: how many are right, or which are wrong."""
    wrong = [check.name for check in checks if check.wrong]
    if not any(check.entries for check in checks):
        return f"no gradient could be checked: mend {', '.join(wrong)}."
    if wrong:
        return f"{len(wrong)} of {len(checks)} gradients are wrong: {', '.join(wrong)}."
    entries = sum(len(check.entries) for check in checks)
    worst = max((check.worst for check in checks), default=0.0)
    agreeing = "the one gradient agrees" if len(checks) == 1 else f"all {len(checks)} gradients agree"
    return f"{agreeing} with central differences ({entries} entries, worst relative difference {worst:.1e})."


def shape_of(check: Check) -> str:
    """The shape for a table."""
    return shape_text(check.shape) if check.shape else ""
