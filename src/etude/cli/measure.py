"""`etude measure`."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from etude.cli.printing import rounded, stdout_console
from etude.errors import UsageError

if TYPE_CHECKING:
    from etude.measurement import Settings
    from etude.sweeps import Sweep


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
        json: Print one JSON object on stdout.
    """
    from etude.measurement import Settings
    from etude.measurement import measure as measure_run
    from etude.runs import load
    from etude.sweeps import load as load_sweep
    from etude.sweeps.folder import find

    settings = Settings(
        metrics=tuple(name.strip() for name in metrics.split(",") if name.strip()) if metrics else (),
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
    if len(run) > 1 or find(run[0], runs_dir=runs_dir):
        sweeps = [load_sweep(each, runs_dir=runs_dir) for each in run]
        how = {"checkpoint": which, "interval": interval, "data": data, "data_dir": data_dir}
        _measure_sweeps(sweeps, settings, how, out=out, json=json)
        return
    if interval != "t":
        raise UsageError(f"--interval {interval} is for sweeps, and {run[0]} is a run: leave it out.")
    if out:
        raise UsageError(f"--out {out} is for sweeps, and {run[0]} is a run: leave it out, or take --json.")
    opened = load(run[0], runs_dir=runs_dir, checkpoint=which, data=data)
    results = measure_run(opened, settings, data_dir=data_dir)
    if json:
        print(json_format.dumps(results))
    else:
        _print_table(results)


def _measure_sweeps(
    sweeps: list[Sweep],
    settings: Settings,
    how: dict[str, Any],
    *,
    out: Path | None,
    json: bool,
) -> None:
    """Measure sweeps, `how` as `measure_sweep` takes it, and print one table of all."""
    from rich.markup import escape
    from rich.table import Table

    from etude.files import write_atomically
    from etude.sweeps.measured import measure_sweep, sentences, table_rows, to_csv, to_markdown

    writers = {".md": to_markdown, ".csv": to_csv}
    if out and out.suffix not in writers:
        raise UsageError(f"--out {out} (allowed: FILE.md, a table, or FILE.csv, a row a run).")
    measured = [measure_sweep(sweep, settings, **how) for sweep in sweeps]
    if out:
        write_atomically(out, writers[out.suffix](measured))
    if json:
        print(json_format.dumps({"split": "test", "sweeps": [each.to_dict() for each in measured]}))
        return
    headings, rows = table_rows(measured)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(heading.replace(" mean", "\nmean"), justify="left" if index < 2 else "right")
    for row in rows:
        table.add_row(*map(escape, row))
    console = stdout_console()
    console.print(table)
    console.print()
    for sentence in sentences(measured):
        console.print(sentence, markup=False, soft_wrap=True)
    if out:
        print(f"File: {out}")


def _print_table(results: dict[str, Any]) -> None:
    from rich.table import Table

    about = results["about"]
    which = {"last": " (the last)", "best": " (the best by validation)"}.get(about["checkpoint"], "")
    images = f"{about['data']}: {about['split']} images"
    print(f"{about['run']} at step {about['step']:,}{which}, {images}, seed {about['seed']}")
    if network := about.get("features"):
        accuracy = network["test_accuracy"]
        print(f"features: {network['name']}" + ("" if accuracy is None else f", test accuracy {accuracy:.3f}"))
    rows = [(name, result) for name, result in results.items() if name not in ("about", "notes")]
    shown = [key for key in ("floor", "interval") if any(result.get(key) is not None for _, result in rows)]
    headings = {"floor": "floor", "interval": "95% interval"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("metric", "value", *(headings[key] for key in shown), "images", ""):
        table.add_column(heading, justify="left" if heading in ("metric", "") else "right", no_wrap=True)
    for name, result in rows:
        cells = [_text(result.get(key), _spread(result)) for key in shown]
        table.add_row(
            name, _text(result["value"], _spread(result)), *cells, f"{result['num_samples']:,}", _remark(name, result)
        )
    console = stdout_console()
    print()
    console.print(table)
    if results["notes"]:
        print()
    for note in results["notes"]:
        print(f"note: {note}")


def _spread(result: dict[str, Any]) -> float:
    """Half the width of a result's interval, 0 without one: how many digits its numbers are shown with."""
    low, high = result.get("interval") or (0.0, 0.0)
    return (high - low) / 2


def _text(value: Any, spread: float) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " – ".join(_text(each, spread) for each in value)
    return f"{value:,}" if isinstance(value, int) else rounded(value, spread)


def _remark(name: str, result: dict[str, Any]) -> str:
    """What else a reader of the table needs of a result."""
    match name:
        case "nll_nats" if "method" in result:
            exact = result["method"] == "quadrature"
            how = "exact" if exact else f"upper bound, K = {result['num_importance']:,}"
            return f"{_bits(result)}{how}, {_pixels(result)}"
        case "negative_elbo_nats":
            terms = [f"{result[key]:.4g}" for key in ("reconstruction_nats", "kl_nats")]
            return f"reconstruction {terms[0]} + KL {terms[1]}, {_pixels(result)}"
        case "copy_rate":
            return "nearer to a training image than 1 % of test images are"
        case "bayes_accuracy":
            return f"K = {result['num_importance']:,}, {_pixels(result)}"
        case "active_latents":
            return f"of {result['num_latents']} latents"
        case "aggregate_posterior":
            return f"{result['num_different']} of {len(result['distance'])} latents differ from the prior at 5 %"
        case "linear_probe" | "nearest_neighbours_probe":
            return f"on latents of {result['num_train']:,} training images"
        case "top_k_accuracy":
            return f"k = {result['k']}"
        case "class_accuracy":
            return f"minimum of {result['num_classes']} classes, {result['worst']}; floor: were all equally hard"
        case "ece":
            return "floor: labels drawn from its own probabilities"
        case "temperature":
            return f"fitted on validation; test nll {result['test_nll_nats']:.3g}, ece {result['test_ece']:.2g} with it"
        case _:
            return ""


def _bits(result: dict[str, Any]) -> str:
    """Bits per dimension, where the nats are a likelihood."""
    bits = result.get("bits_per_dimension")
    return "" if bits is None else f"{rounded(bits, _spread(result) * bits / result['value'])} bits/dim, "


def _pixels(result: dict[str, Any]) -> str:
    return "pixels as they are" if result["binarize"] == "none" else f"{result['binarize']} binarisation"
