"""The judge: tries generated inputs on the learner's code and names the mistakes that explain what it saw.

A check passes if every observation equals the right answer's. If not, the mutants are asked, one at a time and then in
pairs: those that give the learner's observation on every input tried are the diagnosis.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed
from torch import Tensor

from etude.verify.contract import Case, Check, CheckResult, Mistake
from etude.verify.observation import Observation, Refused, Undecided

EXAMPLES = 25
"""Generated inputs per check."""
SHRINK_SECONDS = 0.5
"""Processor time for making a counter-example simpler."""
ROUNDING = {torch.float64: (1e-6, 1e-9), torch.float32: (1e-4, 1e-6)}
"""Relative and absolute difference that counts as equal."""
ROUGH = (1e-2, 1e-3)
"""The same for telling a formula that merely overflows from one that is wrong."""
MOST_SHOWN = 12
"""Numbers of a tensor that a counter-example prints."""


@dataclass(frozen=True)
class Trial:
    """One input tried and what it showed."""

    case: Case
    seen: Observation | Refused
    dtype: torch.dtype
    is_extreme: bool


class _Found(Exception):
    """A generated input on which the learner's code differs."""


class _TimeIsUp(BaseException):
    """The search for a simpler counter-example has taken long enough."""


def judge(check: Check, candidate: Any, *, seed: int = 0) -> CheckResult:
    """The verdict on `candidate`, with inputs and random draws that `seed` determines."""
    with _own_random_state():
        result = _judge_once(check, candidate, seed)
        if result.status != "wrong":
            return result
        if check.is_random:  # a right sampler fails once in a million, twice never
            again = _judge_once(check, candidate, seed + 2**31)
            result = again if again.status == "pass" else result
        if check.other_form and not (result.mistake and _is_wrong_on_extremes(check.in_other_form(), candidate, seed)):
            # Right if it is right in one form; else the form in which the mistake is known.
            other = _judge_once(check.in_other_form(), candidate, seed)
            result = other if other.status == "pass" or (other.mistake and not result.mistake) else result
        return _by_convention(check, candidate, seed, result)


def _by_convention(check: Check, candidate: Any, seed: int, result: CheckResult) -> CheckResult:
    """The verdict by the convention that fits best: the candidate is right, or the fewest mistakes explain it."""
    for convention in check.conventions:
        if result.mistake and " + " not in result.mistake:
            break
        other = _judge_once(check.by(convention), candidate, seed)
        if other.status == "pass":
            return replace(other, message=f"note: {convention.note}.")
        if other.mistake and (not result.mistake or " + " not in other.mistake):
            result = replace(other, message=f"{other.message} Read by a convention: {convention.note}.")
    return result


def _is_wrong_on_extremes(check: Check, candidate: Any, seed: int) -> bool:
    """The short way to tell that it does not pass."""
    try:
        return not all(_fits(check, (), _observe(check, candidate, case, seed), seed) for case in check.extremes)
    except Undecided:
        return True


def _judge_once(check: Check, candidate: Any, seed: int) -> CheckResult:
    try:
        trials, wrong = _try_inputs(check, candidate, seed)
    except Undecided as error:
        return CheckResult(name=check.name, status="undecided", message=f"could not judge: {error}")
    if wrong is None:
        notes = [trial.seen.note for trial in trials if isinstance(trial.seen, Observation) and trial.seen.note]
        message = f"note: {notes[0]}." if notes else ""
        return CheckResult(name=check.name, status="pass", message=message, points=check.points)
    mistakes = explain(check, trials, seed)
    return CheckResult(
        name=check.name,
        status="wrong",
        mistake=" + ".join(each.name for each in mistakes) or None,
        message=_message(check, mistakes, trials, wrong, seed),
        counterexample=_counterexample(check, wrong, seed),
    )


def _try_inputs(check: Check, candidate: Any, seed: int) -> tuple[list[Trial], Trial | None]:
    """Every input tried, and the simplest on which the candidate differs from the right answer."""
    trials: list[Trial] = []
    wrong: Trial | None = None
    seeded = check.seeded(1000 * (seed % 10**6))  # neighbouring seeds share no number; none is too large for PyTorch
    for case, is_extreme in (*((case, True) for case in check.extremes), *((case, False) for case in seeded)):
        trials.append(_observe(check, candidate, case, seed, is_extreme=is_extreme))
        if wrong is None and not _fits(check, (), trials[-1], seed):
            wrong = trials[-1]
    if check.inputs is None:
        return trials, wrong

    found_at, simplest = None, None

    @hypothesis_seed(seed)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
        phases=[Phase.generate, Phase.shrink],
    )
    @given(check.inputs)
    def search(case: Case) -> None:
        nonlocal found_at, simplest
        if found_at is not None and time.process_time() - found_at > SHRINK_SECONDS:
            raise _TimeIsUp
        trials.append(_observe(check, candidate, case, seed))
        if not _fits(check, (), trials[-1], seed):
            found_at = found_at or time.process_time()
            simplest = trials[-1]
            raise _Found

    try:
        search()
    except (_Found, _TimeIsUp):
        wrong = simplest
    return trials, wrong


