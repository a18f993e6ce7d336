"""`etude study`: a textbook claim, settled by an experiment."""

from __future__ import annotations

import sys
from collections.abc import Sequence

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


def study(arguments: Sequence[str]) -> None:
    """Settle a textbook claim by an experiment."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return
    from etude.cli import show_study as show

    words = [word.partition("=")[0] for word in arguments]
    if "--list" in words:
        show.list_studies(json=show.parse_options(show.ListOptions, arguments).json)
    elif "--quiz" in words:
        show.quiz(show.parse_options(show.QuizOptions, arguments))
    elif arguments[0].startswith("-"):
        raise UsageError(
            f"the study comes first: `etude study NAME {arguments[0]} …`; `etude study --list` names them."
        )
    else:
        found, design, options = show.parse_study(arguments)
        prediction = show.ask(found, sys.stdin, sys.stderr if options.json else sys.stdout) if options.ask else None
        show.settle(found, design, options, prediction)
