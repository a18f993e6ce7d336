"""The numbers of groups of runs side by side: means over the seeds, with intervals and floors."""

from collections.abc import Sequence

import numpy as np

from etude.metrics import summarize
from etude.metrics.intervals import Summary
from etude.notebook import rounded
from etude.reports.groups import Compared, Family
from etude.reports.markup import Html, code, element, joined, paragraph, table
from etude.reports.numbers import ABOUT_ARROWS, ARROWS, features_of
from etude.reports.strips import LEGEND, Span, strips
from etude.reports.wording import cut
from etude.sweeps.tables import about_intervals

MOST_GROUPS, MOST_METRICS = 60, 20


def results(family: Family) -> list[str]:
    """The recorded number of every group, with its interval over the seeds."""
    groups = family.groups[:MOST_GROUPS]
    validated = any(group.result.selection for group in groups)
    drawings = strips([_span(group.result.summary) for group in groups], shared=True)
    rows = []
    for group, strip in zip(groups, drawings, strict=True):
        summary = group.result.summary
        value, interval = texts_of(summary) if summary else ("–", "")
        deviation = summary.standard_deviation if summary else None
        row = [cut(group.label, 100), str(len(group.result.values)), value, interval or "–", strip]
        row.append("–" if deviation is None else f"{deviation:.2g}")
        if validated:
            mean = group.result.selection_mean
            row.append("–" if mean is None else f"{mean:.4g}")
        rows.append(row)
    headings = ["group", "n", "mean", "95 % interval", "", "sd", *(["validation mean"] if validated else [])]
    title = f"{family.yardstick.title} ({family.yardstick.when})"
    parts: list[str] = [element("h3", title), table(headings, rows), *_and_more(len(family.groups))]
    if any(group.result.summary and group.result.summary.interval for group in groups):
        numbers = [len(group.result.values) for group in groups]
        strips_said = "In the strips, the point is the mean and the thick line its interval, all on one axis."
        parts.append(paragraph(f"{about_intervals('t', numbers)} {strips_said}"))
    return parts


def texts_of(summary: Summary) -> tuple[str, str]:
    """The mean, and its interval if there is one, with as many digits as the interval allows."""
    if summary.interval is None:
        return rounded(summary.mean, 0), ""
    low, high = summary.interval.low, summary.interval.high
    half = (high - low) / 2
    return rounded(summary.mean, half), f"{rounded(low, half)} – {rounded(high, half)}"


def _span(summary: Summary | None, floor: float | None = None) -> Span:
    if summary is None:
        return Span(value=None)
    interval = summary.interval
    return Span(
        value=summary.mean,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        floor=floor,
    )


def _and_more(number: int) -> list[Html]:
    return [paragraph(f"The first {MOST_GROUPS} of {number:,} groups.")] if number > MOST_GROUPS else []


def measured(family: Family) -> list[str]:
    """Every kept metric of the test split, a table each, with a row per group."""
    names = dict.fromkeys(
        (each.metric, each.about, each.better)
        for group in family.groups
        for facts in group.facts
        for each in facts.measured()
    )
    parts: list[str] = []
    for name, about, better in list(names)[:MOST_METRICS]:
        title = joined([code(name), f" {ARROWS[better]} ".rstrip(), f" {about}"])
        parts += [element("h3", title), *_metric(name, family.groups[:MOST_GROUPS])]
    if parts:
        return [paragraph(f"{ABOUT_ARROWS} {LEGEND} Here, an interval is that of the mean over the seeds."), *parts]
    if any(group.facts for group in family.groups):
        return [paragraph("No run has been measured yet: ", code("etude measure"), " adds metrics with floors.")]
    return []


def _metric(name: str, groups: Sequence[Compared]) -> list[Html]:
    rows: list[list[str]] = []
    spans: list[Span] = []
    how: set[str] = set()
    for group in groups:
        kept = [(facts, each) for facts in group.facts for each in facts.measured() if each.metric == name]
        how |= {repr(sorted(each.settings.items(), key=lambda item: item[0])) for _, each in kept}
        by_repeat: dict[int, list[float]] = {}
        repeats = {member.path: member.repeat for member in group.group.members}
        for facts, each in kept:
            if each.result.value is not None:
                by_repeat.setdefault(repeats[facts.run.path], []).append(each.result.value)
        floors = [each.result.floor for _, each in kept if each.result.floor is not None]
        floor = float(np.mean(floors)) if floors else None
        summary = summarize(np.array([np.mean(values) for values in by_repeat.values()])) if by_repeat else None
        spans.append(_span(summary, floor))
        value, interval = texts_of(summary) if summary else ("–", "")
        half = (summary.interval.high - summary.interval.low) / 2 if summary and summary.interval else 0
        floor_text = "–" if floor is None else rounded(floor, half)
        rows.append([cut(group.label, 100), str(len(by_repeat)), value, interval or "–", floor_text])
    made = [[*row, strip] for row, strip in zip(rows, strips(spans, shared=True), strict=True)]
    parts = [table(["group", "n", "mean", "95 % interval", "floor", ""], made)]
    if len(how) > 1:
        parts.append(paragraph("These were measured with different settings: compare with care."))
    of_metric = (each for group in groups for facts in group.facts for each in facts.measured() if each.metric == name)
    features = dict.fromkeys(map(features_of, of_metric))
    if any(features):
        parts.append(paragraph(f"Measured with {', '.join(filter(None, features))}."))
    return parts
