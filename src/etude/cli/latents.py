"""`etude latents`."""

import json as json_format
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

import tyro

from etude import recipes
from etude.cli.printing import stdout_console
from etude.errors import UsageError

if TYPE_CHECKING:
    from etude.sweeps import Sweep
    from etude.sweeps.latent_study import Measured


def latents(
    recipe: tyro.conf.Positional[str] = "vae",
    *,
    dims: str = "2,5,10,20,50",
    seeds: int = 1,
    data: str | None = None,
    epochs: int | None = None,
    name: str | None = None,
    jobs: int | None = None,
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    quiet: bool = False,
    json: bool = False,
) -> None:
    """Train an autoencoder with few and with many latents, and compare.

    It is a sweep: Ctrl-C saves all, and the same command goes on; more seeds are added to those that are there.

    Args:
        recipe: vae, beta-vae, cvae, or a TOML file with one of them.
        dims: The numbers of latents, separated by commas.
        seeds: Runs of each; one run says nothing of how much another one would differ.
        data: The data set; the recipe's own when not given.
        epochs: Passes over the training images; the recipe's own when not given.
        name: The sweep's name; RECIPE-DATA-sweep-NUMBER when not given.
        jobs: Processes side by side; one a core when not given, on a GPU one, which trains many runs as one program.
        runs_dir: Where runs are kept.
        data_dir: Where data is looked for first.
        quiet: Show no progress.
        json: Print one JSON object on stdout.
    """
    from etude.cli.train import start_recipe
    from etude.sweeps.latent_study import study_latents

    try:
        latent_dims = [int(word) for word in dims.split(",")]
    except ValueError:
        raise UsageError(f"--dims {dims} (allowed: whole numbers separated by commas, such as 2,5,10).") from None
    changes = {field: value for field, value in (("data", data), ("epochs", epochs)) if value is not None}
    results, measured = study_latents(
        recipes.change(start_recipe(recipe, command="latents"), **changes), latent_dims,
        seeds=seeds, name=name, jobs=jobs, runs_dir=runs_dir, data_dir=data_dir, quiet=quiet,
    )  # fmt: skip
    figures = _draw(results.sweep, measured)
    if json:
        runs = [{**asdict(each), "negative_elbo_nats": each.negative_elbo_nats} for each in measured]
        print(json_format.dumps({"split": "test", "runs": runs, "failures": results.failures, "figures": figures}))
        return
    _print_table(measured)
    for run, reason in results.failures.items():
        print(f"failed: {run}: {reason}")
    print("\n" + "\n".join(figures))


def _draw(sweep: "Sweep", measured: "list[Measured]") -> list[str]:
    import numpy as np

    from etude.drawing.latent_effect import latent_effect
    from etude.drawing.style import render
    from etude.files import write_atomically
    from etude.report.figures import FORMATS
    from etude.runs.folder import short_data_name

    def column(value: "Callable[[Measured], float]") -> np.ndarray:
        return np.array([value(each) for each in measured])

    recipe = sweep.recipe
    figure = latent_effect(
        column(lambda each: each.latent_dim),
        reconstruction_nats=column(lambda each: each.reconstruction_nats),
        kl_nats=column(lambda each: each.kl_nats),
        active_latents=column(lambda each: each.active_latents),
        fid=column(lambda each: each.fid),
        fid_floor=measured[0].fid_floor,
        title=f"{recipe.name} on {short_data_name(recipe.data)}, {recipe.epochs} epochs, "
        + (f"{len(sweep.seeds)} seeds, lines through their means" if len(sweep.seeds) > 1 else "1 seed"),
    )
    paths = []
    for format in FORMATS:
        paths.append(str(sweep.path / f"latents.{format}"))
        write_atomically(Path(paths[-1]), render(figure, format))
    return paths


COLUMNS: "dict[str, Callable[[Measured], float]]" = {
    "negative ELBO": lambda each: each.negative_elbo_nats,
    "reconstruction": lambda each: each.reconstruction_nats,
    "KL": lambda each: each.kl_nats,
    "in use": lambda each: each.active_latents,
    "linear probe": lambda each: each.linear_probe,
    "FID": lambda each: each.fid,
}


def _print_table(measured: "list[Measured]") -> None:
    """One row a number of latents: means over the seeds, with their standard deviation where there are several."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("latents", *COLUMNS, "seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for latent_dim in sorted({each.latent_dim for each in measured}):
        runs = [each for each in measured if each.latent_dim == latent_dim]
        cells = []
        for value in COLUMNS.values():
            values = [value(run) for run in runs]
            cells.append(f"{mean(values):.4g}" + (f" ± {stdev(values):.2g}" if len(values) > 1 else ""))
        table.add_row(str(latent_dim), *cells, str(len(runs)))
    console = stdout_console()
    several = len({each.seed for each in measured}) > 1
    print("on the test images; nats per image" + (", mean ± standard deviation over seeds" if several else ""))
    console.print(table)
    if not several:
        print("note: one run of each: how much another seed would differ is not known; --seeds 8 shows it.")
    for note in dict.fromkeys(each.note for each in measured if each.note):
        print(f"note: {note}")
