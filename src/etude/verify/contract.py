"""What a contract is: named checks on named functions, each with its right answer and the known mistakes.

A mistake is a *mutant*: the right answer with one or two of its keyword switches changed. So mistakes combine, and a
mistake is named by evidence: the learner's output equals the mutant's output on every input tried.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from hypothesis.strategies import SearchStrategy

from etude.errors import UsageError
from etude.notebook import paragraph_html, table_html
from etude.verify.observation import Observation, call_function

Status = Literal["pass", "wrong", "missing", "undecided"]
Case = Mapping[str, Any]
"""The named inputs of one call: tensors and plain numbers."""


@dataclass(frozen=True)
class Mistake:
    """A known wrong version: its name, the formula as written and as it should be, and the switches."""

    name: str
    yours: str
    right: str
    changes: Mapping[str, Any]


def mistake(name: str, yours: str, right: str, **changes: Any) -> Mistake:
    """A mistake made by calling the right answer with `changes`.

    >>> mistake("½ forgotten", "E(s − 1)²", "½ E(s − 1)²", factor=1.0).changes
    {'factor': 1.0}
    """
    return Mistake(name, yours, right, changes)


@dataclass(frozen=True)
class Convention:
    """Another right version, where textbooks differ: what a pass says about it, and how it differs."""

    note: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Switches of the right answer."""
    form: Callable[[Case], Case] | None = None
    """The inputs as this version takes them."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One named thing in the learner's file, what it must do, and how it goes wrong."""

    name: str
    """Its name in the report, such as `VAE.encode`. The part before the first dot is the name looked for in the
    file."""
    call: str
    """How it is called, such as `kl_loss(mean_z, logvar_z)`."""
    right: Callable[..., Any]
    """The right answer, of the same kind as the learner's (function, factory or class). Keyword switches make the
    mutants."""
    mistakes: tuple[Mistake, ...]
    """The known mistakes. No two may have the same effect on every input."""
    inputs: SearchStrategy[Case] | None = None
    """Generated inputs. A failing one is shrunk to the simplest that fails."""
    seeded: Callable[[int], tuple[Case, ...]] = lambda first: ()
    """Inputs whose random numbers come from the seeds `first`, `first` + 1, …: too large to be shrunk."""
    extremes: tuple[Case, ...] = ()
    """Inputs that are always tried, such as logits of ±1000."""
    other_form: Callable[[Case], Case] | None = None
    """The same input in a form that right code may require instead, such as logits (batch,) for (batch, 1)."""
    conventions: tuple[Convention, ...] = ()
    """Other right versions; no mistake may equal one of them. The first input of `extremes` or `seeded` tells most
    apart, so one of these is needed."""
    overflow: Mistake | None = None
    """The mistake to name if only `extremes` go wrong."""
    observe: Callable[[Any, Case, Observation | None], Observation] = call_function
    """Runs the learner's code on one case and returns what it shows. With an earlier observation it runs a mutant
    alike (same weights, same noise)."""
    tolerance: float = 0.0
    """Absolute difference allowed in addition to rounding. Statistics of random draws need one."""
    is_random: bool = False
    """Judged by statistics: tested again with other draws before it is called wrong."""
    method: str | None = None
    """The method that it calls, if it looks for a class. An adapter may map it."""
    points: int = 1
    """Its weight in the score."""

    @property
    def looks_for(self) -> str:
        return self.name.partition(".")[0]

    def in_other_form(self) -> "Check":
        """The same check with the inputs in their other form."""
        form, inputs, seeded = self.other_form, self.inputs, self.seeded
        assert form is not None
        return replace(
            self,
            inputs=None if inputs is None else inputs.map(form),
            seeded=lambda first: tuple(map(form, seeded(first))),
            extremes=tuple(map(form, self.extremes)),
            other_form=None,
            conventions=tuple(each for each in self.conventions if each.form is None),
        )

    def by(self, convention: Convention) -> "Check":
        """The same check with this convention's version as the right answer."""
        check = self if convention.form is None else replace(self, other_form=convention.form).in_other_form()
        return replace(check, right=partial(check.right, **convention.changes), conventions=())

    def mutant(self, *mistakes: Mistake) -> Callable[..., Any]:
        """The right answer with these mistakes."""
        return partial(self.right, **{key: value for each in mistakes for key, value in each.changes.items()})


