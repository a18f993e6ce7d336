"""`etude sweep`, `etude train RECIPE --seeds` and `etude compare`: many runs, and what they say together."""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from etude.cli.options import TrainingOptions
from etude.cli.parse import parse
from etude.cli.printing import stdout_console
from etude.errors import EtudeError
from etude.recipes import Recipe

if TYPE_CHECKING:
    from etude.sweeps import Results

USAGE = """usage: etude sweep RECIPE --grid FIELD=VALUE,VALUE [--grid …] [--seeds N] [flags]

Train a recipe over a grid of settings, several seeds each, on all cores or as one program on a GPU.

  etude sweep lenet --grid batch_size=4,16 --grid epochs=5,20
  etude sweep vae --data digits --grid latent_dim=2,10 --grid optimizer.learning_rate=1e-3,3e-3 --name latents

Ctrl-C saves all; the same command again, or `etude resume SWEEP`, goes on. `etude compare` says which differences are
real. `etude sweep RECIPE --help` is a page with all flags."""

Grid = Annotated[list[str], tyro.conf.UseAppendAction]
Where = tyro.conf.Positional[str]


@dataclass(frozen=True, kw_only=True)
class SweepOptions(TrainingOptions):
    """What is varied and how it is run."""

    grid: Grid = field(default_factory=list)
    """A field of the recipe and its values, FIELD=VALUE,VALUE; may be given for several fields."""
    seeds: int = 8
    """Runs of each cell, with seeds from --seed on. Fewer than six show no difference; eight show one as large as
    the seeds' standard deviation two times in three, six one time in three."""
    name: str | None = None
    """The sweep's name; RECIPE-DATA-sweep-NUMBER when not given, without --grid RECIPE-DATA-seeds-NUMBER."""
    threads: int = 1
    """Processor threads of each run."""


def sweep(arguments: Sequence[str]) -> None:
    """Train a recipe over a grid of settings, several seeds each."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return
    from etude.cli.train import start_recipe

    start, flat = start_recipe(arguments[0], command="sweep"), tyro.conf.arg(name="")
    recipe, options = parse(
        tuple[Annotated[type(start), flat], tyro.conf.FlagCreatePairsOff[Annotated[SweepOptions, flat]]],
        prog=f"etude sweep {arguments[0]}",
        arguments=arguments[1:],
        default=(start, SweepOptions()),
        description=f"Train {start.name} over a grid of settings: {start.about}.",
    )
    run(recipe, options)


def run(recipe: Recipe, options: SweepOptions) -> None:
    """Train the sweep and report it."""
    from etude import sweeps

    results = sweeps.sweep(
        recipe,
        grid=sweeps.parse_grid(options.grid),
        seeds=options.seeds,
        name=options.name,
        jobs=options.jobs,
        runs_dir=options.runs_dir,
        data_dir=options.data_dir,
        device=options.device,
        threads=options.threads,
        precision=options.precision,
        compile=options.compile,
        quiet=options.quiet,
    )
    report(results, json=options.json)


def go_on(path: Path, *, jobs: int | None, quiet: bool, json: bool) -> None:
    """`etude resume` of a sweep."""
    from etude import sweeps

    report(sweeps.resume(path, jobs=jobs, quiet=quiet), json=json)


def show(path: Path, *, interval: Literal["t", "bootstrap-t"], json: bool) -> None:
    """`etude show` of a sweep, whatever of it is finished."""
    from etude import sweeps
    from etude.sweeps.files import write_files

    results = sweeps.collect(sweeps.load(path), interval=interval)
    write_files(results)
    report(results, json=json)


def report(results: Results, *, json: bool) -> None:
    """Print the results."""
    from rich.markup import escape
    from rich.table import Table

    from etude.sweeps.files import FILES, sentences, table_rows

    sweep = results.sweep
    paths = [str(sweep.path / name) for name in FILES if (sweep.path / name).is_file()]
    if json:
        print(json_format.dumps({**results.to_dict(), "files": paths}))
        return
    headings, rows = table_rows(results)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        narrow = heading.replace("/", "/\n", 1).replace(", ", "\n")  # so that 80 columns are enough
        table.add_column(narrow, justify="right" if index else "left")
    for row in rows:
        table.add_row(*map(escape, row))
    console = stdout_console()
    console.print(f"{sweep.path}: {sweep.recipe.name} on {sweep.data_name}\n", markup=False, soft_wrap=True)
    console.print(table)
    console.print()
    for sentence in (*sentences(results), f"Files: {', '.join(paths)}"):
        console.print(sentence, markup=False, soft_wrap=True)


def compare(
    a: Where,
    b: Where,
    more: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint="(optional)")]] = (),
    *,
    metric: str | None = None,
    test: Literal["mean", "median"] = "mean",
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    json: bool = False,
) -> None:
    """Say whether B differs from A, over runs paired by seed.

    Args:
        a: The baseline: a sweep of one cell, SWEEP:CELL as in course:batch_size=4,epochs=5, or RUN,RUN,….
        b: The candidate, likewise, with the same seeds.
        more: More candidates, each compared with A. Verdicts are then corrected for the number of comparisons (Holm).
        metric: A metric of `etude measure`, such as fid; what training recorded (accuracy, bound) when not given.
        test: Of the mean (sign flips, for symmetric differences), or of the median (signs alone, for any).
        runs_dir: Where runs and sweeps are kept.
        data_dir: Where data is looked for first.
        json: Print one JSON object on stdout.
    """
    from etude import sweeps

    comparison = sweeps.compare(a, b, *more, metric=metric, test=test, runs_dir=runs_dir, data_dir=data_dir)
    if json:
        print(json_format.dumps(comparison.to_dict()))
        return
    print(comparison)


def listing(path: Path) -> dict[str, Any]:
    """One sweep in the list of `etude runs`; a damaged one says so."""
    from etude.sweeps import Sweep

    try:
        sweep = Sweep(path)
        states = [member.state.status for member in sweep.members()]
    except EtudeError as error:
        return {"sweep": path.name, "error": str(error)}
    return {
        "sweep": sweep.name,
        "recipe": sweep.recipe.name,
        "data": sweep.data_name,
        "grid": {name: list(values) for name, values in sweep.grid.items()},
        "seeds": sweep.seeds,
        "runs": len(states),
        "finished": states.count("finished"),
        "failed": states.count("failed"),
        "created": sweep.created,
    }


def describe(folder: Path, listed: dict[str, Any]) -> str:
    """A sweep of that list in a line."""
    if "error" in listed:
        return f"sweep {listed['sweep']}: {listed['error']}"
    failed = f", {listed['failed']} failed" if listed["failed"] else ""
    return (
        f"sweep {listed['sweep']}: {listed['recipe']} on {listed['data']}, {listed['finished']} of {listed['runs']} "
        f"runs finished{failed}; `etude show {folder / listed['sweep']}`"
    )
