"""`etude measure`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import tyro

from etude.errors import UsageError


def measure(
    run: tyro.conf.Positional[Annotated[list[str], tyro.conf.arg(help_behavior_hint="(required)")]],
    *,
    metrics: str | None = None,
    split: Literal["test", "validation"] = "test",
    num_samples: int = 10_000,
    seed: int = 0,
    features: str = "auto",
    extrapolate: bool = False,
    binarize: Literal["none", "static", "dynamic", "threshold"] | None = None,
    num_importance: int = 1000,
    num_likelihood_images: int = 500,
    checkpoint: str = "last",
    interval: Literal["t", "bootstrap-t"] = "t",
    out: Path | None = None,
    runs_dir: Path | None = None,
    data: str | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
    json: bool = False,
) -> None:
    """Measure a run or sweeps: FID, KID, likelihood, accuracy, with floors and intervals.

    Of a sweep every finished run is measured, and means over its seeds are shown; several sweeps share one table.
    Results are kept in the run's folder and read from there when nothing has changed.

    Args:
        run: Name or folder of a run, or of one sweep or several.
        metrics: Names separated by commas, such as fid,kid; all that fit the run when not given.
        split: The images that are measured: test, to report, or validation, to choose by.
        num_samples: Images on each side of a comparison; at most those of the split.
        seed: Determines the generated images and every other draw.
        features: How images are compared: auto (a classifier trained once on the same data), inception, or
            FILE.py:Name, a torch module that gives (images, features).
        extrapolate: Add fid_infinity, the FID extrapolated to infinitely many images.
        binarize: How pixels become 0 or 1 to score a VAE, only then nats are a likelihood; as in training by default.
        num_importance: Latents drawn per image for nll_nats.
        num_likelihood_images: Images for nll_nats, at most.
        checkpoint: The weights: last, best (by the validation images), or the step of a checkpoint that is kept.
        interval: For sweeps: how the intervals over seeds are computed; bootstrap-t suits skewed values.
        out: For sweeps: FILE.md, the table in Markdown, or FILE.csv, a row a run.
        runs_dir: Where runs are kept.
        data: Where the data is now, folder:PATH say, if it has moved since training: the same images.
        data_dir: Where data is looked for first. For a run on a folder: where that folder is now.
        trust: Run the code of its own that a run keeps, though the run was not made here: you have read it.
        json: Print one JSON object on stdout.
    """
    from etude.cli import show_measurement as show

    settings = show.Settings(
        metrics=names_in(metrics or ""),
        split=split,
        num_samples=num_samples,
        seed=seed,
        features=features,
        extrapolate=extrapolate,
        binarize=binarize,
        num_importance=num_importance,
        num_likelihood_images=num_likelihood_images,
    )
    which = int(checkpoint) if checkpoint.isdecimal() and len(checkpoint) < 20 else checkpoint
    if not run:
        raise UsageError("name a run or a sweep to measure: `etude runs` lists them.")
    if len(run) > 1 or show.find(run[0], runs_dir=runs_dir):
        how = {"checkpoint": which, "interval": interval, "data": data, "data_dir": data_dir}
        show.sweeps(run, settings, how, runs_dir=runs_dir, trust=trust, out=out, json=json)
        return
    if interval != "t":
        raise UsageError(f"--interval {interval} is for sweeps, and {run[0]} is a run: leave it out.")
    if out:
        raise UsageError(f"--out {out} is for sweeps, and {run[0]} is a run: leave it out, or take --json.")
    opened = show.load(run[0], runs_dir=runs_dir, checkpoint=which, data=data, trust=trust)
    show.run(opened, settings, data_dir=data_dir, json=json)


def names_in(text: str) -> tuple[str, ...]:
    """Names separated by commas; those between the brackets of FILE.py:NAME(1, 2) separate arguments."""
    return tuple(name.strip() for name in re.split(r",(?![^(]*\))", text) if name.strip())
