import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix as reference_counts

from etude.drawing.classification import confusion_counts, confusion_matrix, per_class_accuracy, wilson_interval
from etude.drawing.style import render


def random_counts(num_classes: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return confusion_counts(random.integers(0, num_classes, 400), random.integers(0, num_classes, 400), num_classes)


def test_counts_equal_scikit_learns() -> None:
    random = np.random.default_rng(1)
    labels, predictions = random.integers(0, 7, 300), random.integers(0, 7, 300)
    counts = confusion_counts(labels, predictions, 8)  # class 7 never occurs
    np.testing.assert_array_equal(counts, reference_counts(labels, predictions, labels=np.arange(8)))
    assert counts.sum() == 300
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(labels, minlength=8))


@settings(deadline=None, max_examples=60)
@given(trials=st.integers(1, 20_000), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_interval_equals_scipys(trials: int, share: float, confidence: float) -> None:
    successes = round(share * trials)
    expected = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    low, high = wilson_interval(np.array(successes), np.array(trials), confidence=confidence)
    np.testing.assert_allclose([low, high], [expected.low, expected.high], rtol=1e-9, atol=1e-12)


def test_interval_without_trials_is_everything() -> None:
    low, high = wilson_interval(np.array([0]), np.array([0]))
    np.testing.assert_allclose([low, high], [[0], [1]])


def test_matrix_writes_counts_and_row_percentages() -> None:
    figure = confusion_matrix(np.array([[3, 1], [0, 1234]]), class_names=["cat", "dog"], title="Confusion")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["3", "75.0%", "1", "25.0%", "1,234", "100.0%"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    # Rows are the true class: the wrongly named cat stands in the upper right cell.
    assert axes.texts[2].get_position() == pytest.approx((1, -0.14))


def test_matrix_of_many_classes_has_a_colour_bar_instead_of_numbers() -> None:
    names = [f"class {index}" for index in range(100)]
    figure = confusion_matrix(random_counts(100), class_names=names, title="Confusion")
    axes, bar = figure.axes
    assert not axes.texts
    assert bar.get_ylabel() == "share of the true class"
    assert len(axes.get_xticks()) == 34
    assert render(figure, "png").startswith(b"\x89PNG")


def test_accuracy_bars_with_whiskers_and_the_overall_line() -> None:
    counts = np.array([[9, 1, 0], [5, 15, 0], [0, 0, 0]])
    figure = per_class_accuracy(counts, class_names=["cat", "dog", "owl"], title="Accuracy per class")
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)] == pytest.approx([0.9, 0.75, 0])
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["overall 80.0%", "90.0% of 10", "75.0% of 20", "no images"]
    assert axes.get_xlabel() == "test accuracy, with 95% Wilson interval"
    (whiskers,) = [each for each in axes.collections if len(each.get_paths()) == 3]
    ends = [np.asarray(path.vertices)[:, 0] for path in whiskers.get_paths()]
    expected = [binomtest(9, 10).proportion_ci(method="wilson"), binomtest(15, 20).proportion_ci(method="wilson")]
    np.testing.assert_allclose(ends[:2], [[each.low, each.high] for each in expected], rtol=1e-9)
