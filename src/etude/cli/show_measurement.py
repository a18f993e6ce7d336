"""What `etude measure` prints: a run's metrics, or a table of sweeps."""

import contextlib
import sys
from pathlib import Path
from typing import Any

from etude.cli.printing import print_json, show_parts, stdout_console
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
        print_json(results.to_dict())
    else:
        show_parts(results.report())
