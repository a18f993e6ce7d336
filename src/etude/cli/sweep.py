"""`etude sweep`, `etude train RECIPE --seeds` and `etude compare`: many runs, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from etude.cli.options import TrainingOptions
from etude.cli.recipe_word import parse_recipe
from etude.recipes import Recipe

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
    recipe, options = parse_recipe(
        arguments, SweepOptions(), command="sweep", description="Train {name} over a grid of settings: {about}."
    )
    run(recipe, options)


def run(recipe: Recipe, options: SweepOptions) -> None:
    """Train the sweep and report it."""
    from etude.cli import show_sweep as show

    results = show.train_sweep(
        recipe,
        grid=show.parse_grid(options.grid),
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
    show.report(results, json=options.json)


def compare(
    a: Where,
    b: Where,
    more: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint="(optional)")]] = (),
    *,
    metric: str | None = None,
    test: Literal["mean", "median"] = "mean",
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
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
        trust: Run the code of its own that a run keeps, though the run was not made here: you have read it.
        json: Print one JSON object on stdout.
    """
    from etude.cli import show_sweep as show

    show.comparison(
        show.compare_sweeps(a, b, *more, metric=metric, test=test, runs_dir=runs_dir, data_dir=data_dir, trust=trust),
        json=json,
    )
