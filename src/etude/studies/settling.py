"""Run a study: the experiment, the verdict, a figure and a file."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from matplotlib.figure import Figure

from etude.drawing.style import render
from etude.errors import UsageError, unknown
from etude.files import checked_json, disk_failures_said, write_atomically
from etude.runs import default_runs_dir
from etude.studies.book import find
from etude.studies.claim import Design, Study
from etude.studies.evidence import Findings, Ruling
from etude.studies.lab import Lab, Progress, silent
from etude.studies.settled import Settled

T = TypeVar("T")


def study(
    name: str | Study,
    *,
    quick: bool = False,
    runs_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    jobs: int | None = None,
    quiet: bool = True,
    progress: Callable[[str], Progress] = silent,
    **knobs: Any,
) -> Settled:
    """Settle a claim by its experiment.

        etude.study("xy-game", steps=12)

    `name` is one of `etude study --list`, a file that defines STUDY, or a `Study`. `knobs` are fields of its design.
    `quick` takes less than 30 seconds, with fewer seeds. Results go to `studies/NAME` in the folder of runs, and the
    runs that were trained to `studies/runs`; a run that is there is not trained again. Raises `UsageError` for a name
    or a knob that does not exist, and where a person's study gives something else than is asked of it.
    """
    found = find(name) if isinstance(name, str) else name
    design = designed(found, quick=quick, **knobs)
    home = Path(runs_dir or default_runs_dir()) / "studies"
    lab = Lab(home / "runs", progress=progress, quiet=quiet, jobs=jobs, data_dir=Path(data_dir) if data_dir else None)
    started = time.perf_counter()
    findings = _of_type(Findings, found.experiment(design, lab), f"the experiment of {found.name}")
    ruling = _of_type(Ruling, found.judge(findings), f"the judge of {found.name}")
    seconds = time.perf_counter() - started
    picture = render(_of_type(Figure, found.draw(findings), f"the drawing of {found.name}"), "png")
    folder = home / found.name
    settled = Settled(found, design, findings, ruling, seconds, folder / "figure.png", quick)
    with disk_failures_said(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(settled.figure, picture)
        write_atomically(folder / "study.json", checked_json(settled.to_dict()))
    return settled


def designed(study: Study, *, quick: bool = False, **knobs: Any) -> Design:
    """The study's design with these knobs, or with those of its quick form where they are not given."""
    allowed = [field.name for field in dataclasses.fields(study.design)]
    for name in knobs:
        if not allowed:
            raise UsageError(f"{study.name} has no knob {name}: it has none.")
        if name not in allowed:
            raise unknown(f"knob of {study.name}", name, allowed)
    return dataclasses.replace(study.design, **{**(study.quick if quick else {}), **knobs})


def _of_type(wanted: type[T], given: object, what: str) -> T:
    if not isinstance(given, wanted):
        module = "matplotlib.figure" if wanted is Figure else "etude.studies"
        raise UsageError(f"{what} gives a {type(given).__name__}; allowed: {module}.{wanted.__name__}.")
    return given
