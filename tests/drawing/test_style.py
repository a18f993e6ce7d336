import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from etude.drawing.style import class_colours, render, style


def test_settings_are_put_back() -> None:
    before = dict(matplotlib.rcParams)
    with style():
        assert matplotlib.rcParams["legend.frameon"] is False
    assert dict(matplotlib.rcParams) == before


def test_colours_are_distinct() -> None:
    for count in (1, 2, 10, 11, 100):
        assert len(set(class_colours(count))) == count


def test_both_formats_have_the_same_layout() -> None:
    with style():
        figure = Figure(figsize=(4, 3), layout="constrained")
        axes = figure.add_subplot()
        axes.set_ylabel("nats per image")
    assert render(figure, "png").startswith(b"\x89PNG")
    before = np.asarray(axes.get_position())
    render(figure, "svg")
    np.testing.assert_array_equal(np.asarray(axes.get_position()), before)


# Linear RGB as protanopes, deuteranopes and tritanopes see it (Machado, Oliveira and Fernandes 2009, severity 1).
SIGHTS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def oklab(linear: np.ndarray) -> np.ndarray:
    """Linear RGB (N, 3) in Oklab times 100 (Ottosson 2020)."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    axes = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return 100 * np.cbrt(linear.clip(0, 1) @ cones.T) @ axes.T


@pytest.mark.parametrize("sight", SIGHTS)
def test_ten_classes_are_told_apart_by_everyone(sight: str) -> None:
    colours = np.array([to_rgb(colour) for colour in class_colours(10)])
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = oklab(linear @ np.asarray(SIGHTS[sight]).T)
    distances = np.linalg.norm(seen[:, None] - seen, axis=-1)
    assert distances[~np.eye(10, dtype=bool)].min() > 12  # Petroff's ten: 6
    assert oklab(linear)[:, 0].max() < 88  # none is lost on the white page
