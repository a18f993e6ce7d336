"""What a study is: a claim, an experiment, and the rule by which the numbers decide."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from etude.families.ranges import Range, Rule, require
from etude.studies.evidence import Findings, Ruling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from etude.studies.lab import Lab


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
