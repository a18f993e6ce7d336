import numpy as np
import pytest

from etude.errors import UsageError
from etude.metrics import authenticity


def by_definition(training: np.ndarray, generated: np.ndarray) -> float:
    """Sample by sample, with distances as differences (Alaa et al. 2022, eq. 8)."""
    own = 0
    for sample in generated:
        nearest = np.linalg.norm(training - sample, axis=1).argmin()
        others = np.delete(training, nearest, axis=0)
        gap = np.linalg.norm(others - training[nearest], axis=1).min()
        own += np.linalg.norm(training[nearest] - sample) > gap
    return own / len(generated)


@pytest.fixture
def training() -> np.ndarray:
    return np.random.default_rng(0).normal(3, size=(400, 6))


def test_it_is_the_definition(training: np.ndarray) -> None:
    random = np.random.default_rng(1)
    for scale in (0.1, 0.5, 1.0):
        generated = training[:150] + scale * random.normal(size=(150, 6))
        assert authenticity(training, generated) == by_definition(training, generated)


def test_copies_are_found_and_new_samples_are_about_half_authentic(training: np.ndarray) -> None:
    new = np.random.default_rng(2).normal(3, size=(400, 6))
    assert authenticity(training, training) == 0
    assert authenticity(training, training[:10].repeat(20, axis=0)) == 0
    floor = authenticity(training, new)
    assert floor == pytest.approx(0.55, abs=0.1)
    half = np.concatenate([training[:200], new[:200]])
    assert authenticity(training, half) == pytest.approx(floor / 2, abs=0.05)
    assert authenticity(training, new + 10) > 0.99  # far from everything is no copy


def test_a_copy_of_a_sample_that_is_there_twice_is_no_better_than_the_twin(training: np.ndarray) -> None:
    twice = np.concatenate([training, training[:1]])
    assert authenticity(twice, training[:1]) == 0
    assert authenticity(twice, training[:1] + 1e-3) == 1


def test_unfit_arguments_are_refused(training: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"^real has 6 features, generated has 5: take both"):
        authenticity(training, training[:, :5])
    with pytest.raises(UsageError, match=r"^real is constant: all 1 rows are equal"):
        authenticity(training[:1], training)
