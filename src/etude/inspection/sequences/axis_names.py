"""Names for the axes of tensors: which are the batch and time is measured, the others are told by their place."""

from collections.abc import Iterable, Mapping, Sequence

Shape = tuple[int, ...]

WORDS = {"N": "batch", "H": "heads", "C": "channels", "D": "features", "L": "layers and directions"}
"""What the letters mean; those of time are `Sequences.letters`."""


def axis_names(shape: Shape, changes: Mapping[str, tuple[Shape, Shape]]) -> tuple[str, ...] | None:
    """A name for each axis: `changes` has two shapes of the same tensor in two batches, by N, and at two lengths, by T.

    An axis that both change is N·T. The others: features come last, heads between the batch and two axes of time or
    one with features after it, channels where there are none, layers before the batch. None where no axis changes or
    the number of axes does.
    """
    if any(len(other) != len(shape) for pair in changes.values() for other in pair):
        return None
    changed = [
        "·".join(name for name, (one, other) in changes.items() if one[axis] != other[axis])
        for axis in range(len(shape))
    ]
    named = [axis for axis, name in enumerate(changed) if name]
    times = [axis for axis in named if changed[axis] != "N"]

    def by_place(axis: int) -> str:
        if axis < named[0] and changed[named[0]] == "N":
            return "L"
        if axis == len(shape) - 1:
            return "D"
        if shape[axis] == 1:
            return "1"
        heads = axis > named[-1] or named[-1] < len(shape) - 1 or sum(time > axis for time in times) > 1
        return "H" if heads else "C"

    return tuple(name or by_place(axis) for axis, name in enumerate(changed)) if named else None


def legend(used: Iterable[str], letters: Sequence[str], lengths: Sequence[int]) -> str:
    """What the names mean that occur: `N batch, T time (20 steps), D features`."""
    found = {letter for name in used for letter in name.split("·")}
    times = {t: f"time ({n} step{'s' if n > 1 else ''})" for t, n in zip(letters, lengths, strict=True)}
    words = {"N": WORDS["N"]} | times | WORDS
    return ", ".join(f"{letter} {word}" for letter, word in words.items() if letter in found)
