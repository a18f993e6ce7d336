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

Train a recipe, or the recipe in a TOML file, on images, tables or texts.

  etude train vae --data digits
  etude train lsgan --data fashion-mnist --epochs 3 --noise-dim 32 --optimizer.learning-rate 2e-4
  etude train my-recipe.toml --seed 1

RECIPE is one of:
{recipes}

`etude train RECIPE --help` explains one recipe and all its flags.
`etude recipes RECIPE --out FILE.toml` saves one to edit."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(TrainingOptions):
    """How to run it. These flags affect speed and rounding, never the experiment."""

    name: str | None = None
    """The run's name. Default: RECIPE-DATA-NUMBER, or RECIPE-DATA-seeds-NUMBER with --seeds."""
    seeds: int | None = None
    """Train this many runs, with seeds counted up from --seed, as `etude sweep` does."""
    threads: int | None = None
    """CPU threads. Default: all cores; one if a step is too small for more, or with --seeds."""
    no_figures: bool = False
    """Draw no figures at the end; `etude figure RUN --all` draws them later."""
    print_losses: bool = False
    """Print the running losses at every report."""
    tensorboard: Path | None = None
    """Also write metrics and pictures for TensorBoard, as they come, into a folder in this one."""


def train(arguments: Sequence[str]) -> None:
    """Train a recipe on images, tables or texts."""
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
        tensorboard=options.tensorboard,
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
    tensorboard: Path | None = None,
    jobs: int | None = None,
    quiet: bool = False,
    trust: bool = False,
    json: bool = False,
) -> None:
    """Continue a run that was stopped or killed.

    It ends with the same bits as if it had never stopped.

    Args:
        run: The run's or the sweep's name or folder.
        runs_dir: Where runs are kept.
        data: Where the run's data is now, such as folder:PATH, if it has moved. It must hold the same examples.
        data_dir: Where to look for data first. For a run on a folder: where that folder is now.
        no_figures: Draw no figures at the end; `etude figure RUN --all` draws them later.
        print_losses: Print the running losses at every report.
        tensorboard: Also write metrics and pictures for TensorBoard into a folder in this one. What is there of this
            run is not written again.
        jobs: For a sweep: worker processes, as in `etude sweep`.
        quiet: Show no progress.
        trust: Run the code kept in the run, although the run was made elsewhere. Read that code first.
        json: Print one JSON object on stdout at the end, and nothing else.
    """
    from etude.cli import show_run as show
    from etude.cli import show_sweep

    if path := show_sweep.find(run, runs_dir=runs_dir):
        given = {"--data": data, "--data-dir": data_dir, "--print-losses": print_losses, "--no-figures": no_figures,
                 "--tensorboard": tensorboard}  # fmt: skip
        if flags := [flag for flag, value in given.items() if value]:
            raise UsageError(f"{flags[0]} is for one run, and {path} is a sweep: leave it out.")
        show_sweep.go_on(path, jobs=jobs, trust=trust, quiet=quiet, json=json)
        return
    if jobs is not None:
        raise UsageError(f"--jobs {jobs} is for a sweep, and {run} is none: leave it out.")
    display = show.Display(quiet=quiet, print_losses=print_losses)
    resumed = show.resume_run(
        show.load(run, runs_dir=runs_dir, data=data, trust=trust),
        data_dir=data_dir,
        display=display,
        tensorboard=tensorboard,
    )
    show.finished(resumed, display, draw_figures=not no_figures, data_dir=data_dir, json=json)


def _train_seeds(recipe: Recipe, options: TrainOptions) -> None:
    """Train several runs of one recipe: a sweep without a grid."""
    given = {
        "--print-losses": options.print_losses,
        "--no-figures": options.no_figures,
        "--tensorboard": options.tensorboard,
    }
    for flag, value in given.items():
        if value:
            raise UsageError(f"{flag} is for one run: leave it or --seeds out.")
    assert options.seeds is not None
    same = {field.name: getattr(options, field.name) for field in fields(TrainingOptions)}
    sweep.run(recipe, sweep.SweepOptions(seeds=options.seeds, name=options.name, threads=options.threads or 1, **same))
