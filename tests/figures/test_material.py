import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.figures.material import pick_evenly


def test_the_first_of_each_class_in_class_order() -> None:
    labels = np.array([2, 0, 0, 1, 2, 1])
    np.testing.assert_array_equal(pick_evenly(labels, 3), [1, 3, 0])
    np.testing.assert_array_equal(pick_evenly(labels, 5), [1, 2, 3, 5, 0])


def test_of_many_classes_some_spread_evenly() -> None:
    chosen = pick_evenly(np.arange(100), 5)
    np.testing.assert_array_equal(chosen, [0, 25, 50, 74, 99])


@settings(deadline=None, max_examples=100)
@given(labels=st.lists(st.integers(0, 6), min_size=1, max_size=40), count=st.integers(1, 15))
def test_as_equally_many_of_each_class_as_can_be(labels: list[int], count: int) -> None:
    given_labels = np.array(labels)
    chosen = pick_evenly(given_labels, count)
    assert len(chosen) == len(set(chosen.tolist())) == min(count, len(labels))
    taken = given_labels[chosen]
    assert (np.diff(taken) >= 0).all()
    # No class has two more than one that still has images left.
    numbers, available = np.bincount(taken, minlength=7), np.bincount(given_labels, minlength=7)
    unused = available > numbers
    if unused.any():
        assert numbers.max() <= numbers[unused].min() + 1