def explain(check: Check, trials: list[Trial], seed: int = 0) -> tuple[Mistake, ...]:
    """The fewest known mistakes that give what was seen on every input; none if no known ones do."""
    singles = [(each,) for each in check.mistakes]
    pairs = [pair for pair in combinations(check.mistakes, 2) if _combine(*pair)]
    # Inputs of the last trials are the simplest, and the right answer is wrong there: most mutants fail at once.
    for mistakes in (*singles, *pairs):
        if all(_fits(check, mistakes, trial, seed) for trial in reversed(trials)):
            return mistakes
    if mistakes := _one_for_each_part(check, trials, seed):
        return mistakes
    ordinary = [trial for trial in trials if not trial.is_extreme]
    if check.overflow and ordinary:
        for mistakes in ((), *singles):
            if all(_fits(check, mistakes, trial, seed, ROUGH) for trial in reversed(ordinary)):
                return (*mistakes, check.overflow)
    return ()


def _combine(*mistakes: Mistake) -> bool:
    """Whether they change different switches."""
    switches = [switch for each in mistakes for switch in each.changes]
    return len(set(switches)) == len(switches)


def _one_for_each_part(check: Check, trials: list[Trial], seed: int) -> tuple[Mistake, ...]:
    """A mistake for each part that is wrong, if together they give what was seen: modes and results go wrong apart."""
    wrong = set[str]().union(*(trial.seen.parts for trial in trials if isinstance(trial.seen, Observation)))
    wrong -= _agreeing(check, (), trials, seed)
    if len(wrong) < 3:  # pairs have been tried
        return ()
    agreeing = [(each, _agreeing(check, (each,), trials, seed)) for each in check.mistakes]
    choices = [[each for each, parts in agreeing if part in parts] for part in sorted(wrong)]
    for chosen in product(*choices):
        mistakes = tuple(each for each in check.mistakes if each in chosen)
        if _combine(*mistakes) and all(_fits(check, mistakes, trial, seed) for trial in trials):
            return mistakes
    return ()


def _observe(check: Check, candidate: Any, case: Case, seed: int, *, is_extreme: bool = False) -> Trial:
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


def _fits(
    check: Check,
    mistakes: tuple[Mistake, ...],
    trial: Trial,
    seed: int,
    rounding: tuple[float, float] | None = None,
) -> bool:
    expected = predict(check, mistakes, trial, seed)
    if isinstance(expected, Refused) or isinstance(trial.seen, Refused):
        both = isinstance(expected, Refused) and isinstance(trial.seen, Refused)
        return both and expected.kind == trial.seen.kind  # pyright: ignore[reportAttributeAccessIssue]
    return trial.seen.parts.keys() == expected.parts.keys() == _equal_parts(check, trial, expected, rounding)


def _agreeing(check: Check, mistakes: tuple[Mistake, ...], trials: list[Trial], seed: int) -> set[str]:
    """The parts that are on every input as these mistakes would have them."""
    expected = [predict(check, mistakes, trial, seed) for trial in trials]
    return set.intersection(*(
        set() if isinstance(each, Refused) else _equal_parts(check, trial, each)
        for trial, each in zip(trials, expected, strict=True)
    ))  # fmt: skip


def _equal_parts(
    check: Check, trial: Trial, expected: Observation, rounding: tuple[float, float] | None = None
) -> set[str]:
    if isinstance(trial.seen, Refused):
        return set()
    seen, parts, rounding = trial.seen.parts, expected.parts, rounding or ROUNDING[trial.dtype]
    return {name for name in seen.keys() & parts.keys() if _equal(seen[name], parts[name], rounding, check.tolerance)}


def _equal(seen: Tensor, expected: Tensor, rounding: tuple[float, float], tolerance: float) -> bool:
    if seen.shape != expected.shape:
        return False
    if seen.dtype in (torch.float32, torch.float16, torch.bfloat16):
        rounding = max(rounding, ROUNDING[torch.float32])
    relative, absolute = rounding
    seen, expected = seen.detach().double(), expected.detach().double()
    return torch.allclose(seen, expected, rtol=relative, atol=absolute + tolerance, equal_nan=True)


# --- what the learner reads ---


def _message(check: Check, mistakes: tuple[Mistake, ...], trials: list[Trial], wrong: Trial, seed: int) -> str:
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
    different = sum(not _fits(check, (), trial, seed) for trial in trials)
    return f"differs from the right answer on {different} of {len(trials)} inputs tried; no known mistake fits."


def _reasons(seen: Observation, expected: Observation) -> Iterator[str]:
    for name, right in expected.parts.items():
        given = seen.parts[name]
        what = "it" if name == "result" else name
        if given.shape != right.shape:
            yield f"{what} has shape {tuple(given.shape)}; expected {tuple(right.shape)}"
        elif given.isnan().any() and not right.isnan().any():
            yield f"{what} is NaN" if given.ndim == 0 else f"{what} holds NaN"
        elif right.dtype == torch.bool and right.ndim == 0 and right and not given:
            yield f"this does not hold: {name}"


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


def _counterexample(check: Check, wrong: Trial, seed: int) -> str:
    inputs = ", ".join(f"{name} = {_shown(value)}" for name, value in wrong.case.items())
    expected = predict(check, (), wrong, seed)
    if isinstance(wrong.seen, Refused) or isinstance(expected, Refused):
        return inputs
    rounding = ROUNDING[wrong.dtype]
    for name, right in expected.parts.items():
        given = wrong.seen.parts.get(name)
        if given is None or not _equal(given, right, rounding, check.tolerance):
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


@contextmanager
def _own_random_state() -> Iterator[None]:
    """Whatever is drawn or set in here leaves the caller's random numbers, dtype and gradient mode as they were."""
    python, numpy, dtype, gradients = (
        random.getstate(),
        np.random.get_state(),  # noqa: NPY002  learners' code draws from it
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
    )
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)


def hide(result: CheckResult) -> CheckResult:
    """The same verdict without its counter-example, for cases that a grader keeps to himself."""
    return replace(result, counterexample=None)
