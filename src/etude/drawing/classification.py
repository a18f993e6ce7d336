"""What a classifier confuses, and how well it recognises each class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from etude.drawing.style import BLUE, VERMILLION, style
from etude.metrics.intervals import share_interval

_MAX_CLASSES_WITH_NUMBERS = 20


@style()
def confusion_matrix(counts: np.ndarray, *, class_names: Sequence[str], title: str) -> Figure:
    """Images by true class (row) and predicted class (column): each count and its share of the row in per cent.

    `counts` (classes, classes) from `metrics.confusion_matrix`. With many classes only the colours are shown.
    """
    num_classes = len(class_names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with_numbers = num_classes <= _MAX_CLASSES_WITH_NUMBERS
    side = max(4.0, 0.62 * num_classes) if with_numbers else min(12.0, 5 + 0.05 * num_classes)
    figure = Figure(figsize=(side + 1.2, side + 0.9), layout="constrained")
    axes = figure.add_subplot()
    # A power below 1 lets errors of a few per cent show beside a diagonal near 100 %.
    picture = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    if with_numbers:
        for row, column in np.argwhere(counts).tolist():
            share = shares[row, column]
            colour = "white" if share > 0.3 else "black"
            count = f"{counts[row, column]:,}"
            axes.text(column, row - 0.14, count, ha="center", va="center", color=colour, fontsize=8.5)
            axes.text(column, row + 0.22, f"{share:.1%}", ha="center", va="center", color=colour, fontsize=6.5)
    else:
        bar = figure.colorbar(picture, ax=axes, shrink=0.7, format=PercentFormatter(1))
        bar.set_label("share of the true class")

    every = -(-num_classes // 40)
    shown = np.arange(0, num_classes, every)
    long = max(map(len, class_names)) > 5 or not with_numbers
    names = list(class_names)[::every]
    axes.set_xticks(shown, names, rotation=90 if long else 0)
    axes.set_yticks(shown, names)
    axes.tick_params(length=0)
    if with_numbers:
        axes.set_xticks(np.arange(num_classes + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(num_classes + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="#d8d8d8")
        axes.tick_params(which="minor", length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(title)
    return figure


@style()
def per_class_accuracy(counts: np.ndarray, *, class_names: Sequence[str], title: str) -> Figure:
    """A bar per class, in class order: the share found, with its 95 % interval; a line at the overall accuracy.

    `counts` (classes, classes) from `metrics.confusion_matrix`.
    """
    trials, found = counts.sum(axis=1), np.diag(counts)
    shares = found / np.maximum(trials, 1)
    intervals = [share_interval(int(k), int(n)) if n else None for k, n in zip(found, trials, strict=True)]
    low = np.array([interval.low if interval else 0.0 for interval in intervals])
    high = np.array([interval.high if interval else 1.0 for interval in intervals])
    overall = found.sum() / max(1, trials.sum())
    places = np.arange(len(class_names))

    figure = Figure(figsize=(6.6, 1.6 + 0.32 * len(class_names)), layout="constrained")
    axes = figure.add_subplot()
    whiskers = np.maximum(0, np.stack([shares - low, high - shares]))
    axes.barh(places, shares, xerr=whiskers, color=BLUE, alpha=0.75, height=0.66, error_kw={"capsize": 2.5, "lw": 1.2})
    axes.axvline(overall, color=VERMILLION, linestyle="--", linewidth=1.3)
    axes.annotate(
        f"overall {overall:.1%}", (overall, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
        textcoords="offset points", ha="center", va="bottom", color=VERMILLION, fontsize=8.5,
    )  # fmt: skip
    for place, share, count in zip(places.tolist(), shares, trials, strict=True):
        text = f"{share:.1%} of {count:,}" if count else "no images"
        axes.text(1.02, place, text, va="center", fontsize=8.5, transform=axes.get_yaxis_transform())
    axes.set_yticks(places, class_names)
    axes.set(xlim=(0, 1), ylim=(len(class_names) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("test accuracy, with 95% interval")
    axes.set_ylabel("class")
    axes.set_title(title, pad=18)
    return figure
