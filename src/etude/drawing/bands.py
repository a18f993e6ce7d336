"""Means over several runs as curves, each with a band around it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from etude.drawing.style import SERIES_COLOURS, style

_LINES = ("-", "--", ":", "-.")
_MARKERS = "osD^vP*X"
BAND_ROOM = 0.3
"""How far the axes may extend beyond the curves to show bands, as a share of the curves' range."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """One named curve: means (n,) at epochs (n,), with the low and high end (n,) of its band, or without one."""

    name: str
    epochs: np.ndarray
    means: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class BandPanel:
    """One pair of axes: the same quantity of every cell, in the same order in all panels."""

    title: str
    y_label: str
    bands: Sequence[Band]


@style()
def band_curves(panels: Sequence[BandPanel], *, title: str, note: str) -> Figure:
    """Panels side by side against the epoch, with one legend below and a note on what the bands are.

    Curves differ in colour, marker and, from the eighth on, dashes, so colour is not needed to tell them apart. Shorter
    curves lie over longer ones, which would otherwise hide them. Very wide bands leave the axes.
    """
    names = list(dict.fromkeys(band.name for panel in panels for band in panel.bands))
    columns = max(1, min(len(names), int(4.6 * len(panels) / (0.5 + 0.075 * max(map(len, names))))))
    height_inches = 3.9 + 0.2 * -(-len(names) // columns)
    figure = Figure(figsize=(max(6.6, 4.6 * len(panels)), height_inches), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    handles = {}
    opacity = min(0.18, 1.2 / len(names))  # curves stay visible under many bands
    for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        for band in sorted(panel.bands, key=lambda band: -len(band.epochs)):
            index = names.index(band.name)
            colour = SERIES_COLOURS[index % len(SERIES_COLOURS)]
            dashes = _LINES[index // len(SERIES_COLOURS) % len(_LINES)]
            marker = _MARKERS[index % len(_MARKERS)]
            if band.low is not None and band.high is not None:
                axes.fill_between(band.epochs, band.low, band.high, color=colour, alpha=opacity, linewidth=0)
            (handles[band.name],) = axes.plot(
                band.epochs, band.means, color=colour, linestyle=dashes, marker=marker, markersize=3.5,
                markevery=max(1, len(band.epochs) // 12),
            )  # fmt: skip
        axes.set(title=panel.title, xlabel="epoch", ylabel=panel.y_label)
        axes.set_xlim(left=0)
        _keep_curves_readable(axes, panel.bands)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(True)
    figure.legend(
        [handles[name] for name in names], names, loc="outside lower left", ncols=columns, title=note, alignment="left",
        title_fontsize=8.5,
    )  # fmt: skip
    return figure


def _keep_curves_readable(axes: Axes, bands: Sequence[Band]) -> None:
    """Let the very wide bands of two or three runs leave the axes; otherwise they would flatten the curves."""
    means = np.concatenate([band.means for band in bands])
    most = BAND_ROOM * np.ptp(means)
    low, high = axes.get_ylim()
    if most > 0:
        axes.set_ylim(max(low, means.min() - most), min(high, means.max() + most))
