"""Losses and accuracies against the training step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from etude.drawing.style import GREY, style

MIN_POINTS_TO_SMOOTH = 60
"""A series with fewer points is drawn as it is; a longer one is drawn faintly, with a running mean over it."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One named line: values (n,) at training steps (n,)."""

    name: str
    steps: np.ndarray
    values: np.ndarray
    colour: str
    smooth: bool = False
    """Whether it is noisy. With enough points it is drawn faintly, with a running mean over it."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A dashed horizontal line with its meaning beside it."""

    text: str
    value: float
    colour: str = GREY


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes: the series that share a unit."""

    title: str
    y_label: str
    series: Sequence[Series]
    references: Sequence[Reference] = ()


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over the `window` (odd) values around each one, fewer at the ends; only finite values count."""
    finite = np.isfinite(values)
    kernel = np.ones(window)
    total = np.convolve(np.where(finite, values, 0.0), kernel)
    number = np.convolve(finite.astype(float), kernel)
    middle = slice(window // 2, window // 2 + len(values))
    return np.divide(total[middle], number[middle], out=np.full(len(values), np.nan), where=number[middle] > 0)


@style()
def loss_curves(panels: Sequence[Panel], *, steps_per_epoch: int, title: str) -> Figure:
    """Panels side by side, each with its series against the training step, and epochs on a second axis on top."""
    width_inches = 6.6 if len(panels) == 1 else 3.9 * len(panels)
    figure = Figure(figsize=(width_inches, 4.0), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        _draw_panel(axes, panel, steps_per_epoch)
    return figure


def _draw_panel(axes: Axes, panel: Panel, steps_per_epoch: int) -> None:
    for series in panel.series:
        steps, values, colour = series.steps, series.values, series.colour
        smooth = series.smooth and len(values) >= MIN_POINTS_TO_SMOOTH
        label = series.name
        if smooth:
            axes.plot(steps, values, color=colour, alpha=0.3, linewidth=0.9)
            window = len(values) // 30 * 2 + 1
            values, label = running_mean(values, window), f"{label} (mean of {window} points)"
        # A few points are marked, so that a reader sees where something was measured, and sees a single point at all.
        marker = "o" if len(values) <= 25 else None
        axes.plot(steps, values, color=colour, marker=marker, markersize=3.5, label=label)

    # Texts are right of the axes, the upper one above its line and the lower one below, so they hide nothing.
    ordered = sorted(panel.references, key=lambda reference: reference.value)
    for index, reference in enumerate(ordered):
        axes.axhline(reference.value, color=reference.colour, linestyle="--", linewidth=1, zorder=1)
        align = "top" if index == 0 and len(ordered) > 1 else "bottom" if len(ordered) > 1 else "center"
        axes.annotate(
            reference.text,
            (1, reference.value),
            xycoords=("axes fraction", "data"),
            xytext=(5, 0),
            textcoords="offset points",
            va=align,
            color=reference.colour,
            fontsize=8,
        )

    axes.set_title(panel.title)
    axes.set_xlabel("training step")
    axes.set_ylabel(panel.y_label)
    axes.grid(True)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlim(left=0)
    axes.legend()
    to_epochs, to_steps = (lambda step: step / steps_per_epoch), (lambda epoch: epoch * steps_per_epoch)
    epochs = axes.secondary_xaxis("top", functions=(to_epochs, to_steps))
    epochs.set_xlabel("epoch", color=GREY)
    epochs.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    epochs.spines["top"].set_visible(True)
