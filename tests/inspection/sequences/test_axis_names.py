"""Names of axes, from shapes in another batch and at another length."""

import pytest

from etude.inspection.sequences.axis_names import axis_names, legend


@pytest.mark.parametrize(
    ("shape", "other_batch", "other_length", "names"),
    [
        ((1, 20), (2, 20), (1, 15), "N T"),
        ((1, 20, 8), (2, 20, 8), (1, 15, 8), "N T D"),
        ((20, 20, 20), (20, 21, 20), (15, 20, 20), "T N D"),  # sizes alone would not tell
        ((1, 4, 20, 8), (2, 4, 20, 8), (1, 4, 15, 8), "N H T D"),
        ((1, 20, 4, 8), (2, 20, 4, 8), (1, 15, 4, 8), "N T H D"),
        ((1, 4, 20, 20), (2, 4, 20, 20), (1, 4, 15, 15), "N H T T"),
        ((1, 8, 20), (2, 8, 20), (1, 8, 15), "N C T"),
        ((4, 1, 8), (4, 2, 8), (4, 1, 8), "L N D"),
        ((20, 8), (40, 8), (15, 8), "N·T D"),
        ((1, 1, 20, 20), (1, 1, 20, 20), (1, 1, 15, 15), "1 1 T T"),
        ((1, 8), (2, 8), (1, 8), "N D"),
    ],
)
def test_axes_are_named(shape: tuple[int, ...], other_batch: tuple[int, ...], other_length: tuple[int, ...],
                        names: str) -> None:  # fmt: skip
    assert axis_names(shape, {"N": (shape, other_batch), "T": (shape, other_length)}) == tuple(names.split())


def test_what_does_not_change_or_changes_its_rank_has_no_names() -> None:
    same = (3, 4), (3, 4)
    assert axis_names((3, 4), {"N": same, "T": same}) is None
    assert axis_names((3, 4), {"N": ((3, 4), (3, 4, 1)), "T": same}) is None


def test_two_lengths_have_a_letter_each() -> None:
    changes = {"N": ((1, 5, 7), (2, 5, 7)), "S": ((1, 5, 7), (1, 5, 6)), "T": ((1, 5, 7), (1, 4, 7))}
    assert axis_names((1, 5, 7), changes) == ("N", "T", "S")
    assert legend(["N", "T", "S", "N·T", "D"], "ST", (7, 1)) == (
        "N batch, S time (7 steps), T time (1 step), D features"
    )
