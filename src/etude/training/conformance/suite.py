"""The checks by name, in their order, and the report on one family."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from etude.errors import unknown
from etude.families import book
from etude.families.family import Family
from etude.families.outside import load_family
from etude.families.recipe import Recipe
from etude.speed.execution import computing
from etude.training.conformance import outcomes, steps
from etude.training.conformance.specimen import Specimen, first_difference, said, seeded


def builds(specimen: Specimen) -> str | None:
    """Networks are built, also without memory, and depend on the seed alone."""
    with torch.device("meta"):
        specimen.networks()
    one, two = (
        {
            f"{name}.{key}": value
            for name, network in specimen.networks().items()
            for key, value in network.state_dict().items()
        }
        for _ in range(2)
    )
    if name := first_difference(one, two):
        return f"networks built twice from one seed differ in {name}."
    with seeded(0):
        specimen.learner()
    return None


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that every family must do."""

    name: str
    run: Callable[[Specimen], str | None]
    """Returns what is wrong, or None."""
    whole: bool = False
    """Whether it is about a step as one function of tensors. It is left out if the network's traits rule that out."""
    after: tuple[str, ...] = ()
    """Checks that it builds on. If one of them fails, this one would only repeat it."""

    @property
    def about(self) -> str:
        """What a family must do, in one sentence."""
        return (self.run.__doc__ or "").strip()


BASIC = ("builds", "loss_names")
PURE = ("torch_draws", "numpy_draws", "python_draws", "draw_shapes", "batch_unchanged", "python_state")
CHECKS = (
    Check(name="builds", run=builds),
    Check(name="recipe", run=outcomes.recipe, after=("builds",)),
    Check(name="loss_names", run=steps.loss_names, after=("builds",)),
    Check(name="torch_draws", run=steps.torch_draws, after=BASIC),
    Check(name="numpy_draws", run=steps.numpy_draws, after=BASIC),
    Check(name="python_draws", run=steps.python_draws, after=BASIC),
    Check(name="draw_shapes", run=steps.draw_shapes, whole=True, after=BASIC),
    Check(name="batch_unchanged", run=steps.batch_unchanged, after=BASIC),
    Check(name="gradients", run=steps.gradients, after=BASIC),
    Check(name="python_state", run=steps.python_state, after=BASIC),
    Check(name="resume", run=steps.resume, after=BASIC),
    Check(name="evaluation", run=outcomes.evaluation, after=BASIC),
    Check(name="preview", run=outcomes.preview, after=BASIC),
    Check(name="abilities", run=outcomes.abilities, after=BASIC),
    Check(name="state_dict", run=outcomes.state_dict, after=(*BASIC, *PURE, "resume", "evaluation", "abilities")),
    Check(name="series", run=outcomes.series, after=(*BASIC, "evaluation")),
    Check(name="whole_step", run=steps.whole, whole=True, after=(*BASIC, *PURE)),
    Check(name="tracing", run=steps.tracing, whole=True, after=(*BASIC, *PURE, "state_dict", "whole_step")),
    Check(name="replicas", run=steps.replicas, whole=True, after=(*BASIC, *PURE, "whole_step", "tracing")),
)


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The result of one check."""

    name: str
    status: Literal["pass", "fail"]
    message: str = ""
    """What is wrong and what to do, on one line. Empty if the check passed."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Report:
    """The results for one family. It shows itself as `etude check` prints it."""

    family: str
    checks: tuple[CheckResult, ...]
    """The checks that were made."""

    @property
    def passed(self) -> bool:
        return all(check.status == "pass" for check in self.checks)

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the checks that failed."""
        return tuple(check.name for check in self.checks if check.status == "fail")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        checks = [{"name": each.name, "status": each.status, "message": each.message} for each in self.checks]
        return {"family": self.family, "passed": self.passed, "checks": checks}

    def __repr__(self) -> str:
        lines = [f"{each.status}  {each.name:<17}{each.message}".rstrip() for each in self.checks]
        left = len(CHECKS) - len(self.checks)
        count = f"{self.family}: {sum(each.status == 'pass' for each in self.checks)} of {len(CHECKS)} checks pass"
        return "\n".join([*lines, f"{count}; {left} wait for those that failed" if left else count])


def check(family: str | Path | Family[Any], recipes: Sequence[Recipe] = ()) -> Report:
    """Check that a family does what every family must do, with a few steps on a few examples.

    The family is the name of one of étude's, a file that defines FAMILY, or a `Family`. Each of its recipes is tried,
    or those of `recipes`. A check fails if one recipe fails it. Raises `UsageError` if a file defines no family, or if
    there are no examples of a kind of data that its networks take.
    """
    if not isinstance(family, Family):
        family, own = _found(str(family))
        recipes = recipes or own
    reports = [_checked(family, recipe) for recipe in recipes]
    results: list[CheckResult] = []
    for each in CHECKS:
        found = {
            recipe.name: report[each.name]
            for recipe, report in zip(recipes, reports, strict=True)
            if each.name in report
        }
        if wrong := {name: message for name, message in found.items() if message}:
            name, message = next(iter(wrong.items()))
            results.append(
                CheckResult(
                    name=each.name, status="fail", message=f"{name}: {message}" if len(recipes) > 1 else message
                )
            )
        elif len(found) == len(recipes):
            results.append(CheckResult(name=each.name, status="pass"))
    return Report(family=family.name, checks=tuple(results))


def _found(text: str) -> tuple[Family[Any], Sequence[Recipe]]:
    """A family of étude's by its name, or the family of a file."""
    if text.endswith(".py"):
        outside = load_family(Path(text))
        return outside.family, outside.recipes
    if text not in book.NAMES:
        raise unknown("family", text, book.NAMES, hint="or FILE.py, which defines FAMILY")
    return book.family_named(text), book.recipes_of(text)


def _checked(family: Family[Any], recipe: Recipe) -> dict[str, str]:
    """The result of each check that could be made, by its name; "" if it passed."""
    specimen = Specimen(family, recipe)
    said: dict[str, str] = {}
    with computing(specimen.execution):
        for each in CHECKS:
            if {name for name, message in said.items() if not message}.issuperset(each.after):
                said[each.name] = made(each, specimen) or ""
    return said


def made(check: Check, specimen: Specimen) -> str | None:
    """The result of one check. An exception of the family's code is what is wrong."""
    if check.whole and specimen.network.traits.eager:
        return None
    try:
        return check.run(specimen)
    except Exception as error:
        return said(error)
