"""Curves of several runs for one chart, each thinned, and the mean over seeds with its interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from etude.errors import UsageError
from etude.metrics.intervals import FEWEST_VALUES, t_quantile
from etude.studio.answers import Arrays
from etude.studio.histories import MOST_POINTS, History, Points, thinned

MOST_SERIES = 2000
MOST_EXACT = 8
"""Up to this number of runs, points lie at their own steps."""
BAND_POINTS = 250


def curves(runs: Sequence[tuple[str, History]], columns: Sequence[str], *, low: float, high: float) -> Arrays:
    """The series of runs, by id, and columns: arrays in pairs, steps and values; `about.series` says whose they are."""
    if len(runs) * len(columns) > MOST_SERIES:
        raise UsageError(f"{len(runs)} runs with {len(columns)} metrics each (allowed: {MOST_SERIES} series).")
    most = max(100, min(MOST_POINTS, 100_000 // max(1, len(runs) * len(columns))))
    described, arrays = [], {}
    for run_id, history in runs:
        for column in columns:
            points = history.series(column)
            if len(points[0]):
                _add(arrays, thinned(points, low=low, high=high, most=most, in_line=len(runs) > MOST_EXACT))
                described.append({"run": run_id, "column": column, "points": len(points[0])})
    return Arrays({"series": described}, **arrays)


def bands(groups: Sequence[Sequence[History]], column: str) -> Arrays:
    """The mean over the runs of each group, and its 95 % interval by Student's t: steps, means, low, high."""
    described, arrays = [], {}
    for number, group in enumerate(groups):
        steps, values = _aligned([history.series(column) for history in group])
        if not len(steps) or len(values) < FEWEST_VALUES["t"]:
            continue
        n, means = len(values), values.mean(axis=0)
        half = t_quantile(n) * values.std(axis=0, ddof=1) / np.sqrt(n)
        for array in (means, means - half, means + half):
            _add(arrays, (steps, array))
        described.append({"group": number, "n": n})
    return Arrays({"bands": described}, **arrays)


def _aligned(series: Sequence[Points]) -> Points:
    """The steps that all runs have, at most `BAND_POINTS`, and the values there, (runs, steps): means between them."""
    series = [(steps, values) for steps, values in series if len(steps)]
    if not series:
        return np.array([]), np.array([])
    longest = min(float(steps[-1]) for steps, _ in series)
    edges = np.unique(np.concatenate([steps[steps <= longest] for steps, _ in series]))
    if len(edges) > BAND_POINTS:
        edges = edges[np.linspace(0, len(edges) - 1, BAND_POINTS).round().astype(int)]
    rows = []
    for steps, values in series:
        places = np.searchsorted(edges, steps[steps <= longest])
        sums, counts = (np.bincount(places, weights, len(edges)) for weights in (values[: len(places)], None))
        rows.append(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))
    found = np.stack(rows)
    whole = np.isfinite(found).all(axis=0)
    return edges[whole], found[:, whole]


def _add(arrays: dict[str, Any], points: Points) -> None:
    steps, values = points
    arrays[f"steps{len(arrays)}"] = steps.astype(np.uint32)
    arrays[f"values{len(arrays)}"] = values.astype(np.float32)
