"""`etude train` and `etude resume`."""

import json as json_format
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from etude import recipes
from etude.cli.options import TrainingOptions
from etude.cli.parse import parse
from etude.errors import UsageError
from etude.recipes import Recipe

if TYPE_CHECKING:
    from etude.runs import Run
    from etude.training import Display

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
    start = start_recipe(arguments[0])
    flat = tyro.conf.arg(name="")
    recipe, options = parse(
        tuple[Annotated[type(start), flat], tyro.conf.FlagCreatePairsOff[Annotated[TrainOptions, flat]]],
        prog=f"etude train {arguments[0]}",
        arguments=arguments[1:],
        default=(start, TrainOptions()),
        description=f"Train {start.name}: {start.about}.",
    )
    if options.seeds is not None:
        _train_seeds(recipe, options)
        return
    if options.jobs is not None:
        raise UsageError(f"--jobs {options.jobs} is for several runs: give --seeds too, or leave it out.")
    from etude import training

    display = training.Display(quiet=options.quiet, print_losses=options.print_losses)
    run = training.train(
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
    _finish(run, display, draw_figures=not options.no_figures, data_dir=None, json=options.json)


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
        json: Print one JSON object on stdout at the end, and nothing else there.
    """
    from etude import training
    from etude.cli import sweep
    from etude.runs import load
    from etude.sweeps.folder import find

    if path := find(run, runs_dir=runs_dir):
        given = {"--data": data, "--data-dir": data_dir, "--print-losses": print_losses, "--no-figures": no_figures}
        if flags := [flag for flag, value in given.items() if value]:
            raise UsageError(f"{flags[0]} is for one run, and {path} is a sweep: leave it out.")
        sweep.go_on(path, jobs=jobs, quiet=quiet, json=json)
        return
    if jobs is not None:
        raise UsageError(f"--jobs {jobs} is for a sweep, and {run} is none: leave it out.")
    display = training.Display(quiet=quiet, print_losses=print_losses)
    resumed = training.resume(load(run, runs_dir=runs_dir, data=data), data_dir=data_dir, display=display)
    _finish(resumed, display, draw_figures=not no_figures, data_dir=data_dir, json=json)


def _train_seeds(recipe: Recipe, options: TrainOptions) -> None:
    """Several runs of one recipe: a sweep without a grid."""
    from etude.cli import sweep

    for flag, given in (("--print-losses", options.print_losses), ("--no-figures", options.no_figures)):
        if given:
            raise UsageError(f"{flag} is for one run: leave it or --seeds out.")
    assert options.seeds is not None
    same = {field.name: getattr(options, field.name) for field in fields(TrainingOptions)}
    sweep.run(recipe, sweep.SweepOptions(seeds=options.seeds, name=options.name, threads=options.threads or 1, **same))


def start_recipe(word: str, *, command: str = "train") -> Recipe:
    """A recipe by name or from a TOML file, the first word after a command."""
    if word.startswith("-"):
        raise UsageError(f"the recipe comes first: `etude {command} RECIPE {word} …`; `etude recipes` lists them.")
    if not word.endswith(".toml"):
        return recipes.get(word)
    return recipes.read_toml(Path(word))


def _finish(run: "Run", display: "Display", *, draw_figures: bool, data_dir: Path | None, json: bool) -> None:
    """Draw the figures of a finished run and say what came out."""
    from etude.report.figures import draw_all

    if draw_figures:
        display.note(f"{run.name}: drawing figures")
        draw_all(run, data_dir=data_dir)
    result = summary(run)
    if json:
        print(json_format.dumps(result))
        return
    counts = ", ".join(f"{name} {count:,}" for name, count in result["parameters"].items())
    print(f"{run.name}: {result['recipe']} on {result['data']}, {result['epochs']} epochs in {result['seconds']:.1f} s")
    print(f"  parameters   {counts}")
    for name, value in result["metrics"].items():
        if name.count("/") == 1 and not name.startswith("running/"):
            print(f"  {name:<28} {value:.4g}")
    if draw_figures:
        print(f"  pictures     {run.path / 'figures'}")
    print(f"  more         etude show {run.path}", flush=True)
    sys.stdout.flush()


def summary(run: "Run") -> dict[str, Any]:
    """What `--json` prints of a run."""
    from etude.families.family import count_parameters

    state = run.state
    return {
        "run": str(run.path),
        "recipe": run.recipe.name,
        "data": run.data_name,
        "parameters": count_parameters(run.networks),
        "epochs": state.epoch,
        "steps": state.step,
        "seconds": round(state.seconds, 3),
        "metrics": run.metrics().last(),
    }
