"""What a mismatch between two gradients looks like: the fault's name and where to look."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from torch import Tensor

RELATIVE, ABSOLUTE = 1e-5, 1e-8
"""Two numbers agree within RELATIVE of the larger one, or ABSOLUTE of the largest entry of their tensor."""


@dataclass(frozen=True)
class GradientEntry:
    """One entry of one tensor."""

    index: tuple[int, ...]
    autograd: float
    numerical: float
    kink: tuple[float, float] | None = None
    """The slopes to the left and to the right, where they differ."""
    jump: float = 0.0
    """The height of a step of the loss at this very point; 0 where it is continuous."""


def agree(a: float, b: float, scale: float) -> bool:
    """Whether two gradients of one entry agree; `scale` is the largest gradient of its tensor."""
    return difference(a, b, scale) <= RELATIVE


def difference(a: float, b: float, scale: float) -> float:
    """Of two numbers, relative to the larger one, or to a thousandth of `scale` where that is larger still."""
    return abs(a - b) / (max(abs(a), abs(b)) + ABSOLUTE / RELATIVE * max(scale, 1e-2))


def diagnose(entries: list[GradientEntry], values: Tensor, gradient: Tensor, *, batch_size: int) -> tuple[str, str]:
    """The name of the fault and a sentence on where to look; "ok", "kink", "jump" or "loss not finite" are none."""
    scale = max((abs(e.numerical) for e in entries), default=0.0)
    kinks = [e for e in entries if e.kink]
    smooth = [e for e in entries if not e.kink]
    bad = [e for e in smooth if not agree(e.autograd, e.numerical, max(scale, 1e-300))]
    if not bad:
        if jumps := [e for e in kinks if e.jump]:
            return "jump", (
                f"jump at {_at(jumps[0])}: the loss changes by {jumps[0].jump:.4g} at this very point; there is no "
                "gradient to compare with."
            )
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
        return "loss not finite", f"not finite: the loss itself is not finite near {_at(worst)}; no check is possible."
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
    smooth: list[GradientEntry],
    bad: list[GradientEntry],
    worst: GradientEntry,
    values: Tensor,
    gradient: Tensor,
    scale: float,
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
            "misplaced: the right numbers are in the wrong places; a permutation or reshape is not undone."
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


def _is_transposed(entries: list[GradientEntry], gradient: Tensor, scale: float) -> bool:
    if gradient.dim() != 2:
        return False
    swapped = gradient.T.reshape(gradient.shape)  # also for a matrix that was reshaped where it should be transposed
    other = gradient.reshape(gradient.T.shape).T
    return any(
        all(agree(float(candidate[e.index]), e.numerical, scale) for e in entries) for candidate in (swapped, other)
    )


def _at(entry: GradientEntry) -> str:
    return f"entry {entry.index}" if entry.index else "it"