@dataclass(frozen=True, repr=False)
class Contract:
    """The checks of one exercise; it shows itself as `etude verify --list` prints it."""

    name: str
    about: str
    checks: tuple[Check, ...]

    def __post_init__(self) -> None:
        texts = isinstance(self.name, str) and isinstance(self.about, str)
        if not texts or not self.checks or not all(isinstance(each, Check) for each in self.checks):
            raise UsageError(
                f"contract {self.name!r}: needs a name and what it is about, both texts, and one Check or more."
            )

    @property
    def names(self) -> set[str]:
        """The names that it looks for, methods as `VAE.encode`. An adapter may map them."""
        methods = {f"{check.looks_for}.{check.method}" for check in self.checks if check.method}
        return methods | {check.looks_for for check in self.checks}

    def __repr__(self) -> str:
        return "\n".join([f"{self.name}: {self.about}", *(f"  {each.name:32}{each.call}" for each in self.checks)])

    def only(self, names: set[str]) -> "Contract":
        """The same contract with the checks of these names only, in its own order."""
        return Contract(self.name, self.about, tuple(check for check in self.checks if check.name in names))


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The verdict on one check."""

    name: str
    status: Status
    mistake: str | None = None
    """The names of the mistakes, joined by ` + `. None if the check passed or no known mistake fits."""
    message: str = ""
    """The reason on one line; for a pass the convention that it follows, or empty."""
    counterexample: str | None = None
    """The simplest input found on which it is wrong."""
    points: int = 0
    """Points earned: the check's points if it passed, else 0."""


@dataclass(frozen=True, repr=False)
class Report:
    """The verdict on one file or function; it shows itself as `etude verify` prints it."""

    contract: str
    checks: tuple[CheckResult, ...]
    points_possible: int
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was skipped when the file was loaded."""

    @property
    def passed(self) -> bool:
        return all(check.status == "pass" for check in self.checks)

    @property
    def score(self) -> float:
        """Points earned as a share of all points, in [0, 1]."""
        return round(sum(check.points for check in self.checks) / self.points_possible, 4)

    def __bool__(self) -> bool:
        return self.passed

    @property
    def total(self) -> str:
        """How many checks pass, and the score, on one line."""
        passed = sum(check.status == "pass" for check in self.checks)
        return f"{self.contract}: {passed} of {len(self.checks)} checks pass, score {self.score:.2f}"

    def __repr__(self) -> str:
        return "\n".join([*map(shown, self.checks), self.total])

    def _repr_html_(self) -> str:
        rows = [
            [each.status, each.name, "; ".join(filter(None, (each.mistake, each.message))), each.counterexample or ""]
            for each in self.checks
        ]
        headings = ["verdict", "check", "what is wrong", "for example"]
        return table_html(headings, rows, left=len(headings)) + paragraph_html(self.total)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        checks = [
            {key: getattr(each, key) for key in ("name", "status", "mistake", "message", "counterexample", "points")}
            for each in self.checks
        ]
        return {"contract": self.contract, "passed": self.passed, "checks": checks, "score": self.score}


def shown(result: CheckResult) -> str:
    """The verdict as a person reads it: status, name and mistake, then the reason and a counter-example."""
    head = f"{result.status:9} {result.name}" + (f": {result.mistake}" if result.mistake else "")
    details = [result.message, f"e.g. {result.counterexample}" if result.counterexample else ""]
    return "\n".join([head, *(f"          {line}" for line in details if line)])
