import io

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from PIL import Image

from etude.drawing.latent import apart, latent_plane, latent_scatter, plane_points
from etude.drawing.style import render


def pixels_at(figure: Figure, points: list[tuple[float, float]]) -> np.ndarray:
    """The colours (points, 3) that the figure shows at points in latent units."""
    pixels = np.asarray(Image.open(io.BytesIO(render(figure, "png"))))
    across, up = figure.axes[0].transData.transform(points).astype(int).T
    return pixels[len(pixels) - 1 - up, across, :3]


def test_points_span_the_plane() -> None:
    points = plane_points()
    assert points.shape == (31, 31, 2)
    np.testing.assert_allclose(points[0, 0], [-2, -2])
    np.testing.assert_allclose(points[0, 30], [2, -2])  # along a row the first latent grows
    np.testing.assert_allclose(points[15, 15], [0, 0], atol=1e-7)


@pytest.mark.parametrize("side", [28, 48])  # the larger is shrunk to fit a screen
def test_each_image_lies_at_its_point(side: int) -> None:
    # Red is the first latent, green the second, so a pixel says where its image was decoded.
    points = torch.from_numpy(plane_points())
    colours = torch.cat([(points + 2) / 4, torch.zeros(31, 31, 1)], dim=-1)  # (31, 31, 3)
    images = colours[..., None, None].expand(31, 31, 3, side, side)
    figure = latent_plane(images, title="Plane", axis_names=("first latent", "second latent"))
    places = [(-2.0, -2.0), (2.0, -2.0), (-2.0, 2.0), (0.0, 0.0), (1.2, -0.4)]
    expected = [[255 * (first + 2) / 4, 255 * (second + 2) / 4, 0] for first, second in places]
    np.testing.assert_allclose(pixels_at(figure, places), expected, atol=2)


def test_images_stand_upright() -> None:
    images = np.zeros((31, 31, 1, 28, 28))
    images[..., :14, :] = 1  # white above, black below
    figure = latent_plane(images, title="Plane", axis_names=("first", "second"))
    np.testing.assert_array_equal(pixels_at(figure, [(0, 0.03), (0, -0.03)])[:, 0], [255, 0])


def test_plane_axes_are_in_latent_units() -> None:
    figure = latent_plane(np.zeros((31, 31, 1, 28, 28)), title="Plane", axis_names=("first latent", "second latent"))
    (axes,) = figure.axes
    figure.draw_without_rendering()
    for axis in (axes.xaxis, axes.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == ["−2", "−1", "0", "1", "2"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("first latent", "second latent")
    assert axes.get_xlim() == pytest.approx((-2 - 1 / 15, 2 + 1 / 15))
    box = axes.get_window_extent()
    assert (box.width, box.height) == pytest.approx((31 * 28, 31 * 28))  # one dot a pixel


def scatter(count: int = 300, classes: int = 10, spread: float = 1.0) -> Figure:
    random = np.random.default_rng(0)
    return latent_scatter(
        random.normal(size=(count, 2)) * spread,
        random.integers(0, classes, count),
        class_names=[f"class {index}" for index in range(classes)],
        title="Scatter",
        axis_names=("first latent", "second latent"),
    )


def test_scatter_has_the_priors_circles_and_a_legend() -> None:
    figure = scatter()
    (axes,) = figure.axes
    circles = [patch for patch in axes.patches if isinstance(patch, Circle)]
    assert [circle.get_radius() for circle in circles] == [1, 2]
    assert {circle.get_linestyle() for circle in circles} == {"--"}
    legend = axes.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [*(f"class {index}" for index in range(10)), "prior 1σ, 2σ"]
    assert axes.get_aspect() == 1
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("first latent", "second latent")


def test_scatter_colours_each_point_by_its_class() -> None:
    means, labels = np.arange(20.0).reshape(10, 2) / 10, np.arange(10) % 2
    figure = latent_scatter(means, labels, class_names=["a", "b"], title="", axis_names=("x", "y"))
    (axes,) = figure.axes
    (points,) = axes.collections
    places = map(tuple, np.asarray(points.get_offsets()).round(3))
    colours = dict(zip(places, np.asarray(points.get_facecolor()), strict=True))
    first, second = colours[0.0, 0.1], colours[0.2, 0.3]
    assert not np.array_equal(first, second)
    for mean, label in zip(means, labels, strict=True):
        np.testing.assert_array_equal(colours[tuple(mean.round(3))], second if label else first)


def test_scatter_shows_every_point_and_both_circles() -> None:
    assert scatter(spread=10).axes[0].get_xlim()[1] > 20
    assert scatter(spread=0.01).axes[0].get_xlim()[1] > 2


def test_scatter_of_many_points_and_classes_is_a_small_svg() -> None:
    figure = scatter(count=5000, classes=100)
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 21
    assert len(render(figure, "svg")) < 1_000_000


def test_names_of_clusters_do_not_lie_on_each_other() -> None:
    rng = np.random.default_rng(0)
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    labels = rng.integers(0, 10, 2000)
    points = rng.normal(0, 0.2, (10, 2))[labels] + rng.normal(0, 0.3, (2000, 2))  # all in one place
    figure = latent_scatter(points, labels, class_names=names, title="", axis_names=("first", "second"))
    render(figure, "png")
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text() in names]
    assert len(boxes) == 10
    assert not any(one.overlaps(other) for index, one in enumerate(boxes) for other in boxes[:index])


def test_boxes_with_room_stay_where_they_are() -> None:
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 3.0]])
    places = apart(centres, np.full((3, 2), 4.0))
    np.testing.assert_array_equal(places[0], centres[0])
    np.testing.assert_allclose(places[1:], [[10, -0.5], [10, 3.5]])  # pushed apart by what overlapped, half each
