"""What a study is: a claim, an experiment, and the rule by which the numbers decide."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any

from etude.errors import UsageError, unknown
from etude.families.ranges import Range, Rule, require
from etude.files import PLAIN_NAME, PLAIN_NAME_RULE
from etude.studies.evidence import Findings, Ruling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from etude.studies.lab import Lab


RESERVED = frozenset(
    {"quick", "ask", "jobs", "runs_dir", "data_dir", "quiet", "json", "list", "quiz", "progress", "name"}
)
"""What a knob cannot be called: the flags of `etude study`, and the arguments of `etude.study`."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """The knobs of an experiment: each field is a flag, its docstring the flag's help; abstract."""

    def rules(self) -> Iterator[Rule]:
        """What no range can say. See `etude.families.ranges.require`."""
        yield from ()

    def __post_init__(self) -> None:
        require(self, "--")


@dataclass(frozen=True, kw_only=True)
class Repeated(Design):
    """The knobs of an experiment with random numbers; abstract."""

    seeds: Annotated[int, Range(2, 10_000)] = 8
    """How often it is repeated, each time with other random numbers. Intervals are over these."""
    seed: Annotated[int, Range(0, below=2**63)] = 0
    """The first seed; the others count up from it."""

    @property
    def each_seed(self) -> range:
        """All seeds."""
        return range(self.seed, self.seed + self.seeds)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A claim that a computation settles; final. `etude.study` runs it.

    `experiment` takes the design and a `Lab`, and gives what it measured; `judge` turns that into a verdict by a rule
    of its own; `draw` shows it. None of them may know the answer.
    """

    name: str
    """What a person types."""
    topic: str
    question: str
    claim: str
    """What a textbook or folklore says: a sentence that is true or false."""
    design: Design
    """The knobs and their defaults."""
    quick: Mapping[str, Any] = field(default_factory=dict)
    """Other values of some knobs for `--quick`, which takes less than 30 seconds."""
    quick_cannot: str = ""
    """What a quick experiment cannot decide, in a clause; empty if it decides all that a full one does."""
    held_fixed: str
    """What is the same in all parts of the experiment, and on which data, in a clause."""
    experiment: Callable[[Any, "Lab"], Findings]
    judge: Callable[[Findings], Ruling]
    draw: Callable[[Findings], "Figure"]
    explanation: str
    """Why the answer is what it is, in three sentences."""
    source: str
    """Where it is derived or shown."""
    wrong_answer: str = ""
    """A common wrong answer, and what it misses, if there is one."""

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and PLAIN_NAME.fullmatch(self.name)):
            raise UsageError(f"a study has the name {self.name!r} (allowed: {PLAIN_NAME_RULE}).")
        if not isinstance(self.design, Design):
            raise UsageError(
                f"{self.name} has the design {self.design!r}; allowed: an object of a dataclass made from "
                "etude.studies.Design or Repeated, with its defaults, such as Birthdays()."
            )
        knobs = [field.name for field in fields(self.design)]
        if taken := RESERVED.intersection(knobs):
            raise UsageError(
                f"{self.name} has a knob {min(taken)}, which is a flag of every study: give it another name."
            )
        for name in self.quick:
            if name not in knobs:
                raise unknown(f"knob in the quick form of {self.name}", name, knobs)
