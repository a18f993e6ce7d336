"""How a cost grows with the length of the sequences: the polynomial through counts at several lengths, exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

Point = tuple[int, ...]
"""For each length which of its `nodes`."""
Exponents = tuple[int, ...]
"""Of each length in a product: (2,) is T², (1, 1) is S·T."""

_POINTS: dict[int, tuple[Point, ...]] = {
    1: ((0,), (1,), (2,), (3,)),
    2: ((0, 0), (1, 0), (2, 0), (0, 1), (0, 2), (1, 1), (2, 1)),
}
"""By the number of lengths: where to count. The last count is not needed; it tests the polynomial."""
_SUPERSCRIPTS = {1: "", 2: "²"}


def points(num_lengths: int) -> tuple[Point, ...]:
    """Where to count: the lengths that were given first, the check last; empty for more lengths than two."""
    return _POINTS.get(num_lengths, ())


def nodes(length: int) -> tuple[int, ...]:
    """The lengths to count at, the given one first. The others are shorter, which is quick, unless it is very short."""
    if length > 40:
        return length, 32, 24, 16
    step = max(1, length // 5) if length >= 5 else -1
    return length, length - step, length - 2 * step, length - 3 * step


def lengths_at(point: Point, lengths: Sequence[int]) -> tuple[int, ...]:
    """The lengths at a point."""
    return tuple(nodes(length)[k] for length, k in zip(lengths, point, strict=True))


@dataclass(frozen=True)
class Polynomial:
    """A cost as a function of the lengths, of degree 2 at most."""

    terms: Mapping[Exponents, Fraction]
    """Coefficients; those that are 0 are left out."""

    def at(self, lengths: Sequence[int]) -> Fraction:
        """Its value."""
        return sum((c * _power(lengths, e) for e, c in self.terms.items()), Fraction())

    @property
    def quadratic(self) -> "Polynomial":
        """Its terms of degree 2."""
        return Polynomial({e: c for e, c in self.terms.items() if sum(e) == 2})

    def __add__(self, other: "Polynomial") -> "Polynomial":
        both = {e: self.terms.get(e, Fraction()) + other.terms.get(e, Fraction()) for e in {*self.terms, *other.terms}}
        return Polynomial({e: c for e, c in both.items() if c})

    def growth(self, letters: Sequence[str]) -> str:
        """Its terms of the highest degree without their coefficients: T², or S, T; 1 for a constant; empty for 0."""
        degree = max(map(sum, self.terms), default=0)
        names = [_name(e, letters) or "1" for e in sorted(self.terms, reverse=True) if sum(e) == degree]
        return ", ".join(names)

    def text(self, letters: Sequence[str]) -> str:
        """As people write it: 304·T² + 58,860·T + 130."""
        ordered = sorted(self.terms.items(), key=lambda term: (-sum(term[0]), tuple(-k for k in term[0])))
        parts = [
            ("−" if c < 0 else "+") + " " + "·".join(filter(None, (_number(abs(c)), _name(e, letters))))
            for e, c in ordered
        ]
        return " ".join(parts).removeprefix("+ ") or "0"


def polynomial(counts: Mapping[Point, int], lengths: Sequence[int]) -> Polynomial | None:
    """The polynomial through counts at all `points`; None where the last one is not on it.

    Newton's divided differences: exact, since counts are whole numbers.
    """
    zero = (0,) * len(lengths)
    first = counts[zero]
    units = [tuple(int(i == j) for j in range(len(lengths))) for i in range(len(lengths))]
    terms: dict[Exponents, Fraction] = {}
    for unit, length in zip(units, lengths, strict=True):
        a, b, c, _ = nodes(length)
        double = tuple(2 * k for k in unit)
        slope = Fraction(first - counts[unit], a - b)
        second = (slope - Fraction(counts[unit] - counts[double], b - c)) / (a - c)
        terms |= {double: second, unit: slope - second * (a + b)}
    if len(lengths) == 2:
        (s, s_next, *_), (t, t_next, *_) = map(nodes, lengths)
        mixed = Fraction(first - counts[1, 0] - counts[0, 1] + counts[1, 1], (s - s_next) * (t - t_next))
        terms |= {(1, 1): mixed, (1, 0): terms[1, 0] - mixed * t, (0, 1): terms[0, 1] - mixed * s}
    terms[zero] = first - Polynomial(terms).at(lengths)
    found = Polynomial({e: c for e, c in terms.items() if c})
    check = points(len(lengths))[-1]
    return found if found.at(lengths_at(check, lengths)) == counts[check] else None


def _power(lengths: Sequence[int], exponents: Exponents) -> int:
    return prod(length**k for length, k in zip(lengths, exponents, strict=True))


def _name(exponents: Exponents, letters: Sequence[str]) -> str:
    return "·".join(f"{letter}{_SUPERSCRIPTS[k]}" for letter, k in zip(letters, exponents, strict=True) if k)


def _number(value: Fraction) -> str:
    return f"{value.numerator:,}" if value.denominator == 1 else f"{float(value):,.1f}"
