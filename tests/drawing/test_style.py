import matplotlib
import numpy as np
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
