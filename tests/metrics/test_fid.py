import re
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import scipy.linalg
import torch

from etude.errors import UsageError
from etude.metrics.fid import FeatureStatistics, extrapolated_frechet_distance, feature_statistics, frechet_distance

Load = Callable[[str], ModuleType]


@pytest.fixture
def features() -> tuple[np.ndarray, np.ndarray]:
    """Correlated, rectified features of different scale, as a classifier's penultimate layer gives."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(84, 84))
    real = (random.normal(size=(600, 84)) @ mixing).clip(min=0)
    generated = (random.normal(size=(500, 84)) @ (mixing + 0.3 * random.normal(size=(84, 84))) + 0.5).clip(min=0)
    return real, generated


def test_it_is_torch_fidelitys(features: tuple[np.ndarray, np.ndarray], reference: Load) -> None:
    theirs = reference("torch_fidelity.metric_fid")
    real, generated = (theirs.fid_features_to_statistics(torch.from_numpy(part)) for part in features)
    expected = theirs.fid_statistics_to_metric(real, generated, False)["frechet_inception_distance"]
    assert frechet_distance(*features) == pytest.approx(expected, rel=1e-9)


def test_it_is_torchmetrics(features: tuple[np.ndarray, np.ndarray], reference: Load) -> None:
    theirs = reference("torchmetrics.image.fid")
    real, generated = (torch.from_numpy(part) for part in features)
    expected = theirs._compute_fid(real.mean(0), real.T.cov(), generated.mean(0), generated.T.cov()).item()
    assert frechet_distance(*features) == pytest.approx(expected, rel=1e-9)


def test_it_is_the_published_formula_with_a_matrix_root(features: tuple[np.ndarray, np.ndarray]) -> None:
    real, generated = features
    root = np.asarray(scipy.linalg.sqrtm(np.cov(real.T) @ np.cov(generated.T)))
    traces = np.trace(np.cov(real.T) + np.cov(generated.T) - 2 * np.real(root))
    expected = np.square(real.mean(0) - generated.mean(0)).sum() + traces
    assert frechet_distance(real, generated) == pytest.approx(expected, rel=1e-6)


def test_known_gaussians_give_the_closed_form() -> None:
    # Commuting covariances: |m|² + Σ (σ_r - σ_g)².
    real = FeatureStatistics(np.zeros(3), np.diag([1.0, 4.0, 0.0]), 100)
    generated = FeatureStatistics(np.array([3.0, 0, 0]), np.diag([4.0, 9.0, 25.0]), 100)
    assert frechet_distance(real, generated) == pytest.approx(9 + 1 + 1 + 25, rel=1e-12)


def test_equal_sets_have_distance_0_and_order_does_not_matter(features: tuple[np.ndarray, np.ndarray]) -> None:
    real, generated = features
    assert frechet_distance(real, real[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(real, generated) == pytest.approx(frechet_distance(generated, real), rel=1e-12)


def test_rotation_and_shift_of_both_change_nothing(features: tuple[np.ndarray, np.ndarray]) -> None:
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(84, 84)))
    real, generated = (part @ rotation + 1000 for part in features)
    assert frechet_distance(real, generated) == pytest.approx(frechet_distance(*features), rel=1e-9)


def test_statistics_stand_for_their_features_and_float32_is_summed_in_float64(
    features: tuple[np.ndarray, np.ndarray],
) -> None:
    real, generated = (torch.from_numpy(part).float() for part in features)
    kept = feature_statistics(real)
    assert kept.num_samples == 600
    np.testing.assert_allclose(kept.covariance, np.cov(real.double().numpy().T), rtol=1e-12)
    assert frechet_distance(kept, generated) == frechet_distance(real.numpy(), generated.numpy())


def test_dead_features_and_a_collapsed_generator_are_measured(features: tuple[np.ndarray, np.ndarray]) -> None:
    real, generated = (np.pad(part, ((0, 0), (0, 3))) for part in features)  # three units that never fire
    assert frechet_distance(real, generated) == pytest.approx(frechet_distance(*features), rel=1e-9)
    one_image = np.tile(real.mean(0), (100, 1))
    assert frechet_distance(real, one_image) == pytest.approx(np.trace(np.cov(real.T)), rel=1e-9)


def test_extrapolation_removes_the_bias_of_few_samples() -> None:
    random = np.random.default_rng(0)
    scale = random.uniform(0.5, 2, size=30)
    real = random.normal(size=(4000, 30)) * scale
    equal, shifted = random.normal(size=(4000, 30)) * scale, random.normal(size=(4000, 30)) * scale * 1.1 + 0.2
    true_distance = 30 * 0.2**2 + 0.1**2 * np.square(scale).sum()
    assert frechet_distance(real, equal) > 0.15  # all of it bias
    assert extrapolated_frechet_distance(real, equal).value == pytest.approx(0, abs=0.05)
    assert frechet_distance(real, shifted) - true_distance > 0.15
    extrapolated = extrapolated_frechet_distance(real, shifted)
    assert extrapolated.value == pytest.approx(true_distance, abs=0.12)
    assert extrapolated.sizes[0] == 800
    assert extrapolated.sizes[-1] == 4000
    assert extrapolated.distances[-1] == pytest.approx(frechet_distance(real, shifted), rel=1e-9)


def test_extrapolation_is_repeatable() -> None:
    random = np.random.default_rng(0)
    real, generated = random.normal(size=(90, 4)), random.normal(size=(80, 4))
    first = extrapolated_frechet_distance(real, generated, seed=5)
    assert first == extrapolated_frechet_distance(real, generated, seed=torch.Generator().manual_seed(5))
    assert first != extrapolated_frechet_distance(real, generated, seed=6)


REAL = np.random.default_rng(0).normal(size=(10, 4))


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (
            REAL,
            np.eye(4),
            "generated has 4 samples of 4 features; the Fréchet distance needs at least 5: take more samples, "
            "or kernel_distance, which works with few.",
        ),
        (REAL, REAL[:, :3], "real has 4 features, generated has 3: take both from one layer of one network."),
        (
            np.full((10, 4), 0.1),
            REAL,
            "real is constant: all 10 rows are equal; check the feature network and that the images differ.",
        ),
        (
            REAL,
            np.full((10, 4), np.nan),
            "generated: 40 of 40 values are NaN or infinite, the first at [0, 0]; look for a diverged network or "
            "drop those rows.",
        ),
    ],
)
def test_unfit_features_are_refused(real: np.ndarray, generated: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        frechet_distance(real, generated)


def test_unfit_sizes_are_refused() -> None:
    message = "smallest is 4; allowed: more than the 4 features and less than the 40 samples of the smaller set."
    enough = np.random.default_rng(0).normal(size=(40, 4))
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        extrapolated_frechet_distance(enough, enough, smallest=4)
    with pytest.raises(UsageError, match=r"^num_sizes is 1; allowed: 2 to 1,000\.$"):
        extrapolated_frechet_distance(enough, enough, num_sizes=1)
    message = (
        "the smaller set has 39 samples of 4 features; the extrapolated distance needs at least 40, 10 per feature: "
        "take more samples, or kernel_distance, which has no bias."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        extrapolated_frechet_distance(enough[1:], enough)
