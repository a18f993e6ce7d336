from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch

from etude.errors import UsageError
from etude.metrics.kid import kernel_distance, squared_discrepancy, standardized

Load = Callable[[str], ModuleType]


@pytest.fixture
def features() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(400, 84)), 1.1 * random.normal(size=(300, 84)) + 0.1


def test_it_is_torch_fidelitys_on_the_same_subsets(features: tuple[np.ndarray, np.ndarray], reference: Load) -> None:
    theirs = reference("torch_fidelity.metric_kid")
    real, generated = features
    expected = theirs.kid_features_to_metric(
        *map(torch.from_numpy, features), kid_subsets=5, kid_subset_size=200, rng_seed=2020, verbose=False
    )
    draw = np.random.RandomState(2020)  # the generator torch-fidelity draws from
    ours = [
        squared_discrepancy(real[draw.choice(400, 200, replace=False)], generated[draw.choice(300, 200, replace=False)])
        for _ in range(5)
    ]
    assert np.mean(ours) == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-9)
    assert np.std(ours) == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-9)


def test_it_is_torchmetrics(features: tuple[np.ndarray, np.ndarray], reference: Load) -> None:
    theirs = reference("torchmetrics.image.kid")
    real, generated = features[0][:300], features[1]
    expected = theirs.poly_mmd(torch.from_numpy(real), torch.from_numpy(generated)).item()
    assert squared_discrepancy(real, generated) == pytest.approx(expected, rel=1e-9)


def test_it_is_the_definition_term_by_term_for_sets_of_different_size() -> None:
    random = np.random.default_rng(3)
    real, generated = random.normal(size=(5, 2)), random.normal(size=(4, 2))

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (float(x @ y) / 2 + 1) ** 3

    within_real = [kernel(real[i], real[j]) for i in range(5) for j in range(5) if i != j]
    within_generated = [kernel(generated[i], generated[j]) for i in range(4) for j in range(4) if i != j]
    across = [kernel(x, y) for x in real for y in generated]
    expected = np.mean(within_real) + np.mean(within_generated) - 2 * np.mean(across)
    assert squared_discrepancy(real, generated) == pytest.approx(expected, rel=1e-12)


def test_it_is_unbiased_even_for_few_samples() -> None:
    random = np.random.default_rng(0)
    values = [squared_discrepancy(random.normal(size=(10, 4)), random.normal(size=(10, 4))) for _ in range(4000)]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3.5 * error
    assert error < 0.02  # a biased estimate is off by the diagonal, 2 · E (|x|²/4 + 1)³ / 10 = 3.4


def test_whole_sets_as_subsets_have_no_spread_and_order_does_not_matter(
    features: tuple[np.ndarray, np.ndarray],
) -> None:
    real, generated = features[0][:300], features[1]
    both = kernel_distance(real, generated, standardize=False, num_subsets=3)
    assert both.subset_size == 300
    assert both.value == pytest.approx(squared_discrepancy(real, generated), rel=1e-9)
    assert both.standard_deviation == pytest.approx(0, abs=1e-12)
    assert kernel_distance(generated, real, standardize=False, num_subsets=3).value == pytest.approx(both.value)


def test_standardised_distance_ignores_the_scale_that_makes_the_raw_one_explode(
    features: tuple[np.ndarray, np.ndarray],
) -> None:
    real, generated = features
    scaled = kernel_distance(30 * real + 7, 30 * generated + 7, num_subsets=10, subset_size=100)
    assert scaled.value == pytest.approx(kernel_distance(real, generated, num_subsets=10, subset_size=100).value)
    raw = kernel_distance(30 * real, 30 * generated, num_subsets=10, subset_size=100, standardize=False)
    assert raw.value > 1e6 * scaled.value


def test_standardised_features_have_mean_0_and_variance_1_on_average() -> None:
    random = np.random.default_rng(0)
    real, generated = random.normal(3, [1, 3], size=(50, 2)), random.normal(size=(40, 2))
    new_real, new_generated = standardized(real, generated)
    np.testing.assert_allclose(new_real.mean(0), 0, atol=1e-12)
    assert new_real.var(axis=0).mean() == pytest.approx(1)
    scale = np.sqrt(real.var(axis=0).mean())
    np.testing.assert_allclose(new_generated * scale + real.mean(axis=0), generated)


def test_a_unit_that_fires_for_a_few_images_only_does_not_decide_alone() -> None:
    """After a ReLU some units are 0 for all images but a few; scaled to variance 1 they drowned everything else."""
    random = np.random.default_rng(0)
    features = np.maximum(random.normal(size=(4000, 20)), 0)
    features[:, 0] = 0
    features[:4, 0] = 1
    distance = kernel_distance(features[:2000], features[2000:], num_subsets=20, subset_size=500)
    assert abs(distance.value) < 0.01
    moved = kernel_distance(features[:2000], features[2000:] + 0.2, num_subsets=20, subset_size=500)
    assert moved.value > 0.1


def test_a_seed_fixes_the_subsets(features: tuple[np.ndarray, np.ndarray]) -> None:
    first = kernel_distance(*features, num_subsets=2, subset_size=50, seed=1)
    assert first == kernel_distance(*features, num_subsets=2, subset_size=50, seed=torch.Generator().manual_seed(1))
    assert first != kernel_distance(*features, num_subsets=2, subset_size=50, seed=2)


def test_unfit_arguments_are_refused(features: tuple[np.ndarray, np.ndarray]) -> None:
    real, generated = features
    with pytest.raises(UsageError, match=r"^the smaller set has 1 sample; kernel_distance needs at least 2 of each\.$"):
        kernel_distance(real, generated[:1])
    with pytest.raises(UsageError, match=r"^num_subsets is 0; allowed: 1 to 1,000,000\.$"):
        kernel_distance(real, generated, num_subsets=0)
    with pytest.raises(UsageError, match=r"^subset_size is 1; allowed: 2 or more\.$"):
        kernel_distance(real, generated, subset_size=1)
