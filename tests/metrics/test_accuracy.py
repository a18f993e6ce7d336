from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import sklearn.metrics
import torch

from etude.errors import UsageError
from etude.metrics import accuracy, class_accuracy, confusion_matrix, top_k_accuracy, worst_class_by_chance


@pytest.fixture
def predictions() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, size=500)
    return random.normal(size=(500, 7)) + 1.5 * np.eye(7)[labels], labels


def test_all_are_scikit_learns(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = predictions
    assert accuracy(scores, labels) == sklearn.metrics.accuracy_score(labels, scores.argmax(1))
    for k in (2, 5):
        assert top_k_accuracy(scores, labels, k=k) == sklearn.metrics.top_k_accuracy_score(labels, scores, k=k)
    confusion = confusion_matrix(scores, labels)
    np.testing.assert_array_equal(confusion, sklearn.metrics.confusion_matrix(labels, scores.argmax(1)))
    report = sklearn.metrics.classification_report(labels, scores.argmax(1), output_dict=True)
    assert isinstance(report, dict)
    np.testing.assert_allclose(class_accuracy(confusion), [report[str(label)]["recall"] for label in range(7)])


def test_accuracy_is_torchmetrics_with_micro_average(
    predictions: tuple[np.ndarray, np.ndarray], reference: Callable[[str], ModuleType]
) -> None:
    theirs = reference("torchmetrics.functional.classification").multiclass_accuracy
    scores, labels = (torch.from_numpy(part) for part in predictions)
    assert accuracy(scores, labels) == pytest.approx(theirs(scores, labels, 7, average="micro").item(), abs=1e-7)
    assert top_k_accuracy(scores, labels, k=3) == pytest.approx(
        theirs(scores, labels, 7, average="micro", top_k=3).item(), abs=1e-7
    )


def test_they_fit_together(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = predictions
    confusion = confusion_matrix(scores, labels)
    assert accuracy(scores, labels) == np.trace(confusion) / 500
    assert accuracy(scores, labels) == top_k_accuracy(scores, labels, k=1)
    assert top_k_accuracy(scores, labels, k=7) == 1
    order = np.random.default_rng(1).permutation(500)
    np.testing.assert_array_equal(confusion_matrix(scores[order], labels[order]), confusion)


def test_equal_scores_do_not_pass_for_right() -> None:
    scores, labels = np.zeros((4, 4)), np.arange(4)
    assert accuracy(scores, labels) == 0.25
    assert top_k_accuracy(scores, labels, k=2) == 0.5
    np.testing.assert_array_equal(confusion_matrix(scores, labels)[:, 0], 1)


def test_a_class_without_samples_has_no_accuracy() -> None:
    confusion = confusion_matrix(np.eye(3)[:2], np.array([0, 1]))
    np.testing.assert_array_equal(class_accuracy(confusion), [1, 1, np.nan])


def test_an_unfit_k_is_refused(predictions: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(UsageError, match=r"^k is 8; allowed: 1 to the number of classes, 7\.$"):
        top_k_accuracy(*predictions, k=8)


@pytest.mark.parametrize("totals", [[30] * 10, [5, 17, 80], [40]])
def test_the_worst_class_by_chance_is_the_mean_of_simulated_minima(totals: list[int]) -> None:
    random = np.random.default_rng(0)
    confusion = np.diag([round(0.9 * total) for total in totals])
    confusion[:, 0] += totals - confusion.diagonal()
    confusion[0, 0] = round(0.9 * totals[0])
    if len(totals) > 1:
        confusion[0, 1] = totals[0] - confusion[0, 0]
    share = confusion.diagonal().sum() / confusion.sum()
    simulated = (random.binomial(totals, share, size=(40_000, len(totals))) / totals).min(axis=1)
    assert worst_class_by_chance(confusion) == pytest.approx(simulated.mean(), abs=0.003)


def test_of_equal_classes_the_worst_is_below_the_rest() -> None:
    assert worst_class_by_chance(np.diag([10] * 4)) == 1
    equal = np.full((10, 10), 1) + 20 * np.eye(10, dtype=int)  # 21 of 30 right in every class
    assert worst_class_by_chance(equal) < 0.7 - 0.1
