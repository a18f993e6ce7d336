"""A study that was run: its question, evidence and verdict, and how it shows itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from textwrap import fill
from typing import Any

from rich.table import Table

from etude.notebook import heading_html, paragraph_html, picture_html, plain_table, plain_text, rounded, table_html
from etude.studies.claim import Design, Study
from etude.studies.evidence import Evidence, Findings, Ruling


@dataclass(frozen=True, repr=False)
class Settled:
    """What a study found; final. It shows itself as text and in notebooks."""

    study: Study
    design: Design
    findings: Findings
    ruling: Ruling
    seconds: float
    figure: Path
    """A PNG file."""
    quick: bool = False

    @property
    def verdict(self) -> str:
        """true, false, only if or undecided."""
        return self.ruling.verdict

    def __repr__(self) -> str:
        return plain_text(*self.parts(), width=110)

    def _repr_html_(self) -> str:
        study = self.study
        evidence = table_html(HEADINGS, [evidence_row(each) for each in self.findings])
        picture = picture_html(self.figure.read_bytes(), f"What the study {study.name} found.")
        said, found = ("".join(map(_named_html, rows)) for rows in (self._said(), self._found()))
        return heading_html(study.question) + said + evidence + found + picture

    def parts(self) -> Iterator[str | Table]:
        """The report: texts and a table."""
        yield f"{fill(self.study.question, WIDTH)}\n"
        yield from (_paragraph(name, text) for name, text in self._said())
        yield ""
        yield plain_table(HEADINGS, [evidence_row(each) for each in self.findings])
        yield ""
        yield from (_paragraph(name, text) for name, text in self._found())
        yield f"{'Figure':<12}{self.figure}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "study": self.study.name,
            "question": self.study.question,
            "claim": self.study.claim,
            "verdict": self.ruling.verdict,
            "condition": self.ruling.condition,
            "because": self.ruling.because,
            "explanation": self.study.explanation,
            "source": self.study.source,
            "design": knobs(self.design),
            "quick": self.quick,
            "evidence": [each.to_dict() for each in self.findings],
            "seconds": self.seconds,
            "figure": str(self.figure),
        }

    def _said(self) -> Iterator[tuple[str, str]]:
        yield "Claim", self.study.claim
        varied = ", ".join(f"{name} {shown(value)}" for name, value in knobs(self.design).items())
        yield "Design", f"{varied}; {self.study.held_fixed}" if varied else self.study.held_fixed
        if self.quick and self.study.quick_cannot:
            yield "Quick", f"this short form cannot decide {self.study.quick_cannot}"

    def _found(self) -> Iterator[tuple[str, str]]:
        yield "Verdict", f"{self.ruling.answer}: {self.ruling.because}"
        yield "Why", f"{self.study.explanation} ({self.study.source})"
        if self.study.wrong_answer:
            yield "Often said", self.study.wrong_answer


WIDTH = 100
"""Characters of a line of the report."""


def _paragraph(name: str, text: str) -> str:
    return fill(f"{name:<12}{text}", WIDTH, subsequent_indent=" " * 12, break_on_hyphens=False)


def _named_html(row: tuple[str, str]) -> str:
    name, text = row
    return f"<p><b>{name}</b> {paragraph_html(text)[3:]}"


HEADINGS = ("evidence", "value", "95 % interval", "seeds")


def evidence_row(found: Evidence) -> tuple[str, str, str, str]:
    """One line of the table of evidence, as texts."""
    interval = found.interval
    if found.exact or interval is None:
        return found.what, f"{found.value:.4g}", "exact" if found.exact else "-", "" if found.exact else "1"
    margin = (interval.high - interval.low) / 2
    three = (found.value, interval.low, interval.high)
    plain = margin > 1e-4 and max(map(abs, three)) < 1e7  # else the digits would be too many to read
    value, low, high = (rounded(each, margin) if plain else f"{each:.3g}" for each in three)
    return found.what, value, f"{low} to {high}", str(len(found.values))


def knobs(design: Design) -> Mapping[str, Any]:
    """The values of a design, by field."""
    return {field.name: getattr(design, field.name) for field in fields(design)}


def shown(value: Any) -> str:
    """A knob's value as a person types it."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
