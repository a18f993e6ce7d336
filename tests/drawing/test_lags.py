"""The figure of gradients by lag."""

import numpy as np
import pytest

from etude.drawing.lags import gradients_by_lag
from etude.drawing.style import render


def test_the_curves_are_the_gradients_relative_to_the_first() -> None:
    figure = gradients_by_lag({"S": [2.0, 1.0, 0.5], "T": [4.0, 0.0]}, title="net by steps back")
    (axes,) = figure.axes
    source, target = (line.get_ydata() for line in axes.lines)
    assert np.asarray(source) == pytest.approx([1, 0.5, 0.25])
    assert np.asarray(target)[0] == 1
    assert np.isnan(np.asarray(target)[1])  # a logarithm has no place for 0
    assert (axes.get_yscale(), axes.get_xlabel()) == ("log", "steps back from the last output")
    assert [line.get_label() for line in axes.lines] == ["S", "T"]
    assert axes.get_legend() is not None
    figure.canvas.draw()
    assert "1" in [text.get_text() for text in axes.get_yticklabels()]
    assert render(figure, "png").startswith(b"\x89PNG")


def test_a_single_curve_needs_no_legend() -> None:
    assert gradients_by_lag({"T": [1.0, 0.5]}, title="net").axes[0].get_legend() is None
