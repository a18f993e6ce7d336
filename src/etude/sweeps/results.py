"""What came out of a sweep: mean, standard deviation and interval of each cell; which cell is best, and by which split.

The best cell is chosen by the validation split and by nothing else; what is reported is measured on the test split at
the end of training. A cell chosen by the numbers that are then reported would look better than it is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from etude.drawing.style import render
from etude.errors import EtudeError, RunError
from etude.families.book import family_of
from etude.metrics import summarize
from etude.metrics.intervals import IntervalMethod, Summary
from etude.notebook import heading_html, paragraph_html, picture_html, table_html
from etude.runs import Run
from etude.runs.events import Table
from etude.runs.lock import is_training
from etude.sweeps.folder import Group, Sweep
from etude.sweeps.grid import Cell
from etude.sweeps.learning_curves import learning_curves
from etude.sweeps.tables import about_intervals, number, summary_texts
from etude.sweeps.yardsticks import Yardstick, basis_of, yardstick_of


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """One cell: the values of finished runs by seed, and their summary; None if no run finished.

    In a sweep over folds, the values are by fold, each a mean over the seeds.
    """

    cell: Cell
    values: dict[int, float]
    """What is reported, by seed."""
    summary: Summary | None
    selection: dict[int, float]
    """The values that choose a cell, by seed: on the validation split."""
    tables: dict[str, Table]
    """What training recorded, by the label of the run."""
    whole: bool
    """Whether every run finished. The mean of the survivors would flatter the cell."""

    @property
    def selection_mean(self) -> float | None:
        """Mean of the validation values; None if no images were held out."""
        return float(np.mean(list(self.selection.values()))) if self.selection else None


@dataclass(frozen=True, kw_only=True)
class Results:
    """All cells of a sweep, in the order of the grid."""

    sweep: Sweep
    yardstick: Yardstick
    cells: list[CellResult]
    failures: dict[str, str] = field(default_factory=dict)
    """Why runs failed, by cell and seed."""
    unfinished: list[str] = field(default_factory=list)
    """Runs that are waiting or in progress."""
    interval: IntervalMethod = "t"
    """How to compute the intervals over the seeds."""

    @property
    def metric(self) -> str:
        """What is reported, such as test/accuracy."""
        return self.yardstick.title

    @property
    def selection_metric(self) -> str:
        """What chooses the best cell, such as validation/accuracy."""
        return f"validation/{self.yardstick.name}"

    @property
    def best(self) -> CellResult | None:
        """The best cell by the validation split, among those with all runs finished; None if none is chosen."""
        return None if len(self.cells) < 2 or self.why_no_best() else self._preferred()[0]

    def _preferred(self) -> list[CellResult]:
        """The complete cells with the best validation mean: one, or several that tie."""
        known = [(mean, cell) for cell in self.cells if cell.whole and (mean := cell.selection_mean) is not None]
        best = (max if self.yardstick.better == "higher" else min)(mean for mean, _ in known)
        return [cell for mean, cell in known if mean == best]

    def why_no_best(self) -> str:
        """Why no cell is called the best, in words; empty if one is, or if there is only one cell."""
        whole = [result for result in self.cells if result.whole]
        if self.yardstick.note:
            return self.yardstick.note
        if len({basis_of(result.cell.recipe, self.yardstick) for result in self.cells}) > 1:
            return "No best cell is chosen: the cells are of different images, or score pixels differently."
        if self.unfinished:
            return "No best cell is chosen before all runs have ended."
        if not whole:
            return "No best cell is chosen: every cell has failed runs."
        if any(result.selection_mean is None for result in whole):
            return "No best cell is chosen: that takes a validation split in every cell (--validation-images)."
        if len(tied := self._preferred()) > 1:
            return f"No best cell is chosen: {', '.join(each.cell.label for each in tied)} tie on the validation split."
        return ""

    def splits_sentence(self) -> str:
        """A sentence on which split was used for what."""
        reported = f"Reported: {self.metric} ({self.yardstick.when})."
        if len(self.cells) < 2:
            return f"{reported} {self.yardstick.note}".rstrip()
        if self.best is None:
            return f"{reported} {self.why_no_best()}"
        left_out = "" if all(result.whole for result in self.cells) else ", of the cells without failed runs"
        return f"{reported} Best cell, by {self.selection_metric} alone{left_out}: {self.best.cell.label}."

    def sentences(self) -> list[str]:
        """The text below the table: splits, intervals, what failed and what is unfinished."""
        found = [self.splits_sentence()]
        if any(result.summary and result.summary.interval for result in self.cells):
            found.append(
                about_intervals(self.interval, [len(result.values) for result in self.cells], self.sweep.repeats)
            )
        return found + self.what_is_missing()

    def what_is_missing(self) -> list[str]:
        """Sentences on what failed and what is unfinished."""
        found = [f"Failed: {label}: {message}" for label, message in self.failures.items()]
        if self.unfinished:
            path = self.sweep.path
            how = "a process is training them" if is_training(path) else f"continue with `etude resume {path}`"
            found.append(f"Unfinished: {len(self.unfinished)} runs; {how}.")
        return found

    def table_rows(self) -> tuple[list[str], list[list[str]]]:
        """Headings and cells of the table of results, as texts; the best cell has a star."""
        validated = any(result.selection for result in self.cells)
        headings = ["cell", "n", f"{self.metric}, mean", "sd", "95 % interval"]
        headings += [f"{self.selection_metric}, mean"] if validated else []
        return headings, [self.row_of(result, validated=validated) for result in self.cells]

    def row_of(self, result: CellResult, *, validated: bool) -> list[str]:
        """One cell as texts: label (a star marks the best), n, mean, deviation, interval, and the validation mean."""
        star = " *" if result is self.best else ""
        texts = [f"{result.cell.label}{star}", str(len(result.values)), *summary_texts(result.summary)]
        if validated:
            texts.append("-" if result.selection_mean is None else number(result.selection_mean))
        return texts

    def learning_curves(self) -> Figure | None:
        """Mean over the seeds per epoch, with the 95 % interval of the mean as a band; None before any run ended."""
        tables = {result.cell.label: list(result.tables.values()) for result in self.cells}
        sweep = self.sweep
        title = f"Learning curves · {sweep.name}: {sweep.recipe.name} on {sweep.data_name}"
        curves = family_of(sweep.recipe).series.curves
        return learning_curves(curves, tables, self.interval, title=title, repeats=sweep.repeats)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        best = self.best
        return {
            "sweep": str(self.sweep.path),
            "recipe": self.sweep.recipe.name,
            "data": self.sweep.data_name,
            "grid": {name: list(values) for name, values in self.sweep.grid.items()},
            "seeds": self.sweep.seeds,
            "interval_method": self.interval,
            "reported": {"metric": self.metric, "split": self.yardstick.split},
            "selection": {
                "metric": self.selection_metric,
                "split": "validation",
                "best": best.cell.name if best else None,
            },
            "cells": [cell_dict(result) for result in self.cells],
            "failed": self.failures,
            "unfinished": self.unfinished,
        }

    def __repr__(self) -> str:
        ended = sum(len(result.tables) for result in self.cells)
        return f"<Results of {self.sweep.name}: {len(self.cells)} cells, {ended} runs finished>"

    def _repr_html_(self) -> str:
        headings, rows = self.table_rows()
        sweep = self.sweep
        parts = [
            heading_html(f"{sweep.name}: {sweep.recipe.name} on {sweep.data_name}"),
            table_html(headings, rows),
            *map(paragraph_html, self.sentences()),
        ]
        if figure := self.learning_curves():
            parts.append(picture_html(render(figure, "png"), "learning curves"))
        return "".join(parts)


def collect(
    sweep: Sweep,
    failures: Mapping[str, str] | None = None,
    *,
    yardstick: Yardstick | None = None,
    interval: IntervalMethod = "t",
) -> Results:
    """Read the results so far of a sweep from its folder.

    Reports what training recorded, or `yardstick`. `interval` is t or bootstrap-t; see `etude.metrics.summarize`. A run
    whose folder is damaged, or that cannot be measured, counts as failed.
    """
    yardstick = yardstick or yardstick_of(sweep.recipe)
    failed, unfinished = dict(failures or {}), list[str]()
    cells = [collect_group(each, yardstick, interval, failed=failed, unfinished=unfinished) for each in sweep.groups]
    return Results(
        sweep=sweep, yardstick=yardstick, cells=cells, failures=failed, unfinished=unfinished, interval=interval
    )


def collect_group(
    group: Group, yardstick: Yardstick, interval: IntervalMethod, *, failed: dict[str, str], unfinished: list[str]
) -> CellResult:
    """Read the results of the runs that one mean is of. Adds those without a result to `failed` or `unfinished`."""
    values, selection, tables = dict[int, list[float]](), dict[int, list[float]](), dict[str, Table]()
    for member in group.members:
        state = member.state
        if state.status == "failed":
            failed.setdefault(member.label, state.error or "failed")
        elif state.status != "finished" and member.label not in failed:
            unfinished.append(member.label)
        if state.status != "finished":
            continue
        try:
            run = Run(member.path)
            tables[member.label] = run.metrics()
            if (value := yardstick.read(run, yardstick.split)) is not None:
                values.setdefault(member.repeat, []).append(_finite(run, value))
            if not yardstick.note and (value := yardstick.read(run, "validation")) is not None:
                selection.setdefault(member.repeat, []).append(_finite(run, value))
        except EtudeError as error:
            failed.setdefault(member.label, str(error))
    means = {repeat: float(np.mean(each)) for repeat, each in values.items()}
    return CellResult(
        cell=group.cell,
        values=means,
        summary=summarize(np.array(list(means.values())), method=interval) if means else None,
        selection={repeat: float(np.mean(each)) for repeat, each in selection.items()},
        tables=tables,
        whole=sum(map(len, values.values())) == len(group.members),
    )


def _finite(run: Run, value: float) -> float:
    if not math.isfinite(value):
        raise RunError(f"run {run.path} recorded {value} where a number is compared: leave it out, or train it again.")
    return value


def cell_dict(result: CellResult) -> dict[str, Any]:
    """One cell as plain values for JSON."""
    summary = result.summary
    interval = summary.interval if summary else None
    return {
        "cell": result.cell.name,
        "changes": result.cell.changes,
        "num_runs": len(result.values),
        "mean": summary.mean if summary else None,
        "standard_deviation": summary.standard_deviation if summary else None,
        "interval": [interval.low, interval.high] if interval else None,
        "confidence": interval.confidence if interval else None,
        "values": {str(seed): value for seed, value in result.values.items()},
        "validation_mean": result.selection_mean,
    }
