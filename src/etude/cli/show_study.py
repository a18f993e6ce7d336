"""The work of `etude study`: its flags, the list, the question that waits for an answer, and the report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO, TypeVar

import tyro

from etude.cli.parse import parse
from etude.cli.printing import print_json, progress_line, show_parts
from etude.errors import UsageError
from etude.studies import book
from etude.studies.claim import Design, Study
from etude.studies.evidence import VERDICTS, Verdict
from etude.studies.lab import silent
from etude.studies.quiz import read_sheet, write_sheet
from etude.studies.settled import knobs
from etude.studies.settling import designed
from etude.studies.settling import study as settle_study

Options = TypeVar("Options")


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


def parse_options(options: type[Options], arguments: Sequence[str]) -> Options:
    """The flags of a command without a study."""
    return parse(tyro.conf.FlagCreatePairsOff[options], prog="etude study", arguments=arguments)


def parse_study(arguments: Sequence[str]) -> tuple[Study, Design, StudyOptions]:
    """The study that the first word names, its design by its flags, and the other flags."""
    name, *rest = arguments
    study = book.find(name)
    start = designed(study, quick="--quick" in rest)
    flat = tyro.conf.arg(name="")
    # The types depend on the study, so that a checker cannot follow them.
    target: Any = tuple[Annotated[type(start), flat], tyro.conf.FlagCreatePairsOff[Annotated[StudyOptions, flat]]]
    design, options = parse(
        target, prog=f"etude study {name}", arguments=rest, default=(start, StudyOptions()), description=study.question
    )
    return study, design, options


def list_studies(*, json: bool) -> None:
    """All studies by topic, each with its question."""
    studies = book.all_studies()
    if json:
        print_json([{"study": each.name, "topic": each.topic, "question": each.question} for each in studies])
        return
    for topic in book.TOPICS:
        print(topic)
        for each in studies:
            if each.topic == topic:
                print(f"  {each.name:<26}{each.question}")
        print()
    print("`etude study NAME` settles one.")


def ask(study: Study, answers: TextIO, out: TextIO) -> Verdict:
    """Show the question and read a prediction: a verdict, or its first letters."""
    print(f"{study.question}\nClaim: {study.claim}\n", file=out)
    while True:
        print(f"What do you expect ({', '.join(VERDICTS)})? ", end="", file=out, flush=True)
        line = answers.readline()
        if not line:
            raise UsageError(f"--ask waits for a prediction on stdin, and it ended; allowed: {', '.join(VERDICTS)}.")
        fitting: list[Verdict] = [each for each in VERDICTS if line.strip() and each.startswith(line.strip().lower())]
        if len(fitting) == 1:
            return fitting[0]


def settle(study: Study, design: Design, options: StudyOptions, prediction: Verdict | None) -> None:
    """Run the study and report it."""
    settled = settle_study(
        study,
        quick=options.quick,
        runs_dir=options.runs_dir,
        data_dir=options.data_dir,
        jobs=options.jobs,
        quiet=options.quiet,
        progress=silent if options.quiet else lambda what: progress_line(f"{study.name}: {what}"),
        **knobs(design),
    )
    if options.json:
        score = {} if prediction is None else {"prediction": prediction, "right": prediction == settled.verdict}
        print_json({**settled.to_dict(), **score})
        return
    show_parts([*settled.parts()])
    if prediction is not None:
        said = "You were right" if prediction == settled.verdict else "You were wrong"
        print(f"\n{said}: you expected {prediction}.")


def quiz(options: QuizOptions) -> None:
    """Write a sheet of questions and its solution."""
    sheet = read_sheet(options.quiz)
    stem = options.out or options.quiz.with_suffix("")
    for path in write_sheet(
        sheet,
        Path(stem),
        format=options.format,
        quick=options.quick,
        runs_dir=options.runs_dir,
        data_dir=options.data_dir,
        progress=silent if options.quiet else progress_line,
    ):
        print(path)
