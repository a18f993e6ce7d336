"""`etude study`: a textbook claim, settled by an experiment."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from etude.errors import UsageError

USAGE = """usage: etude study NAME [knobs] [flags]

Settle a claim by an experiment: the question, the evidence with intervals, a verdict, and why.

  etude study xy-game
  etude study xy-game --step-size 0.5 --steps 200     look for where the claim breaks
  etude study batch-doubling --ask                    predict first, then see
  etude study --list                                  all studies, by topic
  etude study my_study.py                             your own, a file that defines STUDY
  etude study --quiz sheet.toml --out sheet           a sheet of questions, and its solution

`etude study NAME --help` lists the knobs of one study."""


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """How to run it."""

    quick: bool = False
    """A short form, under 30 seconds. It says what it cannot decide."""
    ask: bool = False
    """Show the question and wait for your prediction before the experiment runs."""
    jobs: int | None = None
    """Worker processes of what it trains. Default: one per core."""
    runs_dir: Path | None = None
    """Where runs are kept: results go to studies/NAME in it. Default: the folder in ETUDE_RUNS, or ./runs."""
    data_dir: Path | None = None
    """Where to look for data first."""
    quiet: bool = False
    """Show no progress."""
    json: bool = False
    """Print one JSON object on stdout, and nothing else."""


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """All studies."""

    list: bool = False
    """List the studies by topic."""
    json: bool = False
    """Print one JSON list on stdout."""


@dataclass(frozen=True, kw_only=True)
class QuizOptions:
    """A sheet for a class."""

    quiz: Path
    """A TOML file with a title and the studies to ask about."""
    out: Path | None = None
    """Where to write: NAME makes NAME.html and NAME-solution.html. Default: the TOML file's name."""
    format: Literal["html", "markdown"] = "html"
    """The form of both files."""
    quick: bool = False
    """Settle each study in its short form."""
    runs_dir: Path | None = None
    """Where runs are kept."""
    data_dir: Path | None = None
    """Where to look for data first."""
    quiet: bool = False
    """Show no progress."""


def study(arguments: Sequence[str]) -> None:
    """Settle a textbook claim by an experiment."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return
    from etude.cli import show_study as show

    words = [word.partition("=")[0] for word in arguments]
    if "--list" in words:
        options = show.parse_options(ListOptions, arguments)
        show.list_studies(json=options.json)
    elif "--quiz" in words:
        show.quiz(show.parse_options(QuizOptions, arguments))
    elif arguments[0].startswith("-"):
        raise UsageError(
            f"the study comes first: `etude study NAME {arguments[0]} …`; `etude study --list` names them."
        )
    else:
        found, design, options = show.parse_study(arguments, StudyOptions())
        prediction = show.ask(found, sys.stdin, sys.stderr if options.json else sys.stdout) if options.ask else None
        show.settle(found, design, options, prediction)
