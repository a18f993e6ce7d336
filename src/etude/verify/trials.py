"""One input tried: what the learner's code showed on it, and whether the right answer or a mutant shows the same."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.verify.contract import Case, Check, Mistake
from etude.verify.observation import Observation, Refused

ROUNDING = {torch.float64: (1e-6, 1e-9), torch.float32: (1e-4, 1e-6)}
"""Relative and absolute difference that counts as equal."""


@dataclass(frozen=True)
class Trial:
    """One input tried and what it showed."""

    case: Case
    seen: Observation | Refused
    dtype: torch.dtype
    is_extreme: bool


def observe(check: Check, candidate: Any, case: Case, seed: int, *, is_extreme: bool = False) -> Trial:
    """In float64; in float32 for code that insists on it, whose reason is then the one to show."""
    try:
        return Trial(case, _run(check, candidate, case, None, seed, torch.float64), torch.float64, is_extreme)
    except Refused:
        try:
            seen = _run(check, candidate, case, None, seed, torch.float32)
        except Refused as error:
            seen = error
        return Trial(case, seen, torch.float32, is_extreme)


def _run(
    check: Check, candidate: Any, case: Case, seen: Observation | None, seed: int, dtype: torch.dtype
) -> Observation:
    own = seed if seen is None else seed + 1  # a mutant's draws are its own
    torch.default_generator.manual_seed(own)  # torch.manual_seed seeds accelerators too, slowly
    np.random.seed(own % 2**32)  # noqa: NPY002  learners' code draws from it
    random.seed(own)
    torch.set_default_dtype(dtype)
    return check.observe(candidate, case, seen)


def predict(check: Check, mistakes: tuple[Mistake, ...], trial: Trial, seed: int) -> Observation | Refused:
    """What the right answer with these mistakes shows on the trial's input."""
    seen = trial.seen if isinstance(trial.seen, Observation) else Observation({})
    try:
        return _run(check, check.mutant(*mistakes), trial.case, seen, seed, trial.dtype)
    except Refused as error:
        return error


def fits(
    check: Check,
    mistakes: tuple[Mistake, ...],
    trial: Trial,
    seed: int,
    rounding: tuple[float, float] | None = None,
) -> bool:
    """Whether the right answer with these mistakes shows the same, or refuses alike."""
    expected = predict(check, mistakes, trial, seed)
    if isinstance(expected, Refused) or isinstance(trial.seen, Refused):
        both = isinstance(expected, Refused) and isinstance(trial.seen, Refused)
        return both and expected.kind == trial.seen.kind  # pyright: ignore[reportAttributeAccessIssue]
    return trial.seen.parts.keys() == expected.parts.keys() == equal_parts(check, trial, expected, rounding)


def equal_parts(
    check: Check, trial: Trial, expected: Observation, rounding: tuple[float, float] | None = None
) -> set[str]:
    """The names of the parts that are as expected."""
    if isinstance(trial.seen, Refused):
        return set()
    seen, parts, rounding = trial.seen.parts, expected.parts, rounding or ROUNDING[trial.dtype]
    return {name for name in seen.keys() & parts.keys() if equal(seen[name], parts[name], rounding, check.tolerance)}


def agreeing_parts(check: Check, mistakes: tuple[Mistake, ...], trials: list[Trial], seed: int) -> set[str]:
    """The parts that are on every input as these mistakes would have them."""
    expected = [predict(check, mistakes, trial, seed) for trial in trials]
    return set.intersection(*(
        set() if isinstance(each, Refused) else equal_parts(check, trial, each)
        for trial, each in zip(trials, expected, strict=True)
    ))  # fmt: skip


def equal(seen: Tensor, expected: Tensor, rounding: tuple[float, float], tolerance: float) -> bool:
    """Equal to rounding, and to `tolerance` on top of it."""
    if seen.shape != expected.shape:
        return False
    if seen.dtype in (torch.float32, torch.float16, torch.bfloat16):
        rounding = max(rounding, ROUNDING[torch.float32])
    relative, absolute = rounding
    seen, expected = seen.detach().double(), expected.detach().double()
    return torch.allclose(seen, expected, rtol=relative, atol=absolute + tolerance, equal_nan=True)
