"""Ranges in the types of fields: which numbers they hold, their words, and that all mistakes are told at once."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import pytest

from etude.errors import UsageError
from etude.families.ranges import Range, Rule, require


@pytest.mark.parametrize(
    ("allowed", "text", "inside", "outside"),
    [
        (Range(0), "0 or more", [0, 0.0, 1e300, 10**400], [-1e-300, math.inf, math.nan]),
        (Range(1), "at least 1", [1, 2**70], [0, -math.inf, 0.999]),
        (Range(above=0), "above 0", [1e-300, 5], [0, -0.0, math.inf, math.nan]),
        (Range(above=0, high=1), "above 0, at most 1", [1e-300, 1], [0, 1.1]),
        (Range(above=0, below=1), "above 0 and below 1", [1e-300, 0.9], [0, 1]),
        (Range(1, 4096), "1 to 4096", [1, 4096], [0, 4097, 4096.5]),
        (Range(0, below=1), "in [0, 1)", [0, math.nextafter(1, 0)], [1, -0.1, math.nan]),
        (Range(0, below=2**63), "in [0, 2^63)", [0, 2**63 - 1], [-1, 2**63]),
    ],
)
def test_a_range_holds_numbers_and_has_words(
    allowed: Range, text: str, inside: list[float], outside: list[float]
) -> None:
    assert str(allowed) == text
    assert [number for number in [*inside, *outside] if number in allowed] == inside


@dataclass(frozen=True, kw_only=True)
class Parent:
    """Two fields with ranges; the second may be unset."""

    epochs: Annotated[int, Range(1)] = 1
    noise_level: Annotated[float | None, Range(0, below=1)] = None
    seed: int = -1

    def rules(self) -> Iterator[Rule]:
        """One that no range can say."""
        yield self.epochs != self.seed, "seed", "not epochs"


@dataclass(frozen=True, kw_only=True)
class Child(Parent):
    """Narrows one range that it inherits, and defines the other field again."""

    epochs: Annotated[int, Range(3)] = 3
    noise_level: float | None = 0.25


def test_every_mistake_is_told_with_its_flag() -> None:
    require(Parent(), "--")
    require(Parent(noise_level=0.5), "--")
    with pytest.raises(UsageError) as caught:
        require(Parent(epochs=0, noise_level=1.0, seed=0), "--nested.")
    assert str(caught.value) == (
        "out of range: --nested.epochs 0 (allowed: at least 1); --nested.noise-level 1.0 (allowed: in [0, 1)); "
        "--nested.seed 0 (allowed: not epochs)."
    )


def test_a_class_may_narrow_a_range_and_else_inherits_it() -> None:
    require(Parent(epochs=2), "--")
    with pytest.raises(UsageError) as caught:
        require(Child(epochs=2, noise_level=2.0), "--")
    assert str(caught.value) == (
        "out of range: --epochs 2 (allowed: at least 3); --noise-level 2.0 (allowed: in [0, 1))."
    )
