"""What an experiment measured, and the rules that turn it into a verdict: an interval that excludes a limit decides."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from etude.metrics.intervals import Interval, t_interval

Verdict = Literal["true", "false", "only if", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("true", "false", "only if", "undecided")


@dataclass(frozen=True)
class Evidence:
    """One measured quantity: a value for each seed, or a single exact one, which no seed can change."""

    what: str
    """The quantity with its unit, such as "test accuracy, 1,000 images"."""
    values: tuple[float, ...]
    """(seeds,)"""
    exact: bool = False

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(self.values))

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the mean (Student's t); of an exact value the value itself; None of a single seed."""
        if self.exact:
            return Interval(self.value, self.value)
        if len(self.values) < 2 or not np.isfinite(self.values).all():
            return None
        return t_interval(np.array(self.values))

    def __str__(self) -> str:
        """The value, and its interval if it is not exact."""
        interval = self.interval
        if self.exact or interval is None:
            return f"{self.value:.4g}"
        return f"{self.value:.4g} ({interval.low:.4g} to {interval.high:.4g})"

    def __sub__(self, other: "Evidence") -> "Evidence":
        """The difference, seed by seed."""
        return _paired(self, other, f"{self.what} minus {other.what}", np.subtract)

    def __truediv__(self, other: "Evidence") -> "Evidence":
        """The ratio, seed by seed."""
        return _paired(self, other, f"{self.what} over {other.what}", np.divide)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        interval, value = self.interval, self.value
        return {
            "what": self.what,
            "value": value if np.isfinite(value) else None,
            "interval": [interval.low, interval.high] if interval else None,
            "seeds": 0 if self.exact else len(self.values),
        }


def exact(what: str, value: float) -> Evidence:
    """A value that is computed, not estimated."""
    return Evidence(what, (float(value),), exact=True)


def measured(what: str, values: Sequence[float]) -> Evidence:
    """A value for each seed."""
    return Evidence(what, tuple(map(float, values)))


def _paired(a: Evidence, b: Evidence, what: str, operation: np.ufunc) -> Evidence:
    if len(a.values) != len(b.values) and not (a.exact or b.exact):
        raise ValueError(f"{a.what} has {len(a.values)} seeds and {b.what} {len(b.values)}.")
    with np.errstate(divide="ignore", invalid="ignore"):
        values = operation(np.array(a.values), np.array(b.values))
    return Evidence(what, tuple(values.tolist()), exact=a.exact and b.exact)


@dataclass(frozen=True)
class Findings:
    """Everything that an experiment measured, by name; and the curves that its figure also draws."""

    evidence: tuple[Evidence, ...]
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def __getitem__(self, what: str) -> Evidence:
        for each in self.evidence:
            if each.what == what:
                return each
        raise KeyError(f"no evidence {what!r}; there is {', '.join(each.what for each in self.evidence)}")

    def __iter__(self) -> Iterator[Evidence]:
        return iter(self.evidence)

    def with_values(self, values: Mapping[str, Sequence[float]]) -> "Findings":
        """The same with other values of some quantities."""
        changed = (
            replace(each, values=tuple(map(float, values[each.what]))) if each.what in values else each
            for each in self.evidence
        )
        return replace(self, evidence=tuple(changed))


@dataclass(frozen=True)
class Ruling:
    """A verdict on a claim, and the numbers that it follows from."""

    verdict: Verdict
    because: str
    """One sentence with the numbers."""
    condition: str = ""
    """What "only if" depends on: a clause that goes on from these words."""

    def __post_init__(self) -> None:
        if (self.verdict == "only if") != bool(self.condition):
            raise ValueError("a condition goes with the verdict only if, and with no other.")

    @property
    def answer(self) -> str:
        """The verdict with its condition."""
        return f"only if {self.condition}" if self.condition else self.verdict


def above(found: Evidence, limit: float) -> bool | None:
    """Whether it is above the limit: None if its interval holds the limit, or if there is no interval."""
    interval = found.interval
    if interval is None:
        return None
    if interval.low > limit:
        return True
    return False if interval.high <= limit else None


def below(found: Evidence, limit: float) -> bool | None:
    """Whether it is below the limit: None if its interval holds the limit, or if there is no interval."""
    interval = found.interval
    if interval is None:
        return None
    if interval.high < limit:
        return True
    return False if interval.low >= limit else None


def every(*parts: bool | None) -> bool | None:
    """Whether all hold: False if one does not, else None if one is not known."""
    return False if False in parts else None if None in parts else True


def some(*parts: bool | None) -> bool | None:
    """Whether one holds: True if one does, else None if one is not known."""
    return True if True in parts else None if None in parts else False


def no(part: bool | None) -> bool | None:
    """The opposite; None stays None."""
    return None if part is None else not part


def ruled(holds: bool | None, because: str) -> Ruling:
    """True, false or, if it is not known whether the claim holds, undecided."""
    return Ruling("undecided" if holds is None else "true" if holds else "false", because)
