"""The judge: tries generated inputs on the learner's code and names the mistakes that explain the results.

A check passes if every observation equals the right answer's. Otherwise the mutants are tried, one at a time and then
in pairs. Those that give the learner's observation on every input are the diagnosis.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed

from etude.verify.contract import Case, Check, CheckResult, Mistake
from etude.verify.observation import Observation, Refused, Undecided
from etude.verify.trials import Trial, agreeing_parts, fits, observe
from etude.verify.wording import counterexample, explanation

EXAMPLES = 25
"""Generated inputs per check."""
SHRINK_SECONDS = 0.5
"""Processor time for making a counter-example simpler."""
ROUGH = (1e-2, 1e-3)
"""Relative and absolute difference for telling a formula that merely overflows from one that is wrong."""


class _Found(Exception):
    """A generated input on which the learner's code differs."""


class _TimeIsUp(BaseException):
    """The search for a simpler counter-example took long enough."""


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
            # Right if it is right in one form. Otherwise judged in the form in which the mistake is known.
            other = _judge_once(check.in_other_form(), candidate, seed)
            result = other if other.status == "pass" or (other.mistake and not result.mistake) else result
        return _named_by_convention(check, candidate, seed, result)


def _right_by_convention(check: Check, candidate: Any, seed: int) -> CheckResult | None:
    """The verdict if it is right by one of the check's conventions; one look at the first input rules out most."""
    for convention in check.conventions:
        variant = check.by(convention)
        first = _first_trial(variant, candidate, seed)
        if first and fits(variant, (), first, seed):
            result = _judge_once(variant, candidate, seed)
            if result.status == "pass":
                return replace(result, message=f"note: {convention.note}.")
    return None


def _named_by_convention(check: Check, candidate: Any, seed: int, result: CheckResult) -> CheckResult:
    """The verdict that names the fewest mistakes, of the check itself and of its conventions."""
    for convention in check.conventions if result.status == "wrong" else ():
        if result.mistake and " + " not in result.mistake:
            break
        variant = check.by(convention)
        first = _first_trial(variant, candidate, seed)
        if first is None or (convention.form and isinstance(first.seen, Refused)):
            continue  # two that raise alike are not alike
        other = _judge_once(variant, candidate, seed)
        if other.mistake and (not result.mistake or " + " not in other.mistake):
            result = replace(other, message=f"{other.message} Read by a convention: {convention.note}.")
    return result


def _first_trial(check: Check, candidate: Any, seed: int) -> Trial | None:
    """What the first input shows that is neither generated nor too much for it."""
    try:
        cases = (*check.extremes, *check.seeded(_first_seed(seed)))[:1]
        return next((observe(check, candidate, case, seed) for case in cases), None)
    except Undecided:
        return None


def _first_seed(seed: int) -> int:
    """Neighbouring seeds share no number; none is too large for PyTorch."""
    return 1000 * (seed % 10**6)


def _is_wrong_on_extremes(check: Check, candidate: Any, seed: int) -> bool:
    """The short way to tell that it does not pass."""
    try:
        return not all(fits(check, (), observe(check, candidate, case, seed), seed) for case in check.extremes)
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
    if passed := _right_by_convention(check, candidate, seed):
        return passed
    mistakes = explain(check, trials, seed)
    return CheckResult(
        name=check.name,
        status="wrong",
        mistake=" + ".join(each.name for each in mistakes) or None,
        message=explanation(check, mistakes, trials, wrong, seed),
        counterexample=counterexample(check, wrong, seed),
    )


def _try_inputs(check: Check, candidate: Any, seed: int) -> tuple[list[Trial], Trial | None]:
    """Every input tried, and the simplest on which the candidate differs from the right answer."""
    trials: list[Trial] = []
    wrong: Trial | None = None
    seeded = check.seeded(_first_seed(seed))
    for case, is_extreme in (*((case, True) for case in check.extremes), *((case, False) for case in seeded)):
        trials.append(observe(check, candidate, case, seed, is_extreme=is_extreme))
        if wrong is None and not fits(check, (), trials[-1], seed):
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
        trials.append(observe(check, candidate, case, seed))
        if not fits(check, (), trials[-1], seed):
            found_at = found_at or time.process_time()
            simplest = trials[-1]
            raise _Found

    try:
        search()
    except (_Found, _TimeIsUp):
        wrong = simplest
    return trials, wrong


def explain(check: Check, trials: list[Trial], seed: int = 0) -> tuple[Mistake, ...]:
    """The fewest known mistakes that explain all observations. Empty if none do."""
    singles = [(each,) for each in check.mistakes]
    pairs = [pair for pair in combinations(check.mistakes, 2) if _combine(*pair)]
    # Inputs of the last trials are the simplest, and the right answer is wrong there: most mutants fail at once.
    for mistakes in (*singles, *pairs):
        if all(fits(check, mistakes, trial, seed) for trial in reversed(trials)):
            return mistakes
    if mistakes := _one_for_each_part(check, trials, seed):
        return mistakes
    ordinary = [trial for trial in trials if not trial.is_extreme]
    if check.overflow and ordinary:
        for mistakes in ((), *singles):
            if all(fits(check, mistakes, trial, seed, ROUGH) for trial in reversed(ordinary)):
                return (*mistakes, check.overflow)
    return ()


def _combine(*mistakes: Mistake) -> bool:
    """Whether they change different switches."""
    switches = [switch for each in mistakes for switch in each.changes]
    return len(set(switches)) == len(switches)


def _one_for_each_part(check: Check, trials: list[Trial], seed: int) -> tuple[Mistake, ...]:
    """A mistake for each part that is wrong, if together they explain all observations. Modes and results may go
    wrong separately."""
    wrong = set[str]().union(*(trial.seen.parts for trial in trials if isinstance(trial.seen, Observation)))
    wrong -= agreeing_parts(check, (), trials, seed)
    if len(wrong) < 3:  # pairs have been tried
        return ()
    agreeing = [(each, agreeing_parts(check, (each,), trials, seed)) for each in check.mistakes]
    choices = [[each for each, parts in agreeing if part in parts] for part in sorted(wrong)]
    for chosen in product(*choices):
        mistakes = tuple(each for each in check.mistakes if each in chosen)
        if _combine(*mistakes) and all(fits(check, mistakes, trial, seed) for trial in trials):
            return mistakes
    return ()


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
    """The same verdict without its counter-example, for inputs that a grader keeps secret."""
    return replace(result, counterexample=None)
