"""Start or continue a sweep: check everything, train what is not finished, collect the results."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from etude import recipes
from etude.compute import Compile, Compute, Device, Precision
from etude.data import Dataset
from etude.errors import Interrupted, RunError, TrainingError, UsageError
from etude.files import disk_failures_said
from etude.recipes import Recipe
from etude.runs import default_runs_dir
from etude.runs.code import admit
from etude.runs.lock import is_training, training_lock
from etude.sweeps.files import write_files
from etude.sweeps.folder import Member, Sweep, load, prepare
from etude.sweeps.grid import Cell, Grid, make_cells
from etude.sweeps.processes import Job, make_jobs, train_jobs
from etude.sweeps.progress import SweepDisplay
from etude.sweeps.results import Results, collect
from etude.training.start import checked_rows, execution_of, load_for, with_absolute_path, with_specs
from etude.training.stopping import StopRequest, stop_requests

DEFAULT_SEEDS = 8
ORPHAN_SECONDS = 30.0
"""How long the processes of a killed sweep may take to save their runs."""


def sweep(
    recipe: str | Recipe,
    *,
    grid: Grid | None = None,
    seeds: int | None = None,
    name: str | None = None,
    jobs: int | None = None,
    runs_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    device: Device = "auto",
    threads: int = 1,
    precision: Precision = "auto",
    compile: Compile = "auto",
    quiet: bool = False,
    **changes: Any,
) -> Results:
    """Train every cell of the grid with every seed and return the results.

        etude.sweep("lenet", data="digits", grid={"batch_size": [4, 16], "epochs": [5, 20]}, seeds=8)

    There are eight seeds by default, and one if the grid itself repeats each cell, as with
    `grid={"fold": range(10)}`. `changes` are fields of the recipe. `jobs` processes train side by side, each with
    `threads` threads; `precision` is auto, fp32 or bf16, `compile` auto, on or off. By default there is one process per
    core, with one run at a time; on a GPU there is one process, which trains runs that differ only in seed, learning
    rate and β as one program. The same call again continues where it stopped. Raises `UsageError` or `DataError` before
    anything starts, `Interrupted` after Ctrl-C when all is saved, `TrainingError` if every run failed.
    """
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    recipes.require_arguments(recipe, changes, sweep.__kwdefaults__ or ())
    recipe = recipes.change(recipe, **with_specs(recipe, changes))
    recipe = admit(with_absolute_path(recipe))
    cells = [replace(cell, recipe=admit(cell.recipe)) for cell in make_cells(recipe, grid or {})]
    _check_jobs(jobs)
    data_dir = Path(data_dir) if data_dir else None
    compute = Compute(device=device, threads=threads, precision=precision, compile=compile)
    execution = execution_of(recipe, compute, num_steps=0)  # each run chooses for itself; this reports mistakes at once
    notes = _check_data(cells, data_dir)
    prepared = prepare(
        recipe,
        grid or {},
        seeds=_default_seeds(recipe, grid or {}) if seeds is None else seeds,
        name=name,
        runs_dir=Path(runs_dir) if runs_dir else default_runs_dir(),
        data_dir=data_dir,
        compute=replace(compute, device=execution.device),
    )
    return resume(prepared, jobs=jobs, quiet=quiet, notes=notes)


def resume(
    sweep: Sweep | str | Path, *, jobs: int | None = None, quiet: bool = False, notes: Sequence[str] = ()
) -> Results:
    """Train the unfinished runs of a sweep; write the files of its results and return the results.

    A run that diverged is not trained again: it would diverge again. `notes` are printed first.
    """
    sweep = sweep if isinstance(sweep, Sweep) else load(sweep)
    _check_jobs(jobs)
    with training_lock(sweep.path), disk_failures_said(sweep.path), stop_requests() as stop:
        sweep = load(sweep.path)  # read again: no other process adds seeds to it now
        sweep.open_code()
        members = list(sweep.members())
        _wait_for_orphans(members, stop)
        waiting = [member for member in members if member.state.status not in ("finished", "failed")]
        parts = make_jobs(sweep, waiting)
        at_once = max(1, min(jobs or (1 if sweep.compute.device == "cuda" else num_cores()), len(parts)))
        most = max(map(len, parts), default=1)
        with SweepDisplay(sweep, num_jobs=at_once * most, quiet=quiet) as display:
            for note in notes:
                display.note(note)
            if parts:
                display.note(how_trained(sweep, parts, at_once))
            failures = train_jobs(sweep, parts, num_jobs=at_once, stop=stop, display=display)
        if stop:
            num_finished = sum(member.state.status == "finished" for member in members)
            raise Interrupted(
                f"stopped with {num_finished} of {len(members)} runs finished, all is saved: "
                f"continue with `etude resume {sweep.path}`.",
                signal=stop.signal,
            )
        results = collect(sweep, failures)
        write_files(results)
        if len(results.failures) == len(members):
            first = next(iter(results.failures.values()))
            raise TrainingError(f"all {len(members)} runs of {sweep.path} failed. The first reason: {first}")
        return results


def _default_seeds(recipe: Recipe, grid: Grid) -> int:
    return 1 if set(recipe.repeated_over) & set(grid) else DEFAULT_SEEDS


def how_trained(sweep: Sweep, jobs: Sequence[Job], at_once: int) -> str:
    """A sentence on how the runs share the machine."""
    runs, ways = _count(sum(map(len, jobs)), "run"), "one after another" if at_once == 1 else "side by side"
    if sweep.compute.device == "cuda":
        return f"{sweep.name}: {runs} on cuda, vectorised: {_count(len(jobs), 'program')}, {ways}"
    return f"{sweep.name}: {runs} on {sweep.compute.device}, {ways} in {_count(at_once, 'process', 'processes')}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def num_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_jobs(jobs: int | None) -> None:
    if jobs is not None and not (isinstance(jobs, int) and jobs >= 1):
        raise UsageError(f"--jobs {jobs!r} (allowed: at least 1).")


def _check_data(cells: list[Cell], data_dir: Path | None) -> list[str]:
    """Read each data set once, so that a mistake is reported once, not by every run. Returns notes on them."""
    datasets: dict[tuple[object, ...], Dataset] = {}
    for cell in cells:
        recipe = cell.recipe
        key = (recipe.data, recipe.reading)
        if key not in datasets:
            datasets[key] = load_for(recipe, data_dir)
        checked_rows(recipe, datasets[key])
    return list(dict.fromkeys(f"{dataset.name}: {note}" for dataset in datasets.values() for note in dataset.notes))


def _wait_for_orphans(members: list[Member], stop: StopRequest) -> None:
    """Let the processes of a killed sweep save their runs; they notice by themselves that it is gone."""
    until = time.monotonic() + ORPHAN_SECONDS
    for member in members:
        while is_training(member.path) and not stop:
            if time.monotonic() > until:
                raise RunError(f"run {member.path} is being trained by another process: wait for it, or stop it first.")
            time.sleep(0.1)
