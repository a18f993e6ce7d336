"""A sweep by the metrics of `etude measure`: each finished run is measured; means and intervals over the seeds."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from etude.errors import EtudeError, UsageError
from etude.measurement import Measurement, Result, Settings, measure
from etude.measurement.catalogue import chosen
from etude.metrics.intervals import IntervalMethod
from etude.runs import Run
from etude.sweeps.folder import Sweep
from etude.sweeps.results import CellResult, Results, cell_dict, collect
from etude.sweeps.tables import about_intervals, csv_of, markdown_table, number
from etude.sweeps.yardsticks import measured

ARROWS = {"higher": "↑", "lower": "↓", None: ""}


def _say(line: str) -> None:
    print(line, file=sys.stderr)


@dataclass(frozen=True, kw_only=True)
class MeasuredSweep:
    """A sweep whose finished runs were measured."""

    sweep: Sweep
    results: dict[str, Results]
    """Values, summaries and the best cell, by metric."""
    runs: dict[str, Measurement]
    """What `etude.measure` found for each run, by its label."""
    notes: list[str]

    def floor(self, metric: str, cell: CellResult) -> float | None:
        """Mean floor of a metric over the cell's runs; None if it has no floor."""
        of_cell = [self.runs[label] for label in cell.tables if label in self.runs]
        floors = [run[metric].floor for run in of_cell if metric in run]
        known = [floor for floor in floors if floor is not None]
        return float(np.mean(known)) if known else None

    def sentences(self) -> list[str]:
        """The text below the table: what was measured, which examples chose, what failed."""
        about = next(iter(self.runs.values())).about
        text = f"Measured: {about.num_samples:,} test {about.examples} of {about.data}, seed {about.seed}"
        if features := about.features:
            accuracy = features["test_accuracy"]
            text += f", features {features['name']}" + ("" if accuracy is None else f" (test accuracy {accuracy:.3f})")
        found = [f"{text}.", *self._pixels()]
        results = list(self.results.values())
        if any(cell.summary and cell.summary.interval for each in results for cell in each.cells):
            numbers = [len(cell.values) for each in results for cell in each.cells]
            found.append(about_intervals(results[0].interval, numbers, self.sweep.repeats))
        if len(self.sweep.groups) > 1:
            best = {name: each.best for name, each in self.results.items()}
            chosen = [f"{name} {cell.cell.label}" for name, cell in best.items() if cell]
            found += [f"Best cell, by the validation split alone: {'; '.join(chosen)}."] if chosen else []
            reasons = dict[str, list[str]]()
            for name in (name for name, cell in best.items() if not cell):
                reasons.setdefault(self.results[name].why_no_best(), []).append(name)
            found += [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
        found += next(iter(self.results.values())).what_is_missing()
        return found + [f"Note: {note}" for note in self.notes]

    def _pixels(self) -> list[str]:
        """Sentences on the number of images and the scoring for the metrics of pixels."""
        found = dict[str, None]()
        for name in self.results:
            for result in (run[name] for run in self.runs.values() if "binarize" in run.get(name, ())):
                latents = f", K = {result['num_importance']:,}" if "num_importance" in result else ""
                how = "grey pixels" if result["binarize"] == "none" else f"{result['binarize']} binarisation"
                found[f"{name}: {result['num_samples']:,} images{latents}, {how}."] = None
        return list(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        first = next(iter(self.results.values()))
        return {
            "sweep": str(self.sweep.path),
            "recipe": self.sweep.recipe.name,
            "data": self.sweep.data_name,
            "seeds": self.sweep.seeds,
            "interval_method": first.interval,
            "about": next(iter(self.runs.values())).about.to_dict(),
            "metrics": {
                name: {
                    "better": each.yardstick.better,
                    "selection": {"split": "validation", "best": each.best.cell.name if each.best else None},
                    "cells": [{**cell_dict(cell), "floor": self.floor(name, cell)} for cell in each.cells],
                }
                for name, each in self.results.items()
            },
            "failed": first.failures,
            "unfinished": first.unfinished,
            "notes": self.notes,
        }

    def __repr__(self) -> str:
        return f"<MeasuredSweep {self.sweep.name}: {', '.join(self.results)} of {len(self.runs)} runs>"


def measure_sweep(
    sweep: Sweep,
    settings: Settings | None = None,
    *,
    checkpoint: int | str = "last",
    interval: IntervalMethod = "t",
    data: str | None = None,
    data_dir: Path | None = None,
    say: Callable[[str], None] = _say,
) -> MeasuredSweep:
    """Measure every finished run of a sweep once, by `etude.measurement.measure`.

    If there are several cells and images were held out, the validation images are measured too. They choose the best
    cell; the test images are reported. A run that cannot be measured counts as failed; `UsageError` if none can be.
    `interval` is t or bootstrap-t; see `etude.metrics.summarize`.
    """
    settings = settings or Settings()
    if settings.split != "test":
        raise UsageError("a sweep is reported on its test split and chosen by its validation split: leave --split out.")
    finished = [member for member in sweep.members() if member.state.status == "finished"]
    if not finished:
        raise UsageError(f"sweep {sweep.path} has no finished run: `etude show {sweep.path}` says why.")
    runs, errors, notes = dict[str, Measurement](), dict[str, EtudeError](), dict[str, None]()
    for index, member in enumerate(finished, start=1):
        say(f"measuring {member.label} ({index} of {len(finished)})")
        try:
            run = Run(member.path, checkpoint=checkpoint, data=data)
            runs[member.label] = measure(run, settings, data_dir=data_dir, say=say)
        except EtudeError as error:
            errors[member.label] = error
        else:
            notes |= dict.fromkeys(runs[member.label].notes)
    if not runs:
        raise next(iter(errors.values()))
    failures = {label: str(error) for label, error in errors.items()}
    by_path = {member.path: member.label for member in finished}
    names = list(dict.fromkeys(name for run in runs.values() for name in run))

    @cache
    def on_validation(path: Path) -> Mapping[str, Result]:
        run = Run(path, checkpoint=checkpoint, data=data)
        if len(sweep.groups) < 2 or not run.configuration["dataset"]["validation_images"]:
            return {}
        directed = tuple(each for each in chosen(run, settings) if each.name in names and each.better)
        try:
            return measure(run, replace(settings, metrics=directed, split="validation"), data_dir=data_dir, say=say)
        except UsageError as error:
            notes[f"the validation split chooses nothing: {error}"] = None
            return {}

    def results_of(name: str) -> Results:
        def read(run: Run, split: str) -> float | None:
            found = runs.get(by_path[run.path], {}) if split == "test" else on_validation(run.path)
            return found[name].value if name in found else None

        one = next(Run(member.path) for member in finished if name in runs.get(member.label, {}))
        (metric,) = (each for each in chosen(one, settings) if each.name == name)
        return collect(sweep, failures, yardstick=measured(metric, settings, read), interval=interval)

    results = {name: results_of(name) for name in names}
    return MeasuredSweep(sweep=sweep, results=results, runs=runs, notes=list(notes))


def table_rows(sweeps: Sequence[MeasuredSweep]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of one table of several sweeps, metric by metric, so that comparable rows are together."""
    headings = ["metric", "cell", "n", "mean", "sd", "95 % interval", "validation mean", "floor"]
    rows = []
    for name in dict.fromkeys(name for each in sweeps for name in each.results):
        for measured_sweep in sweeps:
            if name not in measured_sweep.results:
                continue
            results = measured_sweep.results[name]
            for cell in results.cells:
                label, *texts = results.row_of(cell, validated=True)
                if len(sweeps) > 1:
                    label = (
                        f"{measured_sweep.sweep.name} {label}"
                        if measured_sweep.sweep.grid
                        else measured_sweep.sweep.name
                    )
                floor = measured_sweep.floor(name, cell)
                title = f"{name} {ARROWS[results.yardstick.better]}".rstrip()
                rows.append([title, label, *texts, "-" if floor is None else number(floor)])
    kept = [i for i, heading in enumerate(headings) if heading not in ("validation mean", "floor") or _filled(rows, i)]
    return [headings[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _filled(rows: Sequence[Sequence[str]], column: int) -> bool:
    return any(row[column] != "-" for row in rows)


def to_markdown(sweeps: Sequence[MeasuredSweep]) -> str:
    """The table in Markdown, with the sentences of each sweep."""
    return "\n\n".join([markdown_table(*table_rows(sweeps), num_texts=2), *sentences(sweeps)]) + "\n"


def sentences(sweeps: Sequence[MeasuredSweep]) -> list[str]:
    """The text below the table. A sentence about only one of several sweeps starts with its name."""
    each = {one.sweep.name: one.sentences() for one in sweeps}
    found = []
    for name, own in each.items():
        for sentence in own:
            shared = all(sentence in other for other in each.values())
            found.append(sentence if shared else f"{name}: {sentence}")
    return list(dict.fromkeys(found))


def to_csv(sweeps: Sequence[MeasuredSweep]) -> str:
    """One row per run: sweep, cell, the grid's fields, seed, and value and floor of every metric."""
    rows = []
    for one in sweeps:
        for member in one.sweep.members():
            if member.label not in one.runs:
                continue
            row = {"sweep": one.sweep.name, "cell": member.cell.name, **member.cell.changes, "seed": member.seed}
            for name in one.results:
                result: Mapping[str, Any] = one.runs[member.label].get(name, {})
                row |= {name: result.get("value")}
                row |= {f"{name}_floor": result["floor"]} if "floor" in result else {}
            rows.append(row)
    return csv_of(rows)
