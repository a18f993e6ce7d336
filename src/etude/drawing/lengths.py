"""Translations of short and of long sentences."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.style import BLUE, VERMILLION, style


@style()
def score_by_length(
    names: Sequence[str],
    counts: Sequence[int],
    values: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    overall: float,
    title: str,
) -> Figure:
    """BLEU for each range of source lengths, with its 95 % interval, and a line at that of all sentences.

    `names` of the ranges, `counts` of their sentences; `values`, `low` and `high` (ranges,).
    """
    figure = Figure(figsize=(6.2, 3.8), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(names))
    axes.errorbar(
        places, values, yerr=np.maximum(0, np.stack([values - low, high - values])), fmt="o-", color=BLUE, capsize=3,
        label="95% interval over the sentences",
    )  # fmt: skip
    axes.axhline(overall, color=VERMILLION, linestyle="--", linewidth=1.3, label=f"all sentences: {overall:.1f}")
    axes.set_xticks(places, [f"{name}\n{count:,}" for name, count in zip(names, counts, strict=True)])
    axes.set(ylim=(0, None), xlabel="source tokens, and sentences of that length", ylabel="BLEU")
    axes.grid(True, axis="y")
    axes.legend(loc="best")
    axes.set_title(title)
    return figure
