"""Polynomials through counts at several lengths."""

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.inspection.sequences.growth import Polynomial, lengths_at, points, polynomial

COUNT = st.integers(0, 10**9)


@given(st.tuples(COUNT, COUNT, COUNT), st.integers(1, 5000))
def test_any_polynomial_of_one_length_is_found(terms: tuple[int, int, int], length: int) -> None:
    a, b, c = terms
    counts = {p: a + b * t + c * t * t for p in points(1) for t in lengths_at(p, (length,))}
    found = polynomial(counts, (length,))
    assert found is not None
    assert found.terms == {e: Fraction(x) for e, x in (((0,), a), ((1,), b), ((2,), c)) if x}


@given(st.lists(COUNT, min_size=6, max_size=6), st.tuples(st.integers(1, 500), st.integers(1, 500)))
def test_any_polynomial_of_two_lengths_is_found(terms: list[int], lengths: tuple[int, int]) -> None:
    exponents = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
    true = Polynomial({e: Fraction(x) for e, x in zip(exponents, terms, strict=True) if x})
    counts = {p: int(true.at(lengths_at(p, lengths))) for p in points(2)}
    found = polynomial(counts, lengths)
    assert found is not None
    assert found.terms == true.terms


@pytest.mark.parametrize("count", [lambda t: t**3, lambda t: t // 3, lambda t: 2**t, lambda t: t * t.bit_length()])
def test_what_is_no_polynomial_of_degree_2_is_none(count: Callable[[int], int]) -> None:
    assert polynomial({p: count(t) for p in points(1) for t in lengths_at(p, (21,))}, (21,)) is None


def test_polynomials_are_written_as_people_do() -> None:
    found = Polynomial({(2,): Fraction(304), (1,): Fraction(58_860), (0,): Fraction(-130)})
    assert found.text("T") == "304·T² + 58,860·T − 130"
    both = Polynomial({(1, 1): Fraction(3), (0, 2): Fraction(1, 2), (1, 0): Fraction(5)})
    assert both.text("ST") == "3·S·T + 0.5·T² + 5·S"
    assert both.growth("ST") == "S·T, T²"
    assert both.quadratic.terms == {(1, 1): 3, (0, 2): Fraction(1, 2)}
    assert [Polynomial(terms).growth("T") for terms in ({}, {(0,): Fraction(7)}, {(1,): Fraction(7)})] == ["", "1", "T"]
    assert Polynomial({}).text("T") == "0"
    assert (found + Polynomial({(2,): Fraction(-304)})).growth("T") == "T"
