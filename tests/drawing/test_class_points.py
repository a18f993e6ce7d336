import numpy as np
import pytest
from sklearn.decomposition import PCA

from etude.drawing.class_points import MOST_POINTS, class_points, plane


def test_two_features_are_the_plane_itself() -> None:
    features = np.random.default_rng(0).normal(size=(9, 2))
    points, axis_names = plane(features, ("long", "wide"))
    assert np.array_equal(points, features)
    assert axis_names == ("long", "wide")
    assert plane(features, ())[1] == ("feature 0", "feature 1")


def test_one_feature_is_drawn_along_the_rows() -> None:
    points, axis_names = plane(np.array([[3.0], [5.0]]), ("long",))
    assert points.tolist() == [[3, 0], [5, 1]]
    assert axis_names == ("long", "number of the row")


def test_more_features_are_drawn_as_scikit_learns_principal_components() -> None:
    features = np.random.default_rng(0).normal(size=(50, 5)) @ np.diag([5, 1, 3, 0.5, 0.1])
    points, axis_names = plane(features, ())
    reference = PCA(2).fit(features)
    expected = np.asarray(reference.transform(features))
    signs = np.sign((points * expected).sum(axis=0))
    np.testing.assert_allclose(points, expected * signs, atol=1e-9)
    shares = [round(100 * share) for share in reference.explained_variance_ratio_]
    assert axis_names == tuple(
        f"principal component {number} ({share} % of the variance)" for number, share in enumerate(shares, start=1)
    )
    assert plane(np.ones((4, 3)), ())[0].tolist() == [[0, 0]] * 4


@pytest.mark.parametrize("count", [1, 40, MOST_POINTS + 10])
def test_each_point_has_the_colour_of_its_class(count: int) -> None:
    points = np.random.default_rng(0).normal(size=(count, 2))
    labels = np.arange(count) % 3
    figure = class_points(points, labels, ["a", "b", "c"], axis_names=("x", "y"), title="three")
    axes = figure.axes[0]
    (drawn,) = axes.collections
    places, colours = np.asarray(drawn.get_offsets()), np.asarray(drawn.get_facecolors())  # type: ignore[attr-defined]
    assert len(places) == min(count, MOST_POINTS)
    by_place = {tuple(place): tuple(colour) for place, colour in zip(places, colours, strict=True)}
    for label in range(min(3, count)):
        assert len({by_place[tuple(point)] for point in points[:MOST_POINTS][labels[:MOST_POINTS] == label]}) == 1
    assert len(set(by_place.values())) == min(3, count)
    legend = axes.get_legend()
    assert legend is not None
    assert [each.get_text() for each in legend.get_texts()] == ["a", "b", "c"]
    assert (axes.get_title(loc="left") or axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("three", "x", "y")
