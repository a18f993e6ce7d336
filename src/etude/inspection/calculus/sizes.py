"""The sizes of an expression's names: declared ones are kept, the others found from what must fit together."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import final

from etude.errors import UsageError
from etude.inspection.calculus.nodes import Dim, Shape

LARGEST = 10**9
_LETTERS = "nmkpqrstuvw"


def declared(name: str, given: str | None, scalar: bool) -> Shape:
    """The shape that a person gave, or that the name's first letter says; sizes still to find hold a colon."""
    if given is None:
        if scalar:
            return (1, 1)
        return (f"{name}:rows", f"{name}:columns") if name[0].isupper() else (f"{name}:rows", 1)
    parts = [part.strip() for part in re.split(r"[,×]", given)]
    if not 1 <= len(parts) <= 2 or not all(_is_size(part) for part in parts):
        shown = given if len(given) <= 40 else f"{given[:40]}…"
        raise UsageError(f"--shapes has {name}={shown}; allowed: 1 (scalar), n or 3 (vector), n,m or 3,4 (matrix).")
    dims = [int(part) if part[0].isdigit() else part for part in parts]
    return (dims[0], dims[1] if len(dims) == 2 else 1)


def _is_size(part: str) -> bool:
    if re.fullmatch(r"[0-9]{1,10}", part):
        return 1 <= int(part) <= LARGEST
    return part.isidentifier() and len(part) <= 20


@final
class Sizes:
    """Which dimensions are equal, and what they are called."""

    def __init__(self, shapes: dict[str, Shape]) -> None:
        self.shapes = shapes
        self.samples: Dim = "samples:rows"
        self._same: dict[Dim, Dim] = {}

    def root(self, dim: Dim) -> Dim:
        """The one name of all dimensions that are equal; a product by its factors."""
        while dim in self._same:
            dim = self._same[dim]
        if isinstance(dim, str) and "·" in dim:
            return "·".join(sorted(str(self.root(_number(part))) for part in dim.split("·")))
        return dim

    def resolved(self, shape: Shape) -> Shape:
        """The shape with names that a person reads."""
        rows, columns = (self.root(d) for d in shape)
        return (rows, columns)

    def text(self, shape: Shape) -> str:
        """For messages: ? for what nobody gave."""
        parts = [str(dim) for dim in self.resolved(shape)]
        return "scalar" if parts == ["1", "1"] else "×".join("?" if ":" in part else part for part in parts)

    def is_same(self, a: Dim, b: Dim) -> bool:
        """Whether two dimensions are known to be equal."""
        return self.root(a) == self.root(b)

    def is_open(self, dim: Dim) -> bool:
        """Whether nothing is known of a dimension yet."""
        return _is_free(self.root(dim))

    def could_be(self, a: Dim, b: Dim) -> bool:
        """Whether two dimensions are equal, or can be made so: one of them is free."""
        a, b = self.root(a), self.root(b)
        return a == b or any(_is_free(each) for each in (a, b))

    def equal(self, a: Dim, b: Dim) -> bool:
        """Make two dimensions equal; false where both are given and differ."""
        a, b = self.root(a), self.root(b)
        if a == b:
            return True
        if isinstance(a, str) and isinstance(b, str) and "·" in a and a.count("·") == b.count("·"):
            parts = zip(a.split("·"), b.split("·"), strict=True)  # of two Kronecker products factor by factor
            found = [self.equal(_number(p), _number(q)) for p, q in parts]
            return all(found)
        if not _is_free(a):
            a, b = b, a
        if not _is_free(a) or (isinstance(b, str) and a in b.split("·")):
            return False
        self._same[a] = b
        return True

    def settle(self, samples: bool) -> None:
        """Short names for the dimensions that nobody named."""
        taken = {str(self.root(d)) for shape in self.shapes.values() for d in shape}
        taken = {part for each in taken for part in each.split("·")}
        letters = (letter for letter in _letters() if letter not in taken)
        for shape in self.shapes.values():
            for dim in shape:
                for part in str(self.root(dim)).split("·"):
                    if _is_free(part):
                        self._same[part] = next(letters)
        if samples:
            self._same[self.samples] = next(each for each in chain(("N", "M", "S"), _letters()) if each not in taken)
            self.samples = self._same[self.samples]


def _number(part: str) -> Dim:
    return int(part) if part.isdigit() else part


def _is_free(dim: Dim) -> bool:
    return isinstance(dim, str) and ":" in dim and "·" not in dim


def _letters() -> Iterator[str]:
    yield from _LETTERS
    number = 1
    while True:
        yield from (f"{letter}{number}" for letter in _LETTERS)
        number += 1
