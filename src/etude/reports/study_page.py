"""The report of a study that was run."""

from etude.reports.document import Document, Section
from etude.reports.markup import block, code, element, paragraph, table
from etude.reports.pictures import Shown, drawn
from etude.reports.wording import duration
from etude.studies import Settled
from etude.studies.settled import HEADINGS, evidence_row, knobs, shown


def study_document(settled: Settled) -> Document:
    """The page of a study: question, folklore, design, evidence, verdict, figure."""
    study, ruling = settled.study, settled.ruling
    values = knobs(settled.design)
    defaults = knobs(study.design)
    rows = [[code(name), shown(value), shown(defaults[name])] for name, value in values.items()]
    marked = [place for place, name in enumerate(values) if values[name] != defaults[name]]
    design = [table(["knob", "here", "default"], rows, left=3, marked=marked)] if rows else []
    if settled.quick and study.quick_cannot:
        design.append(paragraph(f"This short form cannot decide {study.quick_cannot}."))
    folklore = [element("blockquote", study.claim)]
    if study.wrong_answer:
        folklore.append(paragraph(element("b", "Often said: "), study.wrong_answer))
    evidence = [table(HEADINGS, [evidence_row(each) for each in settled.findings])]
    evidence.append(paragraph("Intervals are of the mean over the seeds, by Student's t. What is exact has none."))
    picture = drawn(study.draw(settled.findings), f"What the study {study.name} found.")
    caption = f"What the experiment found. {study.held_fixed[:1].upper()}{study.held_fixed[1:]}."
    again = f"etude study {study.name}{' --quick' if settled.quick else ''}"
    again += "".join(f" --{name.replace('_', '-')} {shown(values[name])}" for name in _given(settled))
    return Document(
        kind=f"study on {study.topic}",
        title=study.question,
        subtitle=f"{ruling.because[:1].upper()}{ruling.because[1:]}",
        badge=f"the claim is {'true ' if ruling.condition else ''}{ruling.answer}",
        badge_kind=ruling.verdict.replace(" ", "-"),
        sections=[
            Section(title="Folklore", parts=folklore),
            Section(title="Design", parts=[paragraph(f"Held fixed: {study.held_fixed}."), *design]),
            Section(title="Evidence", parts=evidence),
            Section(title="Verdict", parts=[paragraph(element("b", f"{ruling.answer}: "), ruling.because)]),
            Section(title="Figure", parts=[Shown([picture], caption)]),
            Section(title="Why", parts=[paragraph(study.explanation), paragraph(f"Source: {study.source}")]),
            Section(title="Run it again", parts=[f"It took {duration(settled.seconds)} here.", block(again)]),
        ],
    )


def _given(settled: Settled) -> list[str]:
    """The knobs that were given: those that differ from the study's, or from its quick form's."""
    usual = {**knobs(settled.study.design), **(settled.study.quick if settled.quick else {})}
    return [name for name, value in knobs(settled.design).items() if value != usual[name]]
