"""The files of a sweep's results: a row a run as CSV, a row a cell as Markdown, the learning curves as a figure."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.bands import Band, BandPanel, band_curves
from etude.drawing.style import render
from etude.errors import printable
from etude.families.book import family_of
from etude.families.series import Curve
from etude.files import write_atomically
from etude.metrics import summarize
from etude.metrics.intervals import FEWEST_VALUES, IntervalMethod
from etude.runs.events import Table
from etude.runs.lock import is_training

if TYPE_CHECKING:
    from etude.sweeps.results import CellResult, Results

METHODS: dict[IntervalMethod, str] = {"t": "Student's t", "bootstrap-t": "bootstrap-t"}
"""How the interval of a mean over seeds is computed, as tables and figures name it."""
FILES = ("results.csv", "results.md", "learning-curves.png", "learning-curves.svg")


def write_files(results: "Results") -> None:
    """Write results.csv, results.md and, once a run has finished, the learning curves into the sweep's folder."""
    contents: dict[str, bytes | str] = {"results.csv": to_csv(results), "results.md": to_markdown(results)}
    if figure := learning_curves(results):
        contents |= {"learning-curves.png": render(figure, "png"), "learning-curves.svg": render(figure, "svg")}
    for name, content in contents.items():
        write_atomically(results.sweep.path / name, content)


def to_csv(results: "Results") -> str:
    """A row a run: cell, the grid's fields, seed, state, epochs done, seconds, and the last value of every metric."""
    rows, tables = [], {result.cell.name: result.tables for result in results.cells}
    for member in results.sweep.members():
        state, table = member.state, tables[member.cell.name].get(member.seed)
        place = {"cell": member.cell.name, **member.cell.changes, "seed": member.seed}
        status = "failed" if member.label in results.failures else state.status
        rest = {"state": status, "epochs_done": state.epoch, "seconds": round(state.seconds, 3)}
        rows.append({**place, **rest, **(table.last() if table else {})})
    return csv_of(rows)


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with a column for every key that any of them has."""
    text = io.StringIO()
    keys = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(text, fieldnames=list(keys), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table_rows(results: "Results") -> tuple[list[str], list[list[str]]]:
    """Headings and cells of the table of results, as texts; the best cell has a star."""
    validated = any(result.selection for result in results.cells)
    headings = ["cell", "n", f"{results.metric}, mean", "sd", "95 % interval"]
    headings += [f"{results.selection_metric}, mean"] if validated else []
    return headings, [row_of(results, result, validated=validated) for result in results.cells]


def to_markdown(results: "Results") -> str:
    """The table of results with its sentences."""
    headings, rows = table_rows(results)
    sweep = results.sweep
    title = f"# {sweep.name}: {sweep.recipe.name} on {sweep.data_name}"
    return "\n\n".join([title, markdown_table(headings, rows), *sentences(results)]) + "\n"


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, num_texts: int = 1) -> str:
    """A table in Markdown; the first `num_texts` columns are texts, the others numbers."""
    rule = ["---"] * num_texts + ["---:"] * (len(headings) - num_texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *rows))


def sentences(results: "Results") -> list[str]:
    """What stands below the table: splits, intervals, what failed and what is still to come."""
    found = [results.splits_sentence()]
    if any(result.summary and result.summary.interval for result in results.cells):
        found.append(about_intervals(results.interval, [len(result.values) for result in results.cells]))
    return found + what_is_missing(results)


def about_intervals(method: IntervalMethod, numbers: Sequence[int]) -> str:
    """What n, sd and the intervals of a table are, in a sentence; `numbers` are the seeds of each cell."""
    sentence = (
        "n is the number of seeds, sd the standard deviation over them (n - 1); "
        f"intervals of the mean are by {METHODS[method]}"
    )
    fewest = FEWEST_VALUES[method]
    return sentence + (f", from {fewest} seeds on." if any(1 < number < fewest for number in numbers) else ".")


def what_is_missing(results: "Results") -> list[str]:
    """What failed and what is still to come, in sentences."""
    found = [f"Failed: {label}: {message}" for label, message in results.failures.items()]
    if results.unfinished:
        path = results.sweep.path
        how = "a process is training them" if is_training(path) else f"go on with `etude resume {path}`"
        found.append(f"Unfinished: {len(results.unfinished)} runs; {how}.")
    return found


def learning_curves(results: "Results") -> Figure | None:
    """Mean over the seeds by epoch, with the 95 % interval of the mean as a band; None before any run ended."""
    sweep = results.sweep
    tables = {result.cell.label: list(result.tables.values()) for result in results.cells}
    panels = [
        panel for panel in _panels(family_of(sweep.recipe).series.curves, tables, results.interval) if panel.bands
    ]
    if not panels:
        return None
    title = printable(f"Learning curves · {sweep.name}: {sweep.recipe.name} on {sweep.data_name}")
    fewest, most = (choose(len(each) for each in tables.values() if each) for choose in (min, max))
    note = "one seed" if most == 1 else f"mean over {most if fewest == most else f'{fewest} to {most}'} seeds"
    if most >= FEWEST_VALUES[results.interval]:
        note += f"; band: 95 % interval of the mean, by {METHODS[results.interval]}"
    return band_curves(panels, title=title, note=note)


def _panels(
    curves: Sequence[Curve], tables: Mapping[str, Sequence[Table]], method: IntervalMethod
) -> Iterator[BandPanel]:
    for curve in curves:
        bands = [band for label, each in tables.items() if (band := _band(label, each, curve.metric, method))]
        yield BandPanel(title=curve.title, y_label=curve.axis, bands=bands)


def _band(name: str, tables: Sequence[Table], metric: str, method: IntervalMethod) -> Band | None:
    """The mean of one metric over the runs of full length, with its interval where there are enough runs for one."""
    series = [table.series(metric) for table in tables if metric in table.columns]
    steps = max((at for at, _ in series), key=len, default=np.array([]))
    # A run that lacks lines, or has values that cannot be drawn, is no reason to draw none.
    whole = [each for at, each in series if np.array_equal(at, steps) and np.isfinite(each).all()]
    if not whole or not len(steps):
        return None
    # A training loss is a mean over its epoch: drawn in the middle of it, no later than it was.
    epochs = steps / tables[0].steps_per_epoch - (0.5 if metric.startswith("train/") else 0)
    values = np.stack(whole)  # (runs, epochs)
    if len(values) < FEWEST_VALUES[method]:
        return Band(name=name, epochs=epochs, means=values.mean(axis=0))
    intervals = [summarize(column, method=method).interval for column in values.T]
    low, high = (np.array([getattr(each, end) for each in intervals]) for end in ("low", "high"))
    return Band(name=name, epochs=epochs, means=values.mean(axis=0), low=low, high=high)


def row_of(results: "Results", result: "CellResult", *, validated: bool) -> list[str]:
    """One cell as texts: label with a star for the best, n, mean, deviation, interval, and the validation mean."""
    summary, star = result.summary, " *" if result is results.best else ""
    texts = [f"{result.cell.label}{star}", str(len(result.values))]
    if summary is None:
        texts += ["-", "-", "-"]
    else:
        interval = summary.interval
        texts += [
            number(summary.mean),
            "-" if summary.standard_deviation is None else _deviation(summary.standard_deviation),
            f"{number(interval.low)} to {number(interval.high)}" if interval else "-",
        ]
    if validated:
        texts.append("-" if result.selection_mean is None else number(result.selection_mean))
    return texts


def number(value: float) -> str:
    """A result as the tables show it."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.5g}"


def _deviation(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:.0f}"
