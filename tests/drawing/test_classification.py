import numpy as np
import pytest
from matplotlib.patches import Rectangle
from scipy.stats import binomtest

from etude.drawing.classification import confusion_matrix, per_class_accuracy
from etude.drawing.style import render


def random_counts(num_classes: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.multinomial(400, np.full(num_classes**2, num_classes**-2)).reshape(num_classes, num_classes)


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
    assert axes.get_xlabel() == "test accuracy, with 95% interval"
    (whiskers,) = [each for each in axes.collections if len(each.get_paths()) == 3]
    ends = [np.asarray(path.vertices)[:, 0] for path in whiskers.get_paths()]
    expected = [binomtest(9, 10).proportion_ci(method="exact"), binomtest(15, 20).proportion_ci(method="exact")]
    np.testing.assert_allclose(ends[:2], [[each.low, each.high] for each in expected], rtol=1e-9)
