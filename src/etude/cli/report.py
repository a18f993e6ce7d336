"""`etude report`."""

from pathlib import Path
from typing import Annotated

import tyro

from etude.errors import UsageError


def report(
    run: tyro.conf.Positional[Annotated[list[str], tyro.conf.arg(help_behavior_hint="(required)")]],
    *,
    out: Path | None = None,
    quick: bool = False,
    runs_dir: Path | None = None,
    data: str | None = None,
    data_dir: Path | None = None,
    trust: bool = False,
    json: bool = False,
) -> None:
    """Write a report of a run, of several, of a sweep or of a study, as one HTML file.

    The file needs no other, no network and no script. It has no path and no name of this machine or its user. Several
    runs and sweeps make a comparison: seeds in groups, what differs, curves and metrics side by side.

    Args:
        run: Names or folders of runs and sweeps, or the name of one study (`etude study --list`).
        out: The file to write. Default: report.html in the folder of the run, the sweep or the study; for several runs,
            in the folder that holds the first of them.
        quick: For a study: run its short form, under 30 seconds.
        runs_dir: Where runs are kept.
        data: Where the run's data is now, such as folder:PATH, if it has moved. It must hold the same examples.
        data_dir: Where to look for data first. For a run on a folder: where that folder is now.
        trust: Run the code kept in the run, although the run was made elsewhere. Read that code first.
        json: Print one JSON object on stdout.
    """
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {out} (allowed: a name that ends in .html).")
    from etude.cli import show_report as show

    show.write(run, out, quick=quick, runs_dir=runs_dir, data=data, data_dir=data_dir, trust=trust, json=json)
