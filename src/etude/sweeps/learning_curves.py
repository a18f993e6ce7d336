"""The learning curves of a sweep as a figure: what its family draws per epoch, with a line per cell."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.bands import Band, BandPanel, band_curves
from etude.errors import printable
from etude.families.series import Curve
from etude.metrics import summarize
from etude.metrics.intervals import FEWEST_VALUES, IntervalMethod
from etude.runs.events import Table
from etude.sweeps.tables import METHODS


def learning_curves(
    curves: Sequence[Curve],
    tables: Mapping[str, Sequence[Table]],
    method: IntervalMethod,
    *,
    title: str,
    repeats: str = "seeds",
) -> Figure | None:
    """Mean over the seeds per epoch, with the 95 % interval of the mean as a band; None before any run ended.

    `curves` are those of the runs' family. `tables` has what the finished runs of each cell recorded, by the cell's
    label. `repeats` is what the runs of a cell differ in.
    """
    panels = [panel for panel in _panels(curves, tables, method) if panel.bands]
    if not panels:
        return None
    fewest, most = (choose(len(each) for each in tables.values() if each) for choose in (min, max))
    runs = "seeds" if repeats == "seeds" else "runs"
    note = f"one {runs[:-1]}" if most == 1 else f"mean over {most if fewest == most else f'{fewest} to {most}'} {runs}"
    if most >= FEWEST_VALUES[method]:
        note += f"; band: 95 % interval of the mean, by {METHODS[method]}"
    return band_curves(panels, title=printable(title), note=note)


def _panels(
    curves: Sequence[Curve], tables: Mapping[str, Sequence[Table]], method: IntervalMethod
) -> Iterator[BandPanel]:
    for curve in curves:
        bands = [band for label, each in tables.items() if (band := _band(label, each, curve.metric, method))]
        yield BandPanel(title=curve.title, y_label=curve.axis, bands=bands)


def _band(name: str, tables: Sequence[Table], metric: str, method: IntervalMethod) -> Band | None:
    """The mean of one metric over the runs of full length, with its interval if there are enough runs."""
    series = [table.series(metric) for table in tables if metric in table.columns]
    steps = max((at for at, _ in series), key=len, default=np.array([]))
    # Leave out runs that lack lines or have values that cannot be drawn; draw the others.
    whole = [each for at, each in series if np.array_equal(at, steps) and np.isfinite(each).all()]
    if not whole or not len(steps):
        return None
    # A training loss is a mean over its epoch, so it is drawn in the middle of it.
    epochs = steps / tables[0].steps_per_epoch - (0.5 if metric.startswith("train/") else 0)
    values = np.stack(whole)  # (runs, epochs)
    if len(values) < FEWEST_VALUES[method]:
        return Band(name=name, epochs=epochs, means=values.mean(axis=0))
    intervals = [summarize(column, method=method).interval for column in values.T]
    low, high = (np.array([getattr(each, end) for each in intervals]) for end in ("low", "high"))
    return Band(name=name, epochs=epochs, means=values.mean(axis=0), low=low, high=high)
