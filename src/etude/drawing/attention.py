"""What a translator looks at: heat maps of its attention."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.style import style

INCHES_PER_TOKEN = 0.24


@style()
def alignment_maps(
    weights: Sequence[np.ndarray], sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]], *, title: str
) -> Figure:
    """A heat map per sentence: how much each written token (row) looked at each source token (column).

    `weights` are (target tokens, source tokens) each, rows of sum 1: white is 0, dark is 1. One to four sentences.
    """
    columns = min(2, len(weights))
    rows = -(-len(weights) // columns)
    widths = [max(map(len, sources[column::columns])) for column in range(columns)]  # tokens
    heights = [max(map(len, targets[columns * row : columns * (row + 1)])) for row in range(rows)]
    size = (1.3 * columns + 0.8 + INCHES_PER_TOKEN * sum(widths), 1.1 * rows + 0.3 + INCHES_PER_TOKEN * sum(heights))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, width_ratios=widths, height_ratios=heights, squeeze=False)
    for axes in grid.flat[len(weights) :]:
        axes.set_axis_off()
    for axes, each, source, target in zip(grid.flat, weights, sources, targets, strict=False):
        axes.imshow(each, cmap="Blues", vmin=0, vmax=1)
        axes.xaxis.tick_top()
        axes.set_xticks(range(len(source)), source, rotation=90)
        axes.set_yticks(range(len(target)), target)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(True)
    figure.colorbar(grid.flat[0].images[0], ax=grid, shrink=0.5, label="weight")
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    return figure
