"""How far back gradients reach: their size against the number of steps back."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from etude.drawing.style import SERIES_COLOURS, style


@style()
def gradients_by_lag(gradients: Mapping[str, Sequence[float]], *, title: str) -> Figure:
    """A curve for each name: gradients by lag from 0 on, relative to the one at 0; a zero is left out."""
    figure = Figure(figsize=(6.6, 4.0), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    axes = figure.subplots()
    for (name, values), colour in zip(gradients.items(), SERIES_COLOURS, strict=False):
        sizes = np.asarray(values, dtype=float)
        shown = np.where(sizes > 0, sizes / sizes[0] if sizes[0] else sizes, np.nan)
        axes.plot(np.arange(len(sizes)), shown, color=colour, marker="o" if len(sizes) <= 60 else None, label=name)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")  # powers of ten would be mathematics, which étude's style writes as it is
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("steps back from the last output")
    axes.set_ylabel("gradient, relative to that at 0")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.grid(True)
    if len(gradients) > 1:
        axes.legend()
    return figure
