"""Starting a sweep and going on with one: check all, train what is not finished, collect the results."""

import os
from pathlib import Path

from etude import recipes
from etude.data import Dataset
from etude.data import load as load_dataset
from etude.errors import Interrupted, TrainingError
from etude.recipes import Recipe
from etude.runs import default_runs_dir
from etude.runs.lock import training_lock
from etude.sweeps.folder import Sweep, prepare
from etude.sweeps.grid import Grid, make_cells
from etude.sweeps.processes import train_members
from etude.sweeps.progress import SweepDisplay
from etude.sweeps.results import Results, collect
from etude.training.execution import choose_execution
from etude.training.families import make_splits
from etude.training.start import with_absolute_folder
from etude.training.stopping import stop_requests


def sweep(
    recipe: str | Recipe,
    *,
    grid: Grid | None = None,
    num_seeds: int = 6,
    name: str | None = None,
    num_jobs: int | None = None,
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
    threads: int = 1,
    quiet: bool = False,
) -> Results:
    """Train every cell of the grid with every seed and return what came out.

        etude.sweeps.sweep("lenet", grid={"batch_size": [4, 16], "epochs": [5, 20]}, num_seeds=6)

    `num_jobs` processes (one a core when not given) train side by side, each with `threads` threads. The same call
    again goes on where it stopped. Raises `UsageError` or `DataError` before anything starts, `Interrupted` after
    Ctrl-C when all is saved, `TrainingError` when every run failed.
    """
    recipe = with_absolute_folder(recipes.get(recipe) if isinstance(recipe, str) else recipe)
    cells = make_cells(recipe, grid or {})
    execution = choose_execution(device=device, threads=threads)
    datasets: dict[tuple[str, int | None], Dataset] = {}
    for cell in cells:  # each data set is read once here, so that a mistake is said once and not by every run
        key = (cell.recipe.data, cell.recipe.image_size)
        if key not in datasets:
            datasets[key] = load_dataset(key[0], data_dir=data_dir, image_size=key[1])
        make_splits(cell.recipe, datasets[key])
    prepared = prepare(
        recipe,
        grid or {},
        num_seeds=num_seeds,
        name=name,
        runs_dir=runs_dir or default_runs_dir(),
        data_dir=data_dir,
        device=execution.device,
        threads=threads,
    )
    return resume(prepared, num_jobs=num_jobs, quiet=quiet)


def resume(sweep: Sweep, *, num_jobs: int | None = None, quiet: bool = False) -> Results:
    """Train what is not finished of a sweep, failed runs too, and return what came out of all."""
    members = list(sweep.members())
    with training_lock(sweep.path), stop_requests() as stop:
        waiting = [member for member in members if member.state.status != "finished"]
        jobs = max(1, min(num_jobs or num_cores(), len(waiting)))
        with SweepDisplay(sweep, num_jobs=jobs, quiet=quiet) as display:
            failures = train_members(sweep, waiting, num_jobs=jobs, stop=stop, display=display)
    num_finished = sum(member.state.status == "finished" for member in members)
    if stop:
        raise Interrupted(
            f"stopped with {num_finished} of {len(members)} runs finished, all is saved: "
            f"go on with `etude resume {sweep.path}`.",
            signal=stop.signal,
        )
    if not num_finished:
        raise TrainingError(
            f"all {len(members)} runs of {sweep.path} failed, the first so: {next(iter(failures.values()))}"
        )
    return collect(sweep, failures)


def num_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
