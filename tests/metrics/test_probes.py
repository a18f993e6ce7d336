import numpy as np
import pytest

from etude.errors import UsageError
from etude.metrics import accuracy, linear_probe, nearest_neighbours_probe


def make_rings(num_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes on rings of radius 1 and 3: neighbours tell them apart, no line does."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, num_samples)
    angles = random.uniform(0, 2 * np.pi, num_samples)
    radii = 1 + 2 * labels + 0.1 * random.normal(size=num_samples)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1), labels


def test_clusters_are_read_by_both_and_rings_by_neighbours_alone() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 600)
    latents = 5 * np.eye(3)[labels] + random.normal(size=(600, 3))
    for probe in (linear_probe, nearest_neighbours_probe):
        scores = probe(latents[:400], labels[:400], latents[400:], num_classes=3)
        assert accuracy(scores, labels[400:]) > 0.97
    train, train_labels = make_rings(800, seed=0)
    test, test_labels = make_rings(400, seed=1)
    assert accuracy(linear_probe(train, train_labels, test, num_classes=2), test_labels) < 0.65
    assert accuracy(nearest_neighbours_probe(train, train_labels, test, num_classes=2), test_labels) > 0.99


def test_the_linear_probe_ignores_shift_and_scale_and_gives_log_probabilities() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 300)
    latents = np.eye(3)[labels] + 0.5 * random.normal(size=(300, 3))
    scores = linear_probe(latents, labels, latents, num_classes=3)
    np.testing.assert_allclose(np.exp(scores).sum(1), 1)
    scaled = linear_probe(latents * 1e5 + 3, labels, latents * 1e5 + 3, num_classes=3)
    np.testing.assert_allclose(scaled, scores, atol=1e-3)


def test_a_class_never_seen_is_never_predicted_and_constant_latents_say_nothing() -> None:
    train, labels = np.zeros((10, 2)), np.array([0, 2] * 5)
    for probe in (linear_probe, nearest_neighbours_probe):
        scores = probe(train, labels, train[:3], num_classes=4)
        assert scores.shape == (3, 4)
        assert (scores[:, [1, 3]] < scores[:, [0, 2]].min()).all()
        assert accuracy(scores, np.array([0, 0, 0])) in (0, 1)


def test_the_nearest_neighbour_of_a_training_point_is_itself() -> None:
    latents = np.random.default_rng(0).normal(size=(50, 3))
    labels = np.arange(50) % 5
    scores = nearest_neighbours_probe(latents, labels, latents, num_classes=5, nearest_k=1)
    np.testing.assert_array_equal(scores, np.eye(5)[labels])


def test_unfit_arguments_are_refused() -> None:
    latents, labels = np.eye(3), np.arange(3)
    with pytest.raises(UsageError, match=r"^train has 3 latents, test has 2: take both from one encoder\.$"):
        linear_probe(latents, labels, latents[:, :2], num_classes=3)
    with pytest.raises(
        UsageError,
        match=r"^labels holds a single class; a linear probe needs at least two among its training labels\.$",
    ):
        linear_probe(latents, np.zeros(3, int), latents, num_classes=3)
    with pytest.raises(UsageError, match=r"^nearest_k is 4; allowed: 1 to the number of training samples, 3\.$"):
        nearest_neighbours_probe(latents, labels, latents, num_classes=3, nearest_k=4)
    with pytest.raises(UsageError, match=r"^num_classes is 1; allowed: 2 or more\.$"):
        linear_probe(latents, labels, latents, num_classes=1)
