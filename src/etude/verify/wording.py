"""What the learner reads about a wrong answer: the reason on one line, and the simplest input on which it differs."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from etude.verify.contract import Check, Mistake
from etude.verify.observation import Observation, Refused
from etude.verify.trials import ROUNDING, Trial, equal, fits, predict

MOST_SHOWN = 12
"""Numbers of a tensor that a counter-example prints."""


def explanation(check: Check, mistakes: tuple[Mistake, ...], trials: list[Trial], wrong: Trial, seed: int) -> str:
    """The known mistakes as lines of mathematics, or else what can be said without them."""
    if mistakes:
        lines = "; ".join(f"yours: {each.yours}, right: {each.right}" for each in mistakes)
        if check.overflow in mistakes:
            if mistakes != (check.overflow,):
                return f"on ordinary inputs your output equals the first mistake, extreme ones overflow; {lines}."
            return f"right on ordinary inputs, wrong on extreme ones; {lines}."
        number = "this mistake" if len(mistakes) == 1 else "these mistakes"
        return f"your output equals {number} on every input tried ({len(trials)}); {lines}."
    if isinstance(wrong.seen, Refused):
        if wrong.seen.kind == "signature":
            return f"{wrong.seen} as {check.call}."
        return f"{wrong.seen}; call: {check.call}."
    expected = predict(check, (), wrong, seed)
    if isinstance(expected, Refused):
        return f"{expected}; call: {check.call}."
    if reason := next(_reasons(wrong.seen, expected), None):
        return f"{reason}; call: {check.call}."
    if factor := _constant_factor(check, trials, seed):
        return f"your output is {factor:.4g} times the right one on every input tried ({len(trials)})."
    different = sum(not fits(check, (), trial, seed) for trial in trials)
    return f"differs from the right answer on {different} of {len(trials)} inputs tried; no known mistake fits."


def _reasons(seen: Observation, expected: Observation) -> Iterator[str]:
    for name, right in expected.parts.items():
        given = seen.parts[name]
        what = "it" if name == "result" else name
        if given.shape != right.shape:
            yield f"{what} has shape {tuple(given.shape)}; expected {tuple(right.shape)}"
        elif given.isnan().any() and not right.isnan().any():
            yield f"{what} is NaN" if given.ndim == 0 else f"{what} holds NaN"
        elif _is_fact(right) and right and not given:
            yield f"this does not hold: {name}"


def _is_fact(part: Tensor) -> bool:
    """Whether it is a yes or no, named by what has to hold."""
    return part.dtype == torch.bool and part.ndim == 0


def _constant_factor(check: Check, trials: list[Trial], seed: int) -> float | None:
    factors: list[Tensor] = []
    for trial in trials:
        expected = predict(check, (), trial, seed)
        if isinstance(trial.seen, Refused) or isinstance(expected, Refused) or list(trial.seen.parts) != ["result"]:
            return None
        seen, right = trial.seen.parts["result"].double(), expected.parts["result"].double()
        if seen.shape != right.shape:
            return None
        factors.append((seen[right != 0] / right[right != 0]).flatten())
    every = torch.cat(factors)
    constant = every.numel() > 0 and torch.allclose(every, every[0], rtol=1e-4, atol=0.0) and every[0] != 0
    return every[0].item() if constant else None


def counterexample(check: Check, wrong: Trial, seed: int) -> str:
    """The input, and the first part that differs: what was given and what is right."""
    inputs = ", ".join(f"{name} = {_shown(value)}" for name, value in wrong.case.items())
    expected = predict(check, (), wrong, seed)
    if isinstance(wrong.seen, Refused) or isinstance(expected, Refused):
        return inputs
    rounding = ROUNDING[wrong.dtype]
    for name, right in expected.parts.items():
        given = wrong.seen.parts.get(name)
        if given is None or not equal(given, right, rounding, check.tolerance):
            if _is_fact(right) and right:
                return f"{inputs}: this does not hold: {name}"
            what = "" if name == "result" else f"{name} "
            if given is not None and given.shape == right.shape and right.numel() > MOST_SHOWN:
                gap = (given.double() - right.double()).abs().max().item()
                return f"{inputs}: {what or 'result '}off by up to {gap:.3g}"
            return f"{inputs}: {what}{_shown(given)}, right {_shown(right)}"
    return inputs


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        if value.numel() > MOST_SHOWN:
            return f"a tensor of shape {tuple(value.shape)}"
        return str(_rounded(value.tolist()))
    return str(_rounded(value))


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
