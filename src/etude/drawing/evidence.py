"""What an experiment found: values with their intervals side by side, and lines with bands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis as OneAxis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from etude.drawing.style import BLUE, GREY, SERIES_COLOURS, style

Scale = Literal["linear", "log", "symlog"]
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""A shape per series beside its colour, for readers who do not see colours."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One named line: values (n,) at x (n,), with a band from `low` to `high` (n,) if they are given."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dashed: bool = False
    """For a formula, or another line to compare with."""
    dots: bool = False
    """Points of a plane, with nothing between them."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Lines that share a pair of axes, with names that contain the units."""

    lines: Sequence[Line]
    x_label: str
    y_label: str
    title: str = ""
    x_scale: Scale = "linear"
    y_scale: Scale = "linear"
    levels: Mapping[str, float] | None = None
    """Horizontal lines to compare with, by what they mean."""
    square: bool = False
    """Whether a unit is as long on both axes, as for points of a plane."""


@style()
def lines(*panels: Axis, title: str) -> Figure:
    """Panels side by side."""
    width = 6.2 if len(panels) == 1 else 4.3 * len(panels)
    figure = Figure(figsize=(width, 3.9), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        _draw_lines(axes, panel)
    return figure


def _draw_lines(axes: Axes, panel: Axis) -> None:
    for place, line in enumerate(panel.lines):
        colour = SERIES_COLOURS[place % len(SERIES_COLOURS)]
        if line.dots:
            axes.plot(line.x, line.y, ".", color=colour, markersize=3, alpha=0.5, markeredgewidth=0)
            axes.plot([], [], "o", color=colour, markersize=4, label=line.name)  # large enough for the legend
            continue
        marker = MARKERS[place % len(MARKERS)] if len(line.x) <= 25 and not line.dashed else None
        axes.plot(line.x, line.y, color=colour, linestyle="--" if line.dashed else "-", marker=marker, markersize=4,
            label=line.name)  # fmt: skip
        if line.low is not None and line.high is not None:
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.18, linewidth=0)
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
    axes.set_xscale(panel.x_scale)
    axes.set_yscale(panel.y_scale)
    _label_ticks(axes.xaxis, panel.x_scale)
    _label_ticks(axes.yaxis, panel.y_scale)
    for text, level in (panel.levels or {}).items():
        axes.axhline(level, color=GREY, linestyle=":", linewidth=1.2, zorder=1)
        axes.annotate(text, (1, level), xycoords=("axes fraction", "data"), xytext=(-3, 3), ha="right",
            textcoords="offset points", color=GREY, fontsize=8)  # fmt: skip
    if panel.square:
        axes.set_aspect("equal", adjustable="datalim")
    if panel.title:
        axes.set_title(panel.title)
    axes.grid(True)
    if len(panel.lines) > 1:
        axes.legend()


def _label_ticks(axis: OneAxis, scale: Scale) -> None:
    """Plain numbers on an axis that is not linear: powers of ten would be mathematics, which étude's style writes as
    it is. Where it has less than two decades, also numbers between the powers."""
    if scale == "linear":
        return
    low, high = axis.get_view_interval()
    if scale == "log" and high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if high < 10 * low else (1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Values (n,) with their intervals (n,), a name each, that share a unit."""

    names: Sequence[str]
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    label: str
    """What the values are, with the unit."""
    title: str = ""
    scale: Scale = "linear"
    level: float | None = None
    """A value to compare with."""
    level_means: str = ""


@style()
def intervals(*panels: Bars, title: str) -> Figure:
    """Points with 95 % intervals, one row a name, from the top down; panels side by side."""
    rows = max(len(panel.names) for panel in panels)
    width = 6.2 if len(panels) == 1 else 1.2 + 3.6 * len(panels)
    figure = Figure(figsize=(width, 1.5 + 0.36 * rows), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        values, low, high = (np.asarray(each, dtype=float) for each in (panel.values, panel.low, panel.high))
        places = np.arange(len(panel.names))[::-1]
        if panel.level is not None:
            axes.axvline(panel.level, color=GREY, linestyle=":", linewidth=1.2, label=panel.level_means or None)
        axes.errorbar(values, places, xerr=np.maximum(0, np.stack([values - low, high - values])), fmt="o",
            color=BLUE, capsize=3)  # fmt: skip
        axes.set_yticks(places, panel.names)
        axes.set_ylim(-0.6, len(panel.names) - 0.4)
        axes.set_xscale(panel.scale)
        _label_ticks(axes.xaxis, panel.scale)
        axes.set_xlabel(panel.label)
        if panel.title:
            axes.set_title(panel.title)
        axes.grid(True, axis="x")
        if panel.level_means:
            axes.legend(loc="best")
    return figure
