import numpy as np
import pytest
from matplotlib.patches import Rectangle

from etude.drawing.calibration import reliability_diagram
from etude.drawing.style import render
from etude.metrics import share_interval

EDGES = np.array([0, 0.25, 0.5, 0.75, 1])
NAN = float("nan")


def test_bars_stand_at_the_accuracy_of_their_bin_and_empty_bins_have_none() -> None:
    figure = reliability_diagram(
        EDGES, np.array([0, 10, 0, 30]), np.array([NAN, 0.4, NAN, 0.9]), np.array([NAN, 0.3, NAN, 0.7]),
        error=0.175, title="Reliability",
    )  # fmt: skip
    above, below = figure.axes
    bars = [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in above.patches if isinstance(bar, Rectangle)]
    assert bars == [(0.25, 0.25, 0.3), (0.75, 0.25, 0.7)]
    shares = [bar.get_height() for bar in below.patches if isinstance(bar, Rectangle)]
    assert shares == pytest.approx([0.25, 0.75])
    diagonal, points = above.lines[-1], above.lines[0]
    np.testing.assert_array_equal(np.asarray(points.get_xydata()), [[0.4, 0.3], [0.9, 0.7]])
    np.testing.assert_array_equal(np.asarray(diagonal.get_xydata()), [[0, 0], [1, 1]])
    segments = above.containers[-1].lines[2][0].get_segments()  # type: ignore[attr-defined]
    whiskers = [sorted(segment[:, 1].tolist()) for segment in segments]
    for whisker, right, total in zip(whiskers, (3, 21), (10, 30), strict=True):
        interval = share_interval(right, total)
        assert whisker == pytest.approx([interval.low, interval.high])
    assert above.texts[0].get_text() == "expected calibration error 0.175"
    assert render(figure, "png").startswith(b"\x89PNG")


def test_all_in_one_bin() -> None:
    figure = reliability_diagram(
        np.array([0.0, 1.0]), np.array([5]), np.array([1.0]), np.array([1.0]), error=0.0, title="Sure and right"
    )
    assert len(figure.axes[0].patches) == 1
