import numpy as np
import pytest
import scipy.stats

from etude.errors import UsageError
from etude.metrics import active_latents, aggregate_posterior


def test_latents_whose_mean_never_moves_are_inactive() -> None:
    random = np.random.default_rng(0)
    means = random.normal(size=(500, 3)) * np.array([1.0, 0.2, 0.02])
    np.testing.assert_array_equal(active_latents(means), [True, True, False])
    np.testing.assert_array_equal(active_latents(means, threshold=0.1), [True, False, False])
    np.testing.assert_array_equal(active_latents(means + 100), active_latents(means))
    with pytest.raises(UsageError, match=r"^threshold is -1; allowed: 0 or more\.$"):
        active_latents(means, threshold=-1)


def test_mean_and_variance_are_those_of_the_mixture() -> None:
    random = np.random.default_rng(0)
    means, logvars = random.normal(size=(50, 2)), random.normal(size=(50, 2))
    draws = means + np.exp(0.5 * logvars) * random.normal(size=(20_000, 50, 2))
    found = aggregate_posterior(means, logvars, seed=0)
    np.testing.assert_allclose(found.mean, draws.mean((0, 1)), atol=0.01)
    np.testing.assert_allclose(found.variance, draws.reshape(-1, 2).var(0), rtol=0.01)


def test_distance_and_p_value_are_scipys() -> None:
    random = np.random.default_rng(1)
    means = random.normal(size=(2000, 4)) * np.array([1, 1, 1.05, 0.5]) + np.array([0, 0.03, 0, 0])
    no_noise = np.full(means.shape, -800.0)  # exp underflows to a variance of 0: the draws are the means
    found = aggregate_posterior(means, no_noise, seed=0)
    for latent in range(4):
        expected = scipy.stats.kstest(means[:, latent], "norm")
        assert found.distance[latent] == pytest.approx(expected.statistic, rel=1e-9)
        assert found.p_value[latent] == pytest.approx(expected.pvalue, abs=5e-3)


def test_the_prior_passes_and_a_shrunk_latent_is_found() -> None:
    random = np.random.default_rng(2)
    means = 0.8 * random.normal(size=(5000, 6))
    logvars = np.full((5000, 6), np.log(1 - 0.8**2))
    found = aggregate_posterior(means, logvars, seed=0)
    assert not found.differs().any()
    means[:, 2] *= 0.5
    found = aggregate_posterior(means, logvars, seed=0)
    np.testing.assert_array_equal(found.differs(), [False, False, True, False, False, False])
    assert found.variance[2] == pytest.approx(0.4**2 + 0.36, abs=0.02)


def test_p_values_are_uniform_under_the_prior() -> None:
    zeros = np.zeros((400, 1000))
    p_values = aggregate_posterior(zeros, zeros, seed=0).p_value
    assert scipy.stats.kstest(p_values, "uniform").pvalue > 0.01


def test_unfit_arguments_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"^means has shape \(3, 2\), logvars \(3, 1\): both are \(images, latents\)\.$"
    ):
        aggregate_posterior(np.zeros((3, 2)), np.zeros((3, 1)), seed=0)
    with pytest.raises(UsageError, match=r"^means has 1 row; allowed: two images or more\.$"):
        active_latents(np.zeros((1, 2)))
