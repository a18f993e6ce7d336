"""Do a classifier's probabilities mean what they say?"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from etude.drawing.style import BLUE, GREY, VERMILLION, style
from etude.metrics.intervals import share_interval


@style()
def reliability_diagram(
    edges: np.ndarray, count: np.ndarray, confidence: np.ndarray, accuracy: np.ndarray, *, error: float, title: str
) -> Figure:
    """Accuracy against confidence per bin, above the number of images per bin (Guo et al. 2017, figure 4).

    `edges` (bins + 1,) in [0, 1]; `count`, mean `confidence` and `accuracy` (bins,), NaN for an empty bin; `error`
    is the expected calibration error. Whiskers are 95 % intervals, since a bin of a few images says little. A bar below
    the diagonal means that the classifier is too sure of itself.
    """
    figure = Figure(figsize=(5.0, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    filled = count > 0
    left, width = edges[:-1][filled], np.diff(edges)[filled]
    above.bar(left, accuracy[filled], width, align="edge", color=BLUE, alpha=0.55, edgecolor="white")
    points, shares, totals = confidence[filled], accuracy[filled], count[filled]
    intervals = [share_interval(round(k), int(n)) for k, n in zip(shares * totals, totals, strict=True)]
    low, high = (np.array([getattr(interval, end) for interval in intervals]) for end in ("low", "high"))
    whiskers = np.maximum(0, np.stack([shares - low, high - shares]))  # not below 0 by rounding
    above.errorbar(
        points, shares, yerr=whiskers, fmt="o", color=VERMILLION, markersize=4, label="mean of a bin, 95% interval"
    )
    above.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1.3, label="calibrated")
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    above.legend(loc="upper left")
    above.annotate(
        f"expected calibration error {error:.3f}",
        (0.98, 0.04),
        xycoords="axes fraction",
        ha="right",
        va="bottom",
        bbox={"facecolor": "white", "alpha": 0.85, "edgecolor": "none"},
    )
    below.bar(left, count[filled] / count.sum(), width, align="edge", color=GREY, edgecolor="white")
    below.set(xlabel="confidence of the predicted class", ylabel="share of images")
    for axes in (above, below):
        axes.grid(True, axis="y")
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    below.xaxis.set_major_formatter(PercentFormatter(1))
    above.set_title(title)
    return figure
