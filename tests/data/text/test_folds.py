import pytest

from etude.data.text.folds import draw_folds, draw_validation, in_words


def test_folds_hold_as_many_of_each_class() -> None:
    folds = draw_folds({"neg": 534, "pos": 529}, num_folds=10, seed=0)
    for each in folds.values():
        counts = [each.count(fold) for fold in range(10)]
        assert max(counts) - min(counts) <= 1
    assert folds["neg"][:10] != sorted(folds["neg"][:10])
    assert folds == draw_folds({"neg": 534, "pos": 529}, num_folds=10, seed=0)
    assert folds != draw_folds({"neg": 534, "pos": 529}, num_folds=10, seed=1)


def test_they_are_the_same_on_every_machine() -> None:
    assert draw_folds({"a": 12, "b": 3}, num_folds=3, seed=0) == {
        "a": [1, 2, 0, 0, 0, 2, 0, 1, 1, 1, 2, 2],
        "b": [0, 2, 1],
    }


@pytest.mark.parametrize("fold", range(3))
def test_a_tenth_of_the_others_validates(fold: int) -> None:
    (folds,) = draw_folds({"a": 300}, num_folds=3, seed=0).values()
    drawn = draw_validation(folds, fold, seed=0)
    assert len(drawn) == 20
    assert all(folds[row] != fold for row in drawn)
    assert drawn != draw_validation(folds, fold, seed=1)


def test_folds_are_written_line_by_line() -> None:
    assert in_words({"neg": [0, 2, 1], "pos": [1]}, 2) == (
        "# the fold of each line, from the first; fold 2 is the test split\nneg 021\npos 1\n"
    )
