"""The range of a field, as part of its type: `epochs: Annotated[int, Range(1)]`; and its check."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, get_type_hints

from etude.errors import UsageError


@dataclass(frozen=True)
class Range:
    """The numbers that a field may have: from `low` to `high`, above or below a limit that is not among them."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    def __contains__(self, number: float) -> bool:
        return (
            (self.low is None or self.low <= number)
            and (self.high is None or number <= self.high)
            and (self.above is None or self.above < number)
            and (self.below is None or number < self.below)
            and abs(number) < float("inf")
        )

    def __str__(self) -> str:
        if self.above is not None:
            upper = "" if self.high is None else f", at most {self.high}"
            return f"above {self.above}{upper if self.below is None else f' and below {self.below}'}"
        if self.below is not None:
            return f"in [{self.low}, {'2^63' if self.below == 2**63 else self.below})"
        if self.high is not None:
            return f"{self.low} to {self.high}"
        return "0 or more" if self.low == 0 else f"at least {self.low}"


Rule = tuple[bool, str, str]
"""Whether a rule holds, the field that it is about, and what is allowed."""


class Ruled(Protocol):
    """A dataclass with ranges in its types, and rules that no range can say."""

    def rules(self) -> Iterator[Rule]: ...


@cache
def ranges_of(cls: type[Any]) -> dict[str, Range]:
    """The ranges of a dataclass's fields, by name. A class that defines a field again without a range inherits it."""
    return {
        name: each
        for parent in reversed(cls.__mro__)
        for name, hint in get_type_hints(parent, include_extras=True).items()
        for each in getattr(hint, "__metadata__", ())
        if isinstance(each, Range)
    }


def require(settings: Ruled, prefix: str) -> None:
    """Raise a `UsageError` that names every field out of its range and every broken rule, as flags after `prefix`.

    A field that is None is not set.
    """
    wrong: list[tuple[str, object]] = [
        (name, allowed)
        for name, allowed in ranges_of(type(settings)).items()
        if (value := getattr(settings, name)) is not None and value not in allowed
    ]
    wrong += [(name, allowed) for holds, name, allowed in settings.rules() if not holds]
    if wrong:
        said = [
            f"{prefix}{name.replace('_', '-')} {getattr(settings, name)} (allowed: {allowed})"
            for name, allowed in wrong
        ]
        raise UsageError(f"out of range: {'; '.join(said)}.")
