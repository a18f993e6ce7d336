"""`etude sweep`, `etude train RECIPE --seeds` and `etude compare`: train many runs and compare them."""

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

Ctrl-C saves all. The same command again, or `etude resume SWEEP`, continues. `etude compare` says which differences are
real. `etude sweep RECIPE --help` lists all flags."""

Grid = Annotated[list[str], tyro.conf.UseAppendAction]
Where = tyro.conf.Positional[str]


@dataclass(frozen=True, kw_only=True)
class SweepOptions(TrainingOptions):
    """What to vary and how to run it."""

    grid: Grid = field(default_factory=list)
    """A field of the recipe and its values, FIELD=VALUE,VALUE or FIELD=FIRST..LAST. Give it again for another field.
    """
    seeds: int | None = None
    """Runs per cell, with seeds counted up from --seed. Default: 8; 1 in a sweep over folds, of which the mean is
    reported. Fewer than six show no difference. Eight find one as large
    as the seeds' standard deviation two times in three, six one time in three."""
    name: str | None = None
    """The sweep's name. Default: RECIPE-DATA-sweep-NUMBER, or RECIPE-DATA-seeds-NUMBER without --grid."""
    threads: int = 1
    """CPU threads per run."""


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
        a: The baseline: a sweep of one cell, SWEEP:CELL such as grid:batch_size=4,epochs=5, or RUN,RUN,….
        b: The candidate, written in the same way, with the same seeds.
        more: More candidates, each compared with A. Verdicts are then corrected for the number of comparisons (Holm).
        metric: A metric of `etude measure`, such as fid. Default: what training recorded (accuracy, bound).
        test: mean (sign flips, for symmetric differences) or median (signs alone, for any differences).
        runs_dir: Where runs and sweeps are kept.
        data_dir: Where to look for data first.
        trust: Run the code kept in the run, although the run was made elsewhere. Read that code first.
        json: Print one JSON object on stdout.
    """
    from etude.cli import show_sweep as show

    show.comparison(
        show.compare_sweeps(a, b, *more, metric=metric, test=test, runs_dir=runs_dir, data_dir=data_dir, trust=trust),
        json=json,
    )
