"""A sheet of questions for a class, with predictions to fill in, and its solution with the evidence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

from etude.errors import UsageError
from etude.files import disk_failures_said, parse_toml, write_atomically
from etude.notebook import paragraph_html
from etude.studies.book import find
from etude.studies.claim import Study
from etude.studies.evidence import VERDICTS
from etude.studies.lab import Progress, silent
from etude.studies.settled import HEADINGS, Settled, evidence_row
from etude.studies.settling import designed, study

Form = Literal["html", "markdown"]


@dataclass(frozen=True)
class Question:
    """A study to ask about, with its knobs."""

    study: Study
    knobs: dict[str, Any]


@dataclass(frozen=True)
class Sheet:
    """A title and questions."""

    title: str
    questions: tuple[Question, ...]


def read_sheet(path: Path) -> Sheet:
    """A sheet from a TOML file. Raises `UsageError` for what it may not have.

    title = "Optimisation"
    studies = ["ravine", "batch-doubling"]

    [knobs.ravine]
    seeds = 4
    """
    try:
        content = parse_toml(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}; give a TOML file with a title and studies.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a sheet: {error}; give a TOML file with a title and studies.") from None
    if wrong := set(content) - {"title", "studies", "knobs"}:
        raise UsageError(f"{path} has {sorted(wrong)[0]}; allowed: title, studies and knobs.")
    names, knobs = content.get("studies"), content.get("knobs", {})
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise UsageError(f'{path} has no list of studies; allowed: studies = ["ravine", "xy-game"].')
    if not (isinstance(knobs, dict) and all(isinstance(each, dict) for each in knobs.values())):
        raise UsageError(f"{path} has knobs that are no tables; allowed: a table [knobs.NAME] for each study.")
    if wrong := set(knobs) - set(names):
        raise UsageError(f"{path} has knobs for {sorted(wrong)[0]}, which is not among its studies.")
    questions = [Question(find(name), _with_tuples(knobs.get(name, {}))) for name in names]
    for question in questions:
        designed(question.study, **question.knobs)  # a mistake is said before anything runs
    return Sheet(str(content.get("title", "Studies")), tuple(questions))


def write_sheet(
    sheet: Sheet,
    stem: Path,
    *,
    format: Form = "html",
    quick: bool = False,
    runs_dir: Path | None = None,
    data_dir: Path | None = None,
    progress: Callable[[str], Progress] = silent,
) -> Iterator[Path]:
    """Write the questions, then settle the studies and write the solution; gives each file as it is written."""
    suffix = "html" if format == "html" else "md"
    path, solution = Path(f"{stem}.{suffix}"), Path(f"{stem}-solution.{suffix}")
    make = _html if format == "html" else _markdown
    with disk_failures_said(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, make(sheet, None))
        yield path
        settled = [
            study(each.study, quick=quick, runs_dir=runs_dir, data_dir=data_dir, progress=progress, **each.knobs)
            for each in sheet.questions
        ]
        write_atomically(solution, make(sheet, settled))
        yield solution


def _markdown(sheet: Sheet, settled: list[Settled] | None) -> str:
    parts = [f"# {sheet.title}{': solution' if settled else ''}"]
    for number, question in enumerate(sheet.questions, start=1):
        asked = question.study
        parts += [f"## {number}. {asked.question}", f"Claim: {asked.claim}"]
        if settled is None:
            parts += ["I expect: " + "   ".join(f"☐ {each}" for each in VERDICTS), "Because: " + "_" * 60]
            continue
        found = settled[number - 1]
        rows = [HEADINGS, ("---",) * len(HEADINGS), *(evidence_row(each) for each in found.findings)]
        parts += [
            f"**{found.ruling.answer}**: {found.ruling.because}",
            "\n".join(f"| {' | '.join(row)} |" for row in rows),
            f"{asked.explanation} ({asked.source})",
            f"![What the experiment found]({found.figure.resolve().as_posix()})",
        ]
    return "\n\n".join(parts) + "\n"


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em }}
td, th {{ padding: 0 .8em .2em 0 }} .line {{ border-bottom: 1px solid #666; height: 1.8em }}
section {{ break-inside: avoid }}</style>
<h1>{title}</h1>
{body}
</html>
"""


def _html(sheet: Sheet, settled: list[Settled] | None) -> str:
    parts = []
    for number, question in enumerate(sheet.questions, start=1):
        asked = question.study
        parts.append(f"<section><h2>{number}. {escape(asked.question)}</h2>")
        if settled is None:
            boxes = " &emsp; ".join(f"☐ {each}" for each in VERDICTS)
            parts.append(f"{paragraph_html(f'Claim: {asked.claim}')}<p>I expect: {boxes}</p><p>Because:</p>")
            parts.append('<div class="line"></div>' * 3)
        else:
            parts.append(settled[number - 1]._repr_html_().partition("</h4>")[2])
        parts.append("</section>")
    title = escape(sheet.title) + (": solution" if settled else "")
    return _PAGE.format(title=title, body="\n".join(parts))


def _with_tuples(knobs: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in knobs.items()}
