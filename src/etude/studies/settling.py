"""Run a study: the experiment, the verdict, a figure and a file."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etude.drawing.style import render
from etude.errors import UsageError, unknown
from etude.files import checked_json, disk_failures_said, write_atomically
from etude.runs import default_runs_dir
from etude.studies.book import find
from etude.studies.lab import Lab, Progress
from etude.studies.settled import Settled
from etude.studies.study import Design, Study


def study(
    name: str | Study,
    *,
    quick: bool = False,
    runs_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    jobs: int | None = None,
    quiet: bool = True,
    progress: Callable[[str], Progress] = lambda what: lambda done, total: None,
    **knobs: Any,
) -> Settled:
    """Settle a claim by its experiment.

        etude.study("xy-game", steps=12)

    `name` is one of `etude study --list`, a file that defines STUDY, or a `Study`. `knobs` are fields of its design.
    `quick` takes less than 30 seconds, with fewer seeds. Results go to `studies/NAME` in the folder of runs, and the
    runs that were trained to `studies/runs`; a run that is there is not trained again. Raises `UsageError` for a name
    or a knob that does not exist.
    """
    found = find(name) if isinstance(name, str) else name
    design = designed(found, quick=quick, **knobs)
    return settle(found, design, quick=quick, runs_dir=Path(runs_dir) if runs_dir else None,
        data_dir=Path(data_dir) if data_dir else None, jobs=jobs, quiet=quiet, progress=progress)  # fmt: skip


def designed(study: Study, *, quick: bool = False, **knobs: Any) -> Design:
    """The study's design with these knobs, or with those of its quick form where they are not given."""
    allowed = [field.name for field in dataclasses.fields(study.design)]
    for name in knobs:
        if name not in allowed:
            raise (
                unknown(f"knob of {study.name}", name, allowed)
                if allowed
                else UsageError(f"{study.name} has no knob {name}: it has none.")
            )
    return dataclasses.replace(study.design, **{**(study.quick if quick else {}), **knobs})


def settle(
    study: Study,
    design: Design,
    *,
    quick: bool = False,
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    jobs: int | None = None,
    quiet: bool = True,
    progress: Callable[[str], Progress] = lambda what: lambda done, total: None,
) -> Settled:
    """Run the experiment, judge it, draw it and write both down. See `study`."""
    home = (runs_dir or default_runs_dir()) / "studies"
    lab = Lab(home / "runs", progress=progress, quiet=quiet, jobs=jobs, data_dir=data_dir)
    started = time.perf_counter()
    findings = study.experiment(design, lab)
    folder = home / study.name
    settled = Settled(
        study, design, findings, study.judge(findings), time.perf_counter() - started, folder / "figure.png", quick
    )
    with disk_failures_said(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(settled.figure, render(study.draw(findings), "png"))
        write_atomically(folder / "study.json", checked_json(settled.to_dict()))
    return settled
