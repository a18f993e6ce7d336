import io
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from etude.drawing.mosaic import evolution_strip, image_grid, interpolation, reconstructions, style_rows
from etude.drawing.style import render
from etude.drawing.tiles import GAP_LEVEL


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape)


def shown(figure: Figure) -> np.ndarray:
    """The pixels of the figure's one picture."""
    (axes,) = figure.axes
    (picture,) = axes.get_images()
    return np.asarray(picture.get_array())


def column_labels(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_xticklabels()]


def row_labels(figure: Figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_places_image_after_image(channels: int) -> None:
    given = images(5, channels, 28, 28)
    pixels = shown(image_grid(given, columns=3, title="Samples"))
    assert pixels.shape == (2 * 28 + 3, 3 * 28 + 4, 3)
    fifth = np.rint(given[4] * 255).transpose(1, 2, 0)
    np.testing.assert_array_equal(pixels[30:58, 30:58], np.broadcast_to(fifth, (28, 28, 3)))
    assert (pixels[0] == GAP_LEVEL).all()
    assert (pixels[30:58, 59:87] == 255).all()  # the empty place is white


def test_every_pixel_is_equally_large() -> None:
    figure = image_grid(images(6, 1, 28, 28), columns=3, title="Samples")
    rendered = np.asarray(Image.open(io.BytesIO(render(figure, "png"))))[..., :3]
    box = figure.axes[0].get_window_extent()
    left, top = round(box.x0), len(rendered) - round(box.y1)
    expected = shown(figure).repeat(2, axis=0).repeat(2, axis=1)  # 28 pixels are doubled
    np.testing.assert_array_equal(rendered[top : top + expected.shape[0], left : left + expected.shape[1]], expected)


def test_evolution_names_its_steps() -> None:
    figure = evolution_strip(images(3, 4, 1, 28, 28), steps=[0, 250, 1500], title="Evolution")
    assert row_labels(figure) == ["step 0", "step 250", "step 1,500"]
    assert shown(figure).shape == (3 * 29 + 1, 4 * 29 + 1, 3)


def test_reconstructions_stand_below_their_originals() -> None:
    originals, decoded = np.zeros((4, 3, 32, 32)), np.ones((4, 3, 32, 32))
    figure = reconstructions(originals, decoded, column_labels=["cat", "dog", "owl", "elk"], title="Reconstructions")
    assert row_labels(figure) == ["original", "reconstruction"]
    assert column_labels(figure) == ["cat", "dog", "owl", "elk"]
    assert (shown(figure)[1:33, 1:33] == 0).all()
    assert (shown(figure)[34:66, 1:33] == 255).all()


def test_interpolation_frames_the_test_images() -> None:
    figure = interpolation(
        np.zeros((2, 1, 28, 28)),
        np.full((2, 3, 1, 28, 28), 0.5),
        np.ones((2, 1, 28, 28)),
        mixes=[0, 0.5, 1],
        title="Between",
    )
    assert column_labels(figure) == ["test", "0.0", "0.5", "1.0", "test"]
    assert len(figure.axes[0].patches) == 4
    row = shown(figure)[10]
    ends = [row[1, 0], row[-2, 0]]
    assert ends == [0, 255]
    assert (row == 128).all(axis=1).sum() == 3 * 28


def test_styles_head_each_column_with_its_class() -> None:
    figure = style_rows(images(2, 1, 28, 28), images(2, 3, 1, 28, 28), class_names=["a", "b", "c"], title="Styles")
    assert column_labels(figure) == ["test", "a", "b", "c"]
    assert len(figure.axes[0].patches) == 2


def test_long_class_names_are_turned() -> None:
    labels = ["automobile", "cat"]
    figure = image_grid(images(2, 3, 32, 32), columns=2, title="Samples", column_labels=labels)
    assert figure.axes[0].get_xticklabels()[0].get_rotation() == 45
    short = image_grid(images(2, 3, 32, 32), columns=2, title="Samples", column_labels=["0", "1"])
    assert short.axes[0].get_xticklabels()[0].get_rotation() == 0


@pytest.mark.parametrize("long", [False, True])
def test_no_label_is_cut_off(long: bool) -> None:
    names = ["a very long name of a class", "b"] if long else ["a", "b"]
    figure = reconstructions(images(2, 1, 16, 16), images(2, 1, 16, 16), column_labels=names, title="T" * 80)
    figure.draw_without_rendering()
    box = figure.axes[0].get_tightbbox()
    assert box is not None
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= figure.bbox.width
    assert box.y1 <= figure.bbox.height


DRAWINGS: list[Callable[[], Figure]] = [
    lambda: image_grid(images(8, 3, 32, 32), columns=4, title="Grid <&>"),
    lambda: evolution_strip(images(2, 3, 1, 200, 100), steps=[0, 1], title="Evolution"),
]


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_svg_is_xml_and_the_same_each_time(drawing: Callable[[], Figure]) -> None:
    first = render(drawing(), "svg")
    assert ElementTree.fromstring(first).tag == "{http://www.w3.org/2000/svg}svg"
    assert first == render(drawing(), "svg")
