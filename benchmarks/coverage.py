"""How often étude's 95 % intervals over seeds hold the truth, and how often its tests find what is not there.

    python benchmarks/coverage.py [--samples 10000] [--resamples 1999] [--jobs 2]

Draws samples of n values whose mean is known and counts in how many the interval holds it. Prints the tables of
docs/metrics.md. Up to eight values every resample is counted; beyond, `--resamples` are drawn (étude draws 9,999, which
changes a share by a few thousandths).
"""

import argparse
import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from etude.metrics import (
    bootstrap_interval,
    bootstrap_t_interval,
    compare_paired,
    share_interval,
    t_interval,
    wilson_interval,
)
from etude.metrics.intervals import FEWEST_VALUES, Interval

NUMBERS = (3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20)
PAIRS = (6, 7, 8, 10, 12)
COLLAPSED_SHARE = 0.2
Draw = Callable[[np.random.Generator, int, int], np.ndarray]


def normal(random: np.random.Generator, num_samples: int, num_values: int) -> np.ndarray:
    """Standard normal values."""
    return random.normal(size=(num_samples, num_values))


def lognormal(random: np.random.Generator, num_samples: int, num_values: int) -> np.ndarray:
    """Skewed values: exponentials of standard normal ones, less their mean."""
    return np.exp(random.normal(size=(num_samples, num_values))) - math.exp(0.5)


def one_in_five_collapsed(random: np.random.Generator, num_samples: int, num_values: int) -> np.ndarray:
    """Normal values of which one in five lies ten standard deviations lower, less their mean."""
    collapsed = random.random((num_samples, num_values)) < COLLAPSED_SHARE
    return normal(random, num_samples, num_values) - 10 * (collapsed - COLLAPSED_SHARE)


KINDS: dict[str, Draw] = {
    "normal": normal,
    "lognormal": lognormal,
    "one seed in five collapsed": one_in_five_collapsed,
}
"""Values with mean 0."""


def methods(num_values: int, num_resamples: int) -> dict[str, Callable[[np.ndarray], Interval] | None]:
    """The intervals of a mean, by name; None where there are too few values."""
    resampled = {"num_resamples": num_resamples}
    enough = num_values >= FEWEST_VALUES["bootstrap-t"]
    return {
        "Student's t": t_interval,
        "bootstrap-t": partial(bootstrap_t_interval, **resampled) if enough else None,
        "BCa": partial(bootstrap_interval, **resampled),
    }


def coverage(kind: str, num_values: int, num_samples: int, num_resamples: int) -> dict[str, tuple[float, float]]:
    """By method: the share of samples whose interval holds 0, and the median of its width."""
    samples = KINDS[kind](np.random.default_rng(num_values), num_samples, num_values)
    found = {}
    for name, interval_of in methods(num_values, num_resamples).items():
        if interval_of is None:
            found[name] = (float("nan"), float("nan"))
            continue
        ends = np.array([(each.low, each.high) for each in map(interval_of, samples)])
        holds = (ends[:, 0] <= 0) & (ends[:, 1] >= 0)
        found[name] = (float(holds.mean()), float(np.median(np.ptp(ends, axis=1))))
    return found


DIFFERENCES: dict[str, tuple[Draw, float]] = {
    "normal": (normal, 0.0),
    "lognormal": (lognormal, 1 - math.exp(0.5)),
    # The median is the 3/8 quantile of the values that did not collapse.
    "one seed in five collapsed": (one_in_five_collapsed, 10 * COLLAPSED_SHARE - 0.3186394),
    "normal, effect of 1": (lambda *sizes: normal(*sizes) + 1, 1.0),
}
"""Differences over pairs with mean 0, and their median. In the last both are 1."""


def significant(kind: str, num_pairs: int, num_samples: int) -> dict[str, float]:
    """By test: the share of samples that it calls significant; also where a note says that differences lie apart.

    The test of the median is given differences less their median, which is the hypothesis that it tests.
    """
    draw, median = DIFFERENCES[kind]
    samples = draw(np.random.default_rng(num_pairs), num_samples, num_pairs)
    zeros = np.zeros(num_pairs)
    of_mean = [compare_paired(zeros, each) for each in samples]
    shift = median if "effect" not in kind else 0.0
    of_median = [compare_paired(zeros, each - shift, test="median") for each in samples]
    return {
        "mean": float(np.mean([each.is_significant for each in of_mean])),
        "median": float(np.mean([each.is_significant for each in of_median])),
        "note": float(np.mean([bool(each.note) for each in of_mean])),
    }


def share_coverage(num_total: int) -> dict[str, tuple[float, float]]:
    """By interval of a share of num_total: least and mean coverage over shares of 0.5 to 1, computed exactly."""
    from scipy.stats import binom

    shares = np.concatenate([np.linspace(0.5, 0.999, 1000), 1 - np.geomspace(0.01 / num_total, 0.2, 1000)])
    likely = binom.pmf(np.arange(num_total + 1), num_total, shares[:, None])
    found = {}
    for name, interval_of in (("exact", share_interval), ("Wilson", wilson_interval)):
        ends = np.array([(each.low, each.high) for each in (interval_of(k, num_total) for k in range(num_total + 1))])
        holds = (ends[:, 0] <= shares[:, None]) & (shares[:, None] <= ends[:, 1])
        covered = (likely * holds).sum(axis=1)
        found[name] = (float(covered.min()), float(covered[:1000].mean()))
    return found


def row(*cells: str) -> None:
    """A line of a table in Markdown."""
    print(f"| {' | '.join(cells)} |", flush=True)


def heading(*cells: str) -> None:
    """The first lines of a table in Markdown."""
    print()
    row(*cells)
    row(*["---"] * len(cells))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--resamples", type=int, default=1999)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with ProcessPoolExecutor(options.jobs) as pool:
        print("Coverage of 95 % intervals of the mean, and their median width.")
        for kind in KINDS:
            given = [(kind, number, options.samples, options.resamples) for number in NUMBERS]
            found = list(pool.map(coverage, *zip(*given, strict=True)))
            heading(kind, *map(str, NUMBERS))
            for name in found[0]:
                for index, what in enumerate((name, f"{name}, width")):
                    row(what, *("-" if math.isnan(each[name][index]) else f"{each[name][index]:.3f}" for each in found))
        heading("differences", "test", *map(str, PAIRS))
        for kind in DIFFERENCES:
            found = list(pool.map(significant, *zip(*((kind, pairs, options.samples) for pairs in PAIRS), strict=True)))
            for name in found[0]:
                row(kind, name, *(f"{each[name]:.3f}" for each in found))
        totals = (10, 30, 100, 297, 1000)
        heading("images", *map(str, totals))
        found = list(pool.map(share_coverage, totals))
        for name in found[0]:
            for index, what in enumerate(("least", "mean")):
                row(f"{name}, {what}", *(f"{each[name][index]:.3f}" for each in found))


if __name__ == "__main__":
    main()
