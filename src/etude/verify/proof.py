"""Checks without a child process: of a given function, and of a contract with its own mutants."""

from collections.abc import Callable
from typing import Any

from etude.errors import unknown
from etude.verify.contract import Contract, Report
from etude.verify.contracts import find
from etude.verify.loader import Loaded
from etude.verify.matching import judge


def check(contract: str, candidate: Callable[..., Any], *, seed: int = 0) -> Report:
    """The verdict on a function or class, in this process, for a notebook. Code that hangs, hangs here.

    `contract` is a contract's name, and the candidate's own name selects the checks. Or it names the check, such as
    `gan.generator_loss`, whatever the candidate is called. The result is true if all checks pass.
    """
    found = find(contract)
    if "." not in contract or contract.endswith(".py"):
        name = getattr(candidate, "__name__", repr(candidate))
        names = {each.name for each in found.checks if Loaded({name: candidate}).named(each.looks_for) is not None}
        if not names:
            allowed = {each.looks_for for each in found.checks}
            raise unknown(f"function of {found.name}", name, allowed, hint=f"or say '{found.name}.NAME'")
        found = found.only(names)
    results = tuple(judge(each, candidate, seed=seed) for each in found.checks)
    return Report(found.name, results, sum(each.points for each in found.checks))


def prove(contract: Contract, *, seed: int = 0) -> list[str]:
    """What is wrong with the contract itself, one line each; empty if it is sound.

    Its right answers must pass, every mutant must be caught, and every mutant must be named.
    """
    faults = []
    for each in contract.checks:
        verdict = judge(each, each.right, seed=seed)
        if verdict.status != "pass":
            faults.append(f"{each.name}: the right answer does not pass: {verdict.message}")
            continue
        for wrong in each.mistakes:
            verdict = judge(each, each.mutant(wrong), seed=seed)
            if verdict.status == "pass":
                faults.append(f"{each.name}: the mutant '{wrong.name}' passes")
            elif verdict.mistake != wrong.name:
                faults.append(f"{each.name}: the mutant '{wrong.name}' is named {verdict.mistake!r}")
    return faults
