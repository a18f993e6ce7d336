"""The embedded points of the plane."""

import numpy as np
import pytest
import torch
from sklearn import datasets

from etude.data import Table, load
from etude.data.points import POINTS, Place, make_points, moon, ring

DIGESTS = {
    "moons": "ce3ee0b4bcd9855de12f646eaa0855c2",
    "rings": "a5adacee2aaed74694c4edec68406b29",
    "mixture": "599697a6b7a706d31a2337165b25ccfa",
}


def distances(points: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """From each point (N, 2) to the nearest of a curve's (M, 2)."""
    return np.linalg.norm(points[:, None] - curve[None], axis=2).min(axis=1)


@pytest.mark.parametrize(
    ("place", "made"),
    [
        (moon, datasets.make_moons(20_000, shuffle=False)),
        (ring, datasets.make_circles(20_000, shuffle=False, factor=0.5)),
    ],
)  # fmt: skip
def test_curves_are_those_of_scikit_learn(place: Place, made: tuple[np.ndarray, np.ndarray]) -> None:
    curves, classes = made
    for label in (0, 1):
        # make_circles calls its outer circle class 0
        other = curves[classes == (label if place is moon else 1 - label)]
        points = np.array([place(label, share) for share in np.linspace(0, 1, 500, endpoint=False)])
        assert distances(points, other).max() < 1e-3
        assert distances(other[::100], points).max() < 1e-2


@pytest.mark.parametrize(("name", "noise"), [("moons", 0.1), ("rings", 0.08), ("mixture", 0.2)])
def test_points_lie_about_their_curve_with_normal_noise(name: str, noise: float) -> None:
    _, place, _ = POINTS[name]
    train, _ = make_points(name)
    num_classes = int(train.labels.max()) + 1
    for label in range(num_classes):
        curve = np.array([place(label, share) for share in np.linspace(0, 1, 2_000)])
        points = train.features[train.labels == label].double().numpy()
        squares = distances(points, curve) ** 2
        if name == "mixture":  # a centre: both coordinates are noise
            squares = squares / 2
        # Across a curve noise is normal; near the ends of the moons it is more than that.
        assert squares.mean() ** 0.5 == pytest.approx(noise, rel=0.15)


def test_the_mixture_has_eight_places() -> None:
    train, test = make_points("mixture")
    for split in (train, test):
        means = torch.stack([split.features[split.labels == label].mean(dim=0) for label in range(8)])
        angles = torch.arange(8) * torch.pi / 4
        assert (means - 2 * torch.stack([angles.cos(), angles.sin()], dim=1)).norm(dim=1).max() < 0.06
    assert load("mixture").class_names[:3] == ("east", "north-east", "north")


@pytest.mark.parametrize("name", POINTS)
def test_a_set_is_always_the_same_one(name: str) -> None:
    dataset = load(name)
    assert isinstance(dataset.kind, Table)
    assert (dataset.kind.shape, dataset.kind.feature_names, dataset.notes) == ((2,), ("x", "y"), ())
    assert (len(dataset.train), len(dataset.test), dataset.validation) == (2_000, 1_000, None)
    assert dataset.digest() == load(name).digest() == DIGESTS[name]
    mean = dataset.kind.scaled(dataset.train.features)
    torch.testing.assert_close(mean.std(dim=0, correction=0), torch.ones(2))
    labels = torch.cat([dataset.train.labels, dataset.test.labels])
    assert len(set(labels.bincount().tolist())) == 1
    assert len({tuple(point) for point in torch.cat([dataset.train.features, dataset.test.features]).tolist()}) > 2_990
    assert labels.diff().ne(0).sum() > 1_000  # shuffled: no long runs of one class, and none that alternate
    assert labels.diff().eq(0).sum() > 200
