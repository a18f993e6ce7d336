"""Folds for data without a split: which sentences test, validate and train, the same ones on every machine."""

from collections.abc import Mapping, Sequence
from random import Random

NUM_VALIDATION = 10
"""One in this many of the sentences that are not to test on validates."""


def draw_folds(counts: Mapping[str, int], *, num_folds: int, seed: int) -> dict[str, list[int]]:
    """The fold of each of `counts` examples of a class, by class: as many of each class in every fold, within one.

    Drawn with `Random.random`, which Python promises to keep.
    """
    random = Random(seed)
    folds = {}
    for name, count in counts.items():
        place = {row: place for place, row in enumerate(_shuffled(count, random))}
        folds[name] = [place[row] % num_folds for row in range(count)]
    return folds


def draw_validation(folds: Sequence[int], fold: int, *, seed: int) -> set[int]:
    """The rows of a class that validate where `fold` is to test on: a seeded tenth of the rest."""
    rest = [row for row, each in enumerate(folds) if each != fold]
    drawn = _shuffled(len(rest), Random(f"{seed} {fold}"))[: round(len(rest) / NUM_VALIDATION)]
    return {rest[place] for place in drawn}


def in_words(folds: Mapping[str, Sequence[int]], fold: int) -> str:
    """The folds as a readable file: a line per class with a digit per line of its file."""
    lines = (f"{name} {''.join(map(str, each))}\n" for name, each in folds.items())
    return f"# the fold of each line, from the first; fold {fold} is the test split\n{''.join(lines)}"


def _shuffled(count: int, random: Random) -> list[int]:
    return sorted(range(count), key=lambda _: random.random())
