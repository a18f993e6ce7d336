"""`etude train` and `etude resume`."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import tyro

from etude import recipes
from etude.cli import sweep
from etude.cli.options import TrainingOptions
from etude.cli.recipe_word import parse_recipe
from etude.errors import UsageError
from etude.recipes import Recipe

USAGE = """usage: etude train RECIPE [flags]

Train a recipe, or the recipe in a TOML file, on real images.

  etude train vae --data digits
  etude train lsgan --data fashion-mnist --epochs 3 --noise-dim 32 --optimizer.learning-rate 2e-4
  etude train my-recipe.toml --seed 1

RECIPE is one of:
{recipes}

`etude train RECIPE --help` is a page on each, with all its flags.
`etude recipes RECIPE --out FILE.toml` saves one to edit."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(TrainingOptions):
    """How to run it. These flags affect speed and rounding, never the experiment."""

    name: str | None = None
    """The run's name; RECIPE-DATA-NUMBER when not given, with --seeds RECIPE-DATA-seeds-NUMBER."""
    seeds: int | None = None
    """Train this many runs, with seeds from --seed on, as `etude sweep` does."""
    threads: int | None = None
    """Processor threads; when not given all cores, or one where a step is too small for more or --seeds is given."""
    no_figures: bool = False
    """Draw no figures at the end; `etude figure RUN --all` draws them later."""
    print_losses: bool = False
    """Print the running losses at every report, as the course does."""


def train(arguments: Sequence[str]) -> None:
    """Train a recipe on real images."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE.format(recipes=textwrap.indent(recipes.described(), "  ")))
        return
    recipe, options = parse_recipe(arguments, TrainOptions(), command="train", description="Train {name}: {about}.")
    if options.seeds is not None:
        _train_seeds(recipe, options)
        return
    if options.jobs is not None:
        raise UsageError(f"--jobs {options.jobs} is for several runs: give --seeds too, or leave it out.")
    from etude.cli import show_run as show

    display = show.Display(quiet=options.quiet, print_losses=options.print_losses)
    run = show.train_run(
        recipe,
        name=options.name,
        runs_dir=options.runs_dir,
        data_dir=options.data_dir,
        device=options.device,
        threads=options.threads,
        precision=options.precision,
        compile=options.compile,
        display=display,
    )
    show.finished(run, display, draw_figures=not options.no_figures, data_dir=None, json=options.json)


def resume(
    run: tyro.conf.Positional[str],
    *,
    runs_dir: Path | None = None,
    data: str | None = None,
    data_dir: Path | None = None,
    no_figures: bool = False,
    print_losses: bool = False,
    jobs: int | None = None,
    quiet: bool = False,
    trust: bool = False,
    json: bool = False,
) -> None:
    """Go on with a run that was stopped or killed.

    It ends bit for bit as if it had never stopped.

    Args:
        run: The run's or the sweep's name or folder.
        runs_dir: Where runs are kept.
        data: Where the run's data is now, folder:PATH say, if it has moved: the same images.
        data_dir: Where data is looked for first. For a run on a folder: where that folder is now.
        no_figures: Draw no figures at the end; `etude figure RUN --all` draws them later.
        print_losses: Print the running losses at every report, as the course does.
        jobs: Processes for a sweep, as in `etude sweep`.
        quiet: Show no progress.
        trust: Run the code of its own that a run keeps, though the run was not made here: you have read it.
        json: Print one JSON object on stdout at the end, and nothing else there.
    """
    from etude.cli import show_run as show
    from etude.cli import show_sweep

    if path := show_sweep.find(run, runs_dir=runs_dir):
        given = {"--data": data, "--data-dir": data_dir, "--print-losses": print_losses, "--no-figures": no_figures}
        if flags := [flag for flag, value in given.items() if value]:
            raise UsageError(f"{flags[0]} is for one run, and {path} is a sweep: leave it out.")
        show_sweep.go_on(path, jobs=jobs, trust=trust, quiet=quiet, json=json)
        return
    if jobs is not None:
        raise UsageError(f"--jobs {jobs} is for a sweep, and {run} is none: leave it out.")
    display = show.Display(quiet=quiet, print_losses=print_losses)
    resumed = show.resume_run(
        show.load(run, runs_dir=runs_dir, data=data, trust=trust), data_dir=data_dir, display=display
    )
    show.finished(resumed, display, draw_figures=not no_figures, data_dir=data_dir, json=json)


def _train_seeds(recipe: Recipe, options: TrainOptions) -> None:
    """Several runs of one recipe: a sweep without a grid."""
    for flag, given in (("--print-losses", options.print_losses), ("--no-figures", options.no_figures)):
        if given:
            raise UsageError(f"{flag} is for one run: leave it or --seeds out.")
    assert options.seeds is not None
    same = {field.name: getattr(options, field.name) for field in fields(TrainingOptions)}
    sweep.run(recipe, sweep.SweepOptions(seeds=options.seeds, name=options.name, threads=options.threads or 1, **same))
