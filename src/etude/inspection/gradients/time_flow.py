"""Time is depth: how far back a gradient reaches in recurrent layers, and in layers that a loop calls again and again.

The gradient is that of a fixed random mixture of the last step alone: with a loss at every step, near ones would hide
that far ones teach nothing. Sources: Bengio et al. 1994, Pascanu et al. 2013.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

VANISHING, EXPLODING = 1e-3, 1e3
"""The gradient at the first place over that at the last: outside these bounds it vanishes or explodes."""
LEAST_STEPS = 3


@dataclass(frozen=True)
class TimeFlow:
    """The gradient of the last step with respect to every step of one layer."""

    path: str
    op: str
    gradients: list[float | None]
    """Root mean square by step: of the input of a recurrent layer, of the state or output of what a loop calls. None
    where the graph was cut."""

    @property
    def steps(self) -> int:
        """How many."""
        return len(self.gradients)

    @property
    def reach(self) -> int:
        """The first step, from 1, that a gradient reaches."""
        return next((i for i, gradient in enumerate(self.gradients, 1) if gradient), self.steps)

    @property
    def ratio(self) -> float:
        """The gradient at the first step over that at the last; 0 where none arrives."""
        first, last = self.gradients[0] or 0.0, self.gradients[-1] or 0.0
        return first / last if last else math.nan

    @property
    def per_step(self) -> float:
        """The factor per step, geometric mean over the steps that a gradient reaches."""
        first, last = self.gradients[self.reach - 1], self.gradients[-1]
        return (first / last) ** (1 / max(self.steps - self.reach, 1)) if first and last else 0.0

    @property
    def verdict(self) -> str:
        """healthy, vanishing, exploding, cut off (a detached state), or not finite."""
        if any(gradient is not None and not math.isfinite(gradient) for gradient in self.gradients):
            return "not finite"
        if None in self.gradients:
            return "cut off"
        return "vanishing" if not self.ratio >= VANISHING else "exploding" if self.ratio > EXPLODING else "healthy"

    @property
    def message(self) -> str:
        """The verdict in a sentence."""
        what = f"{self.path or 'the network'} ({self.op}), {self.steps} steps"
        if self.verdict == "not finite":
            return f"not finite over time: {what}: gradients overflow."
        if self.verdict == "cut off":
            return (
                f"cut off over time: {what}: the gradient of step {self.steps} reaches back to step {self.reach}; "
                "before it the state is detached (truncated backpropagation, if that is meant)."
            )
        if self.ratio == 0:
            return (
                f"vanishing over time: {what}: the gradient of step {self.steps} is 0 before step {self.reach}, "
                f"{self.per_step:.2g} a step until there."
            )
        return (
            f"{self.verdict} over time: {what}: the gradient changes {self.ratio:.2g}-fold from the last step to the "
            f"first, {self.per_step:.2g} a step."
        )


@dataclass(frozen=True)
class Recurrence:
    """One call of PyTorch's `lstm`, `gru`, `rnn_tanh` or `rnn_relu`, as it was made."""

    path: str
    op: str
    func: Callable[..., Any]
    args: tuple[Any, ...]


def through_recurrence(call: Recurrence, generator: torch.Generator) -> TimeFlow | None:
    """The layer is run once more, alone and in float64; of a packed batch, the sequences of full length."""
    args = list(tree_map(lambda x: x.detach().double() if _is_real(x) else x, call.args))
    if isinstance(args[1], Tensor) and not _is_real(args[1]):
        data, sizes, hidden = args[:3]
        full, starts = int(sizes[-1]), [0, *sizes.cumsum(0)[:-1].tolist()]
        x = torch.stack([data[start : start + full] for start in starts])  # (steps, full, features)
        args = [x, tree_map(lambda h: h[:, :full].contiguous(), hidden), *args[3:], False]
    bidirectional, batch_first = args[7], args[8]
    if args[0].dim() != 3 or args[0].shape[int(batch_first)] < LEAST_STEPS:
        return None
    args[0] = args[0].clone().requires_grad_()
    with torch.enable_grad():
        out = call.func(*args)[0].movedim(int(batch_first), 0)  # (steps, batch, features)
        last = out[-1]
        if bidirectional:  # the other direction ends at the first step
            last = last[..., : last.shape[-1] // 2]
        weights = torch.randn(last.shape, generator=generator, dtype=torch.float64)
        (gradient,) = torch.autograd.grad((last * weights).sum() / len(last), args[0])
    by_step = gradient.movedim(int(batch_first), 0).flatten(1)
    return TimeFlow(call.path, call.op, by_step.square().mean(1).sqrt().tolist())


def through_calls(
    path: str, op: str, states: Sequence[tuple[Tensor, ...]], generator: torch.Generator
) -> TimeFlow | None:
    """Of a layer called in a loop: `states` are its outputs call by call. None where no call depends on one before."""
    if len(states) < LEAST_STEPS or not states[-1][0].requires_grad:
        return None
    last = states[-1][0]
    loss = (last * torch.randn(last.shape, generator=generator)).sum() / max(len(last), 1)
    wanted = [tensor for state in states for tensor in state if tensor.requires_grad]
    found = torch.autograd.grad(loss, wanted, retain_graph=True, allow_unused=True)
    gradients = dict(zip(map(id, wanted), found, strict=True))
    by_step = [[g for t in state if (g := gradients.get(id(t))) is not None] for state in states]
    if not any(by_step[:-1]):
        return None
    return TimeFlow(path, op, [_rms(parts) if parts else None for parts in by_step])


def _rms(parts: list[Tensor]) -> float:
    flat = torch.cat([part.detach().double().flatten() for part in parts])
    return float(flat.square().mean().sqrt()) if flat.numel() else 0.0


def _is_real(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
