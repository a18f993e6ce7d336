"""Whether one cell beats another: their runs paired by seed."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etude.errors import UsageError
from etude.metrics import compare_paired
from etude.metrics.comparison import PairedComparison
from etude.runs import Run
from etude.runs import load as load_run
from etude.sweeps.folder import Sweep, find
from etude.sweeps.folder import load as load_sweep
from etude.sweeps.results import Measure, measure_of


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison: finished runs by seed."""

    name: str
    values: dict[int, float]
    measure: Measure
    data: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Candidate less baseline, run by run of the same seed."""

    baseline: Side
    candidate: Side
    metric: str
    """What is compared: test/accuracy, say."""
    paired: PairedComparison

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        sides = {
            key: {"name": side.name, "values": {str(seed): value for seed, value in side.values.items()}}
            for key, side in (("baseline", self.baseline), ("candidate", self.candidate))
        }
        measure = self.baseline.measure
        return {"metric": self.metric, "split": measure.split, **sides, **asdict(self.paired)}


def compare(baseline: str | Sweep, candidate: str | Sweep, *, runs_dir: Path | None = None) -> Comparison:
    """Compare two sides, B less A, by `etude.metrics.compare_paired`.

    A side is a sweep of one cell, SWEEP:CELL, or runs divided by commas. `UsageError` where the seeds do not match, or
    the sides are not of one family and data set.
    """
    first, second = _side(baseline, runs_dir), _side(candidate, runs_dir)
    if first.measure is not second.measure:
        raise UsageError(
            f"{first.name} reports {first.measure.name}, {second.name} {second.measure.name}: "
            "compare runs of one family."
        )
    if first.data != second.data:
        raise UsageError(
            f"{first.name} is of {first.data}, {second.name} of {second.data}: compare runs of one data set."
        )
    seeds = sorted(first.values)
    if seeds != sorted(second.values):
        raise UsageError(
            f"the seeds do not match: {first.name} has {_seeds(first)}, {second.name} has {_seeds(second)}; "
            "train the missing ones, or name runs of equal seeds, RUN,RUN,…"
        )
    metric = f"{first.measure.split}/{first.measure.name}"
    names = ("A", "B") if first.name == second.name else (first.name, second.name)
    paired = compare_paired(
        np.array([first.values[seed] for seed in seeds]),
        np.array([second.values[seed] for seed in seeds]),
        names=names,
        quantity=metric,
    )
    return Comparison(baseline=first, candidate=second, metric=metric, paired=paired)


def _side(side: str | Sweep, runs_dir: Path | None) -> Side:
    if isinstance(side, Sweep):
        return _of_sweep(side, None)
    if find(side, runs_dir=runs_dir):
        return _of_sweep(load_sweep(side, runs_dir=runs_dir), None)
    sweep, colon, cell = side.rpartition(":")
    if colon:
        return _of_sweep(load_sweep(sweep, runs_dir=runs_dir), cell)
    return _of_runs([load_run(word.strip(), runs_dir=runs_dir) for word in side.split(",")])


def _of_sweep(sweep: Sweep, cell_name: str | None) -> Side:
    if cell_name is None and len(sweep.cells) > 1:
        names = ", ".join(f"{sweep.name}:{cell.name}" for cell in sweep.cells)
        raise UsageError(f"sweep {sweep.name} has {len(sweep.cells)} cells: compare one of {names}.")
    cell = sweep.cells[0] if cell_name is None else sweep.cell(cell_name)
    members = list(sweep.members(cell))
    name = sweep.name if cell_name is None else f"{sweep.name}:{cell.name}"
    if unfinished := [member for member in members if member.state.status not in ("finished", "failed")]:
        raise UsageError(
            f"{name} has {len(unfinished)} unfinished of {len(members)} runs: "
            f"finish them with `etude resume {sweep.path}`."
        )
    finished = [member for member in members if member.state.status == "finished"]
    if not finished:
        raise UsageError(f"{name} has no finished run: `etude show {sweep.path}` says why they failed.")
    measure = measure_of(cell.recipe)
    return Side(
        name=name,
        values={member.seed: _value(Run(member.path), measure) for member in finished},
        measure=measure,
        data=cell.recipe.data,
    )


def _of_runs(runs: list[Run]) -> Side:
    measure, values = measure_of(runs[0].recipe), dict[int, float]()
    for run in runs:
        if run.state.status != "finished":
            raise UsageError(f"run {run.path} is {run.state.status}: finish it with `etude resume {run.path}`.")
        if measure_of(run.recipe) is not measure or run.recipe.data != runs[0].recipe.data:
            raise UsageError(
                f"runs {runs[0].name} ({runs[0].recipe.name} on {runs[0].recipe.data}) and {run.name} "
                f"({run.recipe.name} on {run.recipe.data}) differ: "
                "one side of a comparison is of one family and data set."
            )
        if run.recipe.seed in values:
            raise UsageError(
                f"two runs of {','.join(each.name for each in runs)} have seed {run.recipe.seed}: leave one out."
            )
        values[run.recipe.seed] = _value(run, measure)
    return Side(name=",".join(run.name for run in runs), values=values, measure=measure, data=runs[0].recipe.data)


def _value(run: Run, measure: Measure) -> float:
    value = measure.of(run, measure.split)
    if value is None:
        raise UsageError(f"run {run.path} has no {measure.split}/{measure.name}: train it again.")
    return value


def _seeds(side: Side) -> str:
    return ", ".join(map(str, sorted(side.values)))
