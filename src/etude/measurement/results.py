"""What `measure` found: a result per metric, what was measured, and how both show themselves."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

from rich.console import RenderableType
from rich.text import Text

from etude.notebook import paragraph_html, plain_table, plain_text, rounded, table_html

COMMON = ("value", "interval", "floor", "num_samples", "note")
"""The keys that the result of any metric may have."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class Result(Mapping[str, Any]):
    """One metric of a run.

    What any metric may have is an attribute. As a mapping it has the keys of `--json`: `result["value"]`.
    """

    numbers: Mapping[str, Any]
    """All of it, as `--json` prints it. A key without a value is left out."""
    remark: str = ""
    """What else a reader of the table needs to know."""

    @property
    def value(self) -> float | None:
        """The metric. A count is a whole number. None if it is not finite."""
        return self.numbers["value"]

    @property
    def interval(self) -> tuple[float, float] | None:
        """Lower and upper limit, 95 %."""
        low, high = self.numbers.get("interval") or (None, None)
        return None if low is None or high is None else (low, high)

    @property
    def floor(self) -> float | None:
        """A value to compare with. For generated images: real ones scored against real ones."""
        return self.numbers.get("floor")

    @property
    def num_samples(self) -> int:
        """The number of examples that the value is computed from."""
        return self.numbers["num_samples"]

    @property
    def note(self) -> str | None:
        """A sentence without which the value misleads."""
        return self.numbers.get("note")

    @property
    def details(self) -> dict[str, Any]:
        """What only this metric has, such as the confusion matrix."""
        return {key: value for key, value in self.numbers.items() if key not in COMMON}

    @property
    def spread(self) -> float:
        """Half the width of the interval, 0 without one. It decides how many digits are shown."""
        low, high = self.interval or (0.0, 0.0)
        return (high - low) / 2

    def texts(self) -> list[str]:
        """Value, floor, interval, number of examples and remark, as a table shows them. What is missing is empty."""
        limits = " – ".join(map(self._text, self.interval or ()))
        return [self._text(self.value), self._text(self.floor), limits, f"{self.num_samples:,}", self.remark]

    def _text(self, number: float | None) -> str:
        if number is None:
            return ""
        return f"{number:,}" if isinstance(number, int) else rounded(number, self.spread)

    def __getitem__(self, key: str) -> Any:
        return self.numbers[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        named = zip(("", "floor ", "95% interval "), self.texts(), strict=False)
        return f"<Result {', '.join(name + text for name, text in named if text)}, {self.num_samples:,} images>"


@final
@dataclass(frozen=True, kw_only=True)
class About:
    """What was measured."""

    run: str
    checkpoint: int | str
    """Which weights: last, best or a step."""
    step: int
    data: str
    split: str
    num_samples: int
    """The number of examples on each side of a comparison."""
    seed: int
    examples: str = "images"
    """What is measured, in a word."""
    features: dict[str, Any] | None
    """`name` and `test_accuracy` of the network whose features compare images. None if no metric needs one."""

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        left_out = {"examples"} if self.features else {"examples", "features"}
        return {key: value for key, value in asdict(self).items() if key not in left_out}

    def sentences(self) -> list[str]:
        """A line on run and data, and one on the features, if any."""
        which = {"last": " (the last)", "best": " (the best by validation)"}.get(str(self.checkpoint), "")
        found = [
            f"{self.run} at step {self.step:,}{which}, {self.data}: {self.split} {self.examples}, seed {self.seed}"
        ]
        if self.features:
            accuracy = self.features["test_accuracy"]
            known = "" if accuracy is None else f", test accuracy {accuracy:.3f}"
            found.append(f"features: {self.features['name']}{known}")
        return found


@final
@dataclass(frozen=True, repr=False)
class Measurement(Mapping[str, Result]):
    """The metrics of a run, by name: `measurement["fid"].value`. It shows itself as a table."""

    results: dict[str, Result]
    about: About
    notes: list[str]
    """What the reader must know, such as metrics that were left out and why."""

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        results = {name: dict(result) for name, result in self.results.items()}
        return {**results, "about": self.about.to_dict(), "notes": self.notes}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Headings and rows. Floors and intervals have a column if any result has one."""
        headings = ["metric", "value", "floor", "95% interval", self.about.examples, ""]
        rows = [[name, *result.texts()] for name, result in self.results.items()]
        shown = [at for at, name in enumerate(headings) if at not in (2, 3) or any(row[at] for row in rows)]
        return [headings[at] for at in shown], [[row[at] for at in shown] for row in rows]

    def report(self) -> list[RenderableType]:
        """What was measured, the table and the notes, to print one after the other."""
        headings, rows = self.table()
        notes = [Text(f"note: {note}") for note in self.notes]
        return [
            *map(Text, self.about.sentences()),
            Text(),
            plain_table(headings, rows, align=f"l{'r' * (len(headings) - 2)}l"),
            *([Text(), *notes] if notes else []),
        ]

    def __getitem__(self, name: str) -> Result:
        return self.results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __repr__(self) -> str:
        return plain_text(*self.report(), width=200)

    def _repr_html_(self) -> str:
        notes = [f"note: {note}" for note in self.notes]
        return "".join(
            [*map(paragraph_html, self.about.sentences()), table_html(*self.table()), *map(paragraph_html, notes)]
        )
