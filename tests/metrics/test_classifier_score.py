from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch

from etude.errors import UsageError
from etude.metrics import classifier_score

Load = Callable[[str], ModuleType]


@pytest.mark.parametrize("num_splits", [1, 5])
def test_it_is_torch_fidelitys(num_splits: int, reference: Load) -> None:
    logits = 3 * np.random.default_rng(0).normal(size=(500, 10))
    order = torch.randperm(500, generator=torch.Generator().manual_seed(4))
    expected = reference("torch_fidelity.metric_isc").isc_features_to_metric(
        torch.from_numpy(logits)[order], splits=num_splits, shuffle=False
    )
    ours = classifier_score(logits, num_splits=num_splits, seed=4)
    assert ours.value == pytest.approx(expected["inception_score_mean"], rel=1e-12)
    assert ours.standard_deviation == pytest.approx(expected["inception_score_std"], rel=1e-9, abs=1e-12)


def test_its_ends_are_1_and_the_number_of_classes() -> None:
    alike, sure = np.tile(np.arange(10.0), (100, 1)), 1e4 * np.tile(np.eye(10), (10, 1))
    assert classifier_score(alike).value == pytest.approx(1, abs=1e-12)
    assert classifier_score(sure, num_splits=1).value == pytest.approx(10, rel=1e-12)
    assert classifier_score(sure[:30], num_splits=1).value == pytest.approx(10, rel=1e-12)


def test_adding_a_number_to_all_logits_of_an_image_changes_nothing() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(50, 4))
    shifted = classifier_score(logits + 1000 * random.normal(size=(50, 1)))
    assert shifted.value == pytest.approx(classifier_score(logits).value, rel=1e-9)


def test_unfit_arguments_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^logits has shape \(3, 1\); allowed: \(samples, classes\) with two classes or more\.$"
    ):
        classifier_score(np.zeros((3, 1)))
    with pytest.raises(UsageError, match=r"^num_splits is 10; allowed: 1 to the number of samples, 3\.$"):
        classifier_score(np.zeros((3, 2)))
