import itertools
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from etude import metrics
from etude.errors import UsageError
from etude.metrics.arguments import (
    as_numbers,
    class_scores,
    evaluating,
    feature_matrix,
    feature_pair,
    generator_of,
    require_count,
)


def exactly(text: str) -> str:
    return f"^{re.escape(text)}$"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_of_any_float_type_become_float64_without_gradient(dtype: torch.dtype) -> None:
    values = torch.tensor([[0.5, -2.0]], dtype=dtype, requires_grad=True)
    array = as_numbers("real", values)
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, [[0.5, -2.0]])


def test_whole_numbers_stay_whole() -> None:
    assert as_numbers("labels", torch.tensor([1, 2])).dtype == np.int64
    assert feature_matrix("real", np.array([[1, 2]], dtype=np.uint8)).dtype == np.float64


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3, 4)), "real has shape (2, 3, 4); allowed: (samples, features), one row per image."),
        (np.zeros((0, 84)), "real has shape (0, 84); allowed: (samples, features), one row per image."),
        (np.zeros(5), "real has shape (5,); allowed: (samples, features), one row per image."),
        (np.array([["a"]]), "real has dtype <U1; allowed: whole or floating-point numbers."),
        (np.zeros((1, 1), complex), "real has dtype complex128; allowed: whole or floating-point numbers."),
        (
            np.array([[0, 1.0], [np.inf, np.nan]]),
            "real: 2 of 4 values are NaN or infinite, the first at [1, 0]; look for a diverged network or drop "
            "those rows.",
        ),
    ],
)
def test_unfit_features_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=exactly(message)):
        feature_matrix("real", values)


def test_sets_of_different_features_are_refused() -> None:
    message = "real has 3 features, generated has 4: take both from one layer of one network."
    with pytest.raises(UsageError, match=exactly(message)):
        feature_pair(np.eye(3), np.eye(4))


def test_constant_real_features_are_refused_and_constant_generated_ones_are_not() -> None:
    varied, constant = np.eye(3), np.full((3, 3), 0.1)
    feature_pair(varied, constant)
    message = "real is constant: all 3 rows are equal; check the feature network and that the images differ."
    with pytest.raises(UsageError, match=exactly(message)):
        feature_pair(constant, varied)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (
            np.zeros((2, 1)),
            np.zeros(2, int),
            "scores has shape (2, 1); allowed: (samples, classes) with two classes or more.",
        ),
        (np.zeros((2, 3)), np.zeros(3, int), "labels has shape (3,); allowed: (2,), one label per row of scores."),
        (
            np.zeros((2, 3)),
            np.zeros(2),
            "labels has floating-point numbers; allowed: whole numbers, the index of the class.",
        ),
        (np.zeros((2, 3)), np.array([0, 3]), "labels runs from 0 to 3; allowed: 0 to 2, one per class."),
        (np.zeros((2, 3)), np.array([-1, 2]), "labels runs from -1 to 2; allowed: 0 to 2, one per class."),
        (
            np.array([[0.0, np.nan]]),
            np.array([0]),
            "scores: 1 of 2 values are NaN or infinite, the first at [0, 1]; look for a diverged network or drop "
            "those rows.",
        ),
    ],
)
def test_unfit_scores_and_labels_are_refused(scores: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=exactly(message)):
        class_scores(scores, labels)


def test_a_seed_makes_a_generator_and_a_generator_is_taken_as_it_is() -> None:
    generator = torch.Generator()
    assert generator_of(generator) is generator
    assert generator_of(3).initial_seed() == 3
    message = "seed is -1; allowed: a torch.Generator or a whole number from 0 to 2^63 - 1."
    with pytest.raises(UsageError, match=exactly(message)):
        generator_of(-1)


def test_evaluating_restores_every_mode_even_after_an_error() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1), nn.Dropout())
    model[1].eval()  # a frozen batch-norm in a training model

    def interrupted() -> None:
        with evaluating(model):
            assert not any(module.training for module in model.modules())
            assert not torch.is_grad_enabled()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (2.5, "2.5; allowed: whole numbers, 1 to 10"),
        (1e400, "inf; allowed: whole numbers, 1 to 10"),
        (True, "True; allowed: whole numbers, 1 to 10"),
        (None, "None; allowed: whole numbers, 1 to 10"),
        ("a" * 100, "of type str; allowed: whole numbers, 1 to 10"),
        (np.arange(100), "of type ndarray; allowed: whole numbers, 1 to 10"),
        (12_345, "12,345; allowed: 1 to 10"),
        pytest.param(-(10**5000), "-10^5000; allowed: 1 to 10", id="more digits than Python writes"),
    ],
)
def test_what_is_no_count_is_shown_on_one_short_line(given: Any, shown: str) -> None:
    with pytest.raises(UsageError, match=exactly(f"k is {shown}.")):
        require_count("k", given, 1, 10, "1 to 10")


NOT_NUMBERS: list[Any] = [
    None, "a", "", b"x", "a\nb", 1.5, -1, True, 10**5000, 1e400, float("nan"), [], [1], [[1, 2], [3]], {}, {1, 2},
    object(), iter([1, 2]), float, Fraction(1, 3), [10**400, 1], [1e308] * 4, [1e149, -1e149, 3], [1e-320, 0, 2e-320],
    np.array([]), np.array(3.0), np.array(["a"]), np.array([1 + 2j]), np.array([None, 1]), torch.tensor([1 + 1j]),
    torch.tensor([1.0, float("nan")]), torch.ones(3).to_sparse(), [torch.ones(2, requires_grad=True)],
]  # fmt: skip
CALLS = {
    "summarize": ("values", "method", "confidence", "num_resamples", "seed"),
    "t_interval": ("values", "confidence"),
    "bootstrap_t_interval": ("values", "confidence", "num_resamples", "seed"),
    "bootstrap_interval": ("values", "statistic", "confidence", "num_resamples", "seed"),
    "share_interval": ("num_right", "num_total", "confidence"),
    "wilson_interval": ("num_right", "num_total", "confidence"),
    "compare_paired": ("baseline", "candidate", "test", "confidence", "seed"),
    "holm": ("p_values",),
}
GOOD: dict[str, Any] = {
    "values": np.arange(9.0), "baseline": np.arange(8.0), "candidate": np.arange(8.0) ** 2, "statistic": np.median,
    "num_right": 3, "num_total": 7, "p_values": np.array([0.1, 0.2]), "num_resamples": 100, "seed": 0,
    "test": "mean", "method": "bootstrap-t", "confidence": 0.95,
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_whatever_is_given_ends_in_a_result_or_in_one_line(name: str) -> None:
    messages = list[str]()
    for bad, given in itertools.product(CALLS[name], NOT_NUMBERS):
        try:
            getattr(metrics, name)(**{each: GOOD[each] for each in CALLS[name]} | {bad: given})
        except UsageError as error:
            messages.append(str(error))
    assert len(messages) > len(NOT_NUMBERS) / 2
    assert [each for each in messages if "\n" in each or len(each) > 200] == []
