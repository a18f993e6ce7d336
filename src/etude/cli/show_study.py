"""The work of `etude study`: its flags, the list, the question that waits for an answer, and the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeVar

import tyro

from etude.cli.parse import parse
from etude.cli.printing import print_json, progress_line, show_parts
from etude.errors import UsageError
from etude.studies import book
from etude.studies.evidence import VERDICTS, Verdict
from etude.studies.quiz import read_sheet, write_sheet
from etude.studies.settling import designed
from etude.studies.settling import settle as settle_study
from etude.studies.study import Design, Study

if TYPE_CHECKING:
    from etude.cli.study import QuizOptions, StudyOptions

Options = TypeVar("Options")


def parse_options(options: type[Options], arguments: Sequence[str]) -> Options:
    """The flags of a command without a study."""
    return parse(tyro.conf.FlagCreatePairsOff[options], prog="etude study", arguments=arguments)


def parse_study(arguments: Sequence[str], options: "StudyOptions") -> tuple[Study, Design, "StudyOptions"]:
    """The study that the first word names, its design by its flags, and the other flags."""
    name, *rest = arguments
    study = book.find(name)
    start = designed(study, quick="--quick" in rest)
    flat = tyro.conf.arg(name="")
    # The types depend on the study, so that a checker cannot follow them.
    target: Any = tuple[Annotated[type(start), flat], tyro.conf.FlagCreatePairsOff[Annotated[type(options), flat]]]
    design, options = parse(
        target, prog=f"etude study {name}", arguments=rest, default=(start, options), description=study.question
    )
    return study, design, options


def list_studies(*, json: bool) -> None:
    """All studies by topic, each with its question."""
    studies = book.every()
    if json:
        print_json([{"study": each.name, "topic": each.topic, "question": each.question} for each in studies])
        return
    for topic in book.TOPICS:
        print(topic)
        for each in studies:
            if each.topic == topic:
                print(f"  {each.name:<24}{each.question}")
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
        fitting = [each for each in VERDICTS if line.strip() and each.startswith(line.strip().lower())]
        if len(fitting) == 1:
            return fitting[0]


def settle(study: Study, design: Design, options: "StudyOptions", prediction: Verdict | None) -> None:
    """Run the study and report it."""
    silent = lambda what: lambda done, total: None  # noqa: E731
    settled = settle_study(
        study,
        design,
        quick=options.quick,
        runs_dir=options.runs_dir,
        data_dir=options.data_dir,
        jobs=options.jobs,
        quiet=options.quiet,
        progress=silent if options.quiet else lambda what: progress_line(f"{study.name}: {what}"),
    )
    if options.json:
        score = {} if prediction is None else {"prediction": prediction, "right": prediction == settled.verdict}
        print_json({**settled.to_dict(), **score})
        return
    show_parts([*settled.parts()])
    if prediction is not None:
        said = "You were right" if prediction == settled.verdict else "You were wrong"
        print(f"\n{said}: you expected {prediction}.")


def quiz(options: "QuizOptions") -> None:
    """Write a sheet of questions and its solution."""
    sheet = read_sheet(options.quiz)
    stem = options.out or options.quiz.with_suffix("")
    silent = lambda what: lambda done, total: None  # noqa: E731
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
