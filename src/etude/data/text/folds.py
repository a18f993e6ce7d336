"""Divide data without splits into folds, the same ones on every machine."""

from collections.abc import Mapping, Sequence
from random import Random

NUM_VALIDATION = 10
"""One in this many of the sentences that are not for testing validates."""


def draw_folds(counts: Mapping[str, int], *, num_folds: int, seed: int) -> dict[str, list[int]]:
    """Draw the fold of each example. `counts` has the examples of each class.

    Per class, the sizes of the folds differ by at most one. `Random.random` stays the same in all versions of Python.
    """
    random = Random(seed)
    folds = {}
    for name, count in counts.items():
        place = {row: place for place, row in enumerate(_shuffled(count, random))}
        folds[name] = [place[row] % num_folds for row in range(count)]
    return folds


def draw_validation(folds: Sequence[int], fold: int, *, seed: int) -> set[int]:
    """The rows of a class that validate if `fold` is for testing: a tenth of the rest, drawn with `seed`."""
    rest = [row for row, each in enumerate(folds) if each != fold]
    drawn = _shuffled(len(rest), Random(f"{seed} {fold}"))[: round(len(rest) / NUM_VALIDATION)]
    return {rest[place] for place in drawn}


def in_words(folds: Mapping[str, Sequence[int]], fold: int) -> str:
    """The folds as a readable file: one line per class, with one digit per line of its file."""
    lines = (f"{name} {''.join(map(str, each))}\n" for name, each in folds.items())
    return f"# the fold of each line, from the first; fold {fold} is the test split\n{''.join(lines)}"


def _shuffled(count: int, random: Random) -> list[int]:
    return sorted(range(count), key=lambda _: random.random())
