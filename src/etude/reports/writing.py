"""`etude.report`: find what is named, choose the page, write the file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from html import escape
from pathlib import Path
from typing import final

from etude.errors import EtudeError, RunError, UsageError
from etude.files import write_atomically
from etude.reports.document import Document
from etude.reports.group_page import group_document
from etude.reports.places import told
from etude.reports.run_page import run_document
from etude.reports.study_page import study_document
from etude.runs import Run, default_runs_dir
from etude.runs import find as find_run
from etude.studies import Settled, Study, book, study
from etude.studies.lab import Progress, silent
from etude.sweeps import Sweep
from etude.sweeps import load as load_sweep
from etude.sweeps.folder import find as find_sweep

FILE = "report.html"
Subject = Run | Sweep | Settled | Study | str | Path
"""What a report may be of: a run, a sweep, a study; or the name or the folder of one."""


@final
@dataclass(frozen=True, repr=False)
class Report:
    """A report that was written. In a notebook it shows itself."""

    path: Path
    num_bytes: int

    def __repr__(self) -> str:
        return f"<Report {self.path}: {self.num_bytes / 1000:,.0f} kB>"

    def _repr_html_(self) -> str:
        page = escape(self.path.read_text("utf-8"))
        return f'<iframe sandbox="" style="width: 100%; height: 640px; border: 0" srcdoc="{page}"></iframe>'


def report(
    run: Subject | Sequence[Subject],
    path: str | Path | None = None,
    *,
    quick: bool = False,
    runs_dir: str | Path | None = None,
    data: str | None = None,
    data_dir: str | Path | None = None,
    trust: bool = False,
    quiet: bool = True,
    progress: Callable[[str], Progress] = silent,
) -> Report:
    """Write a report as one HTML file that needs no other, no network and no script.

        etude.report("vae-digits-1")
        etude.report(["lenet-digits-1", "lenet-digits-2"], path="two.html")

    `run` is a run, a sweep or a study of `etude study --list`: an object, a name or a folder. Several runs and sweeps
    make a comparison. Without a `path` the file is `report.html` in the folder of the run, the sweep or the study, or
    in the folder that holds the first of several runs. `quick` runs a study in its short form. A run's metrics are
    those that `etude measure` has kept; nothing is measured. `data` and `data_dir` say where a run's data are now, as
    in `etude.load`.

    A page has no path, no name of the machine and no name of its user. Code of a run from elsewhere is not run unless
    `trust` is given. A damaged or unfinished run is reported as far as it can be read. Raises `UsageError` or
    `RunError` for what does not exist, `DiskError` if the file cannot be written.
    """
    subjects = list(run) if isinstance(run, Sequence) and not isinstance(run, str) else [run]
    for each in subjects:
        if not isinstance(each, Subject):
            raise UsageError(f"a report of a {type(each).__name__} (allowed: a run, a sweep or a study, or its name).")
    if not subjects:
        raise UsageError("name a run, a sweep or a study to report: `etude runs` and `etude study --list` list them.")
    home = Path(runs_dir) if runs_dir else default_runs_dir()
    found = [_found(each, home, trust=trust) for each in subjects]
    if studies := [each for each in found if isinstance(each, Settled | Study)]:
        if len(found) > 1:
            raise UsageError(f"{_name(studies[0])} is a study, which has a report of its own: name it alone.")
        document, folder = _of_study(
            studies[0], quick=quick, home=home, data_dir=data_dir, quiet=quiet, progress=progress
        )
    elif quick:
        raise UsageError(f"--quick is for a study, and {_name(found[0])} is none: leave it out.")
    elif len(found) == 1 and isinstance(found[0], Run | Path):
        opened = found[0] if isinstance(found[0], Run) else Run(found[0], data=data, trust=trust)
        where = Path(data_dir) if data_dir else None
        document = run_document(opened, data_dir=where, progress=progress(f"{opened.name}: figures"))
        folder = opened.path
    elif data:
        raise UsageError(f"--data {data} is for one run: leave it out.")
    else:
        document = _of_several(found, trust=trust)
        folder = found[0].path if len(found) == 1 and isinstance(found[0], Sweep) else _path(found[0]).parent
    text = document.html()
    file = Path(path) if path is not None else folder / FILE
    write_atomically(file, text)
    return Report(file, len(text.encode()))


def _found(subject: Subject, home: Path, *, trust: bool) -> Run | Path | Sweep | Study | Settled:
    """What a name means: a sweep, a study, or the folder of a run, which may be damaged."""
    if isinstance(subject, Run | Sweep | Study | Settled):
        return subject
    if find_sweep(subject, runs_dir=home):
        return load_sweep(subject, runs_dir=home, trust=trust)
    try:
        return find_run(subject, runs_dir=home)
    except RunError as error:
        names = [name for _, name in book.listed()]
        if isinstance(subject, str) and (subject in names or subject.endswith(".py")):
            return book.find(subject)
        near = get_close_matches(str(subject)[:100], names, n=1)
        meant = (
            f"; is the study {near[0]} meant? `etude study --list` lists" if near else "; `etude study --list` lists"
        )
        raise RunError(f"{str(error).rstrip('.')}{meant} the studies.") from None


def _of_study(
    asked: Study | Settled,
    *,
    quick: bool,
    home: Path,
    data_dir: str | Path | None,
    quiet: bool,
    progress: Callable[[str], Progress],
) -> tuple[Document, Path]:
    """The page of a study, which is run first if it was not, and the folder of its results."""
    if isinstance(asked, Settled):
        return study_document(asked), asked.figure.parent
    settled = study(
        asked,
        quick=quick,
        runs_dir=home,
        data_dir=data_dir,
        quiet=quiet,
        progress=lambda what: progress(f"{asked.name}: {what}"),
    )
    return study_document(settled), settled.figure.parent


def _of_several(found: Sequence[Run | Path | Sweep | Study | Settled], *, trust: bool) -> Document:
    """The page of sweeps and runs. A run that cannot be opened is named there."""
    sweeps = [each for each in found if isinstance(each, Sweep)]
    runs: list[Run] = []
    damaged: dict[str, str] = {}
    for each in found:
        if isinstance(each, Run):
            runs.append(each)
        elif isinstance(each, Path):
            try:
                runs.append(Run(each, trust=trust))
            except EtudeError as error:
                damaged[each.name] = told(str(error), each)
    return group_document(sweeps, runs, damaged=damaged)


def _path(found: Run | Path | Sweep | Study | Settled) -> Path:
    return found if isinstance(found, Path) else found.path if isinstance(found, Run | Sweep) else Path()


def _name(found: Run | Path | Sweep | Study | Settled) -> str:
    return found.study.name if isinstance(found, Settled) else found.name
