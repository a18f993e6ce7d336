"""The results of `etude latents`: a table and a figure of what more latents change."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from etude.cli.printing import print_json, stdout_console
from etude.drawing.latent_effect import latent_effect
from etude.drawing.style import render
from etude.figures.catalogue import FORMATS
from etude.files import write_atomically
from etude.notebook import plain_table
from etude.runs.folder import short_data_name
from etude.sweeps import Results, Sweep
from etude.sweeps.latent_study import Measured, study_latents

__all__ = ["report", "study_latents"]


def report(results: Results, measured: list[Measured], *, json: bool) -> None:
    """Draw the figures and print the table."""
    figures = _draw(results.sweep, measured)
    if json:
        runs = [{**asdict(each), "negative_elbo_nats": each.negative_elbo_nats} for each in measured]
        print_json({"split": "test", "runs": runs, "failures": results.failures, "figures": figures})
        return
    _print_table(measured)
    for run, reason in results.failures.items():
        print(f"failed: {run}: {reason}")
    print("\n" + "\n".join(figures))


def _draw(sweep: Sweep, measured: list[Measured]) -> list[str]:
    def column(value: Callable[[Measured], float]) -> np.ndarray:
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


COLUMNS: dict[str, Callable[[Measured], float]] = {
    "negative ELBO": lambda each: each.negative_elbo_nats,
    "reconstruction": lambda each: each.reconstruction_nats,
    "KL": lambda each: each.kl_nats,
    "in use": lambda each: each.active_latents,
    "linear probe": lambda each: each.linear_probe,
    "FID": lambda each: each.fid,
}


def _print_table(measured: list[Measured]) -> None:
    """One row per number of latents: means over the seeds, with the standard deviation if there are several."""
    rows = []
    for latent_dim in sorted({each.latent_dim for each in measured}):
        runs = [each for each in measured if each.latent_dim == latent_dim]
        cells = []
        for value in COLUMNS.values():
            values = [value(run) for run in runs]
            cells.append(f"{mean(values):.4g}" + (f" ± {stdev(values):.2g}" if len(values) > 1 else ""))
        rows.append([str(latent_dim), *cells, str(len(runs))])
    several = len({each.seed for each in measured}) > 1
    print("on the test images; nats per image" + (", mean ± standard deviation over seeds" if several else ""))
    stdout_console().print(plain_table(["latents", *COLUMNS, "seeds"], rows, align="r"))
    if not several:
        print("note: with one run each, it is not known how much another seed would differ; --seeds 8 shows it.")
    for note in dict.fromkeys(each.note for each in measured if each.note):
        print(f"note: {note}")
