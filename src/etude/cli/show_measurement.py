"""What `etude measure` prints: a run's metrics, or a table of sweeps."""

import contextlib
import sys
from pathlib import Path
from typing import Any

from etude.cli.printing import print_json, rounded, stdout_console
from etude.errors import UsageError
from etude.files import write_atomically
from etude.measurement import Settings, measure
from etude.notebook import plain_table
from etude.runs import Run, load
from etude.sweeps import load as load_sweep
from etude.sweeps.folder import find
from etude.sweeps.measured import measure_sweep, sentences, table_rows, to_csv, to_markdown

__all__ = ["Settings", "find", "load", "run", "sweeps"]


def sweeps(
    names: list[str],
    settings: Settings,
    how: dict[str, Any],
    *,
    runs_dir: Path | None,
    trust: bool,
    out: Path | None,
    json: bool,
) -> None:
    """Measure sweeps, with the arguments `how` of `measure_sweep`, and print one table of all."""
    opened = [load_sweep(name, runs_dir=runs_dir, trust=trust) for name in names]
    writers = {".md": to_markdown, ".csv": to_csv}
    if out and out.suffix not in writers:
        raise UsageError(f"--out {out} (allowed: FILE.md, a table, or FILE.csv, one row per run).")
    with contextlib.redirect_stdout(sys.stderr):  # what the networks' own code prints is not a result
        measured = [measure_sweep(sweep, settings, **how) for sweep in opened]
    if out:
        write_atomically(out, writers[out.suffix](measured))
    if json:
        print_json({"split": "test", "sweeps": [each.to_dict() for each in measured]})
        return
    headings, rows = table_rows(measured)
    console = stdout_console()
    headings = [heading.replace(" mean", "\nmean") for heading in headings]
    console.print(plain_table(headings, rows, align="llr"))
    console.print()
    for sentence in sentences(measured):
        console.print(sentence, markup=False, soft_wrap=True)
    if out:
        print(f"File: {out}")


def run(opened: Run, settings: Settings, *, data_dir: Path | None, json: bool) -> None:
    """Measure a run and print its table."""
    with contextlib.redirect_stdout(sys.stderr):  # what the network's own code prints is not a result
        results = measure(opened, settings, data_dir=data_dir)
    if json:
        print_json(results)
    else:
        _print_table(results)


def _print_table(results: dict[str, Any]) -> None:
    about = results["about"]
    which = {"last": " (the last)", "best": " (the best by validation)"}.get(about["checkpoint"], "")
    images = f"{about['data']}: {about['split']} images"
    print(f"{about['run']} at step {about['step']:,}{which}, {images}, seed {about['seed']}")
    if network := about.get("features"):
        accuracy = network["test_accuracy"]
        print(f"features: {network['name']}" + ("" if accuracy is None else f", test accuracy {accuracy:.3f}"))
    named = [(name, result) for name, result in results.items() if name not in ("about", "notes")]
    shown = [key for key in ("floor", "interval") if any(result.get(key) is not None for _, result in named)]
    headings = {"floor": "floor", "interval": "95% interval"}
    rows = []
    for name, result in named:
        cells = [_text(result.get(key), _spread(result)) for key in shown]
        value = _text(result["value"], _spread(result))
        rows.append([name, value, *cells, f"{result['num_samples']:,}", _remark(name, result)])
    print()
    columns = ["metric", "value", *(headings[key] for key in shown), "images", ""]
    stdout_console().print(plain_table(columns, rows, align=f"l{'r' * (len(columns) - 2)}l"))
    if results["notes"]:
        print()
    for note in results["notes"]:
        print(f"note: {note}")


def _spread(result: dict[str, Any]) -> float:
    """Half the width of a result's interval, 0 without one. It decides how many digits are shown."""
    low, high = result.get("interval") or (0.0, 0.0)
    return (high - low) / 2


def _text(value: Any, spread: float) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " – ".join(_text(each, spread) for each in value)
    return f"{value:,}" if isinstance(value, int) else rounded(value, spread)


def _remark(name: str, result: dict[str, Any]) -> str:
    """What else a reader of the table needs to know of a result."""
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
    """Bits per dimension, if the nats are a likelihood."""
    bits = result.get("bits_per_dimension")
    return "" if bits is None else f"{rounded(bits, _spread(result) * bits / result['value'])} bits/dim, "


def _pixels(result: dict[str, Any]) -> str:
    return "pixels as they are" if result["binarize"] == "none" else f"{result['binarize']} binarisation"
