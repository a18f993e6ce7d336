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

    For a sweep, every finished run is measured and the table shows means over the seeds. Several sweeps share one
    table. Results are kept in the run's folder and read from there if nothing has changed.

    Args:
        run: Name or folder of a run, or of one or more sweeps.
        metrics: Names separated by commas, such as fid,kid. Default: all that fit the run.
        split: Which images to measure: test, to report; validation, to choose.
        num_samples: Images per side of a comparison, at most those of the split.
        seed: Determines the generated images and every other random draw.
        features: How to compare images: auto (a classifier trained once on the same data), inception, or FILE.py:Name,
            a torch module that maps images to (images, features).
        extrapolate: Add fid_infinity, the FID extrapolated to infinitely many images.
        binarize: How to turn pixels into 0 or 1 to score a VAE; only then nats are a likelihood. Default: as trained.
        num_importance: Latents drawn per image for nll_nats.
        num_likelihood_images: At most this many images for nll_nats.
        checkpoint: Which weights: last, best (by the validation split), or the step of a kept checkpoint.
        interval: For sweeps: how to compute the intervals over seeds. bootstrap-t suits skewed values.
        out: For sweeps: FILE.md for the table in Markdown, FILE.csv for one row per run.
        runs_dir: Where runs are kept.
        data: Where the data is now, such as folder:PATH, if it has moved since training. The images must be the same.
        data_dir: Where to look for data first. For a run on a folder: where that folder is now.
        trust: Run the code kept in the run, although the run was made elsewhere. Read that code first.
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
