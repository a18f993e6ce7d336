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


def measured(families: Sequence[Family]) -> list[str]:
    """The kept metrics of the test split, with a mean and a floor for each group."""
    parts = [part for family in families for part in _of_family(family)]
    if parts:
        intervals = "An interval is that of the mean over the seeds; where n is 1, that of the run over its examples."
        about = f"{ABOUT_ARROWS} {LEGEND} {intervals}"
        return [paragraph(about), *parts]
    if any(group.facts for family in families for group in family.groups):
        return [paragraph("No run has been measured yet: ", code("etude measure"), " adds metrics with floors.")]
    return []


def _of_family(family: Family) -> list[str]:
    """A table per metric with a row per group; of a single group, one table with a row per metric."""
    groups = family.groups[:MOST_GROUPS]
    kept = [each for group in groups for facts in group.facts for each in facts.measured()]
    about = {each.metric: joined([code(each.metric), f" {ARROWS[each.better]}", f" {each.about}"]) for each in kept}
    features = dict.fromkeys(each for each in map(features_of, kept) if each)
    parts: list[str] = []
    if len(groups) == 1:
        found = {name: _row(name, groups[0]) for name in list(about)[:MOST_METRICS]}
        drawings = strips([span for _, span in found.values()])
        rows = [[about[name], *row, strip] for (name, (row, _)), strip in zip(found.items(), drawings, strict=True)]
        if rows:
            parts = [element("h3", cut(groups[0].label, 100)), table(["metric", *_HEADINGS], rows)]
    else:
        for name in list(about)[:MOST_METRICS]:
            made = [_row(name, group) for group in groups]
            drawings = strips([span for _, span in made], shared=True)
            labels = [cut(group.label, 100) for group in groups]
            rows = [[label, *row, strip] for label, (row, _), strip in zip(labels, made, drawings, strict=True)]
            parts += [element("h3", about[name]), table(["group", *_HEADINGS], rows)]
            if len({repr(sorted(each.settings.items())) for each in kept if each.metric == name}) > 1:
                parts.append(paragraph("These were measured with different settings: compare with care."))
    if features:
        parts.append(paragraph(f"Images were compared by {', '.join(features)}."))
    return parts


_HEADINGS = ("n", "mean", "95 % interval", "floor", "")


def _row(name: str, group: Compared) -> tuple[list[str], Span]:
    """A metric of a group: n, mean, interval and floor as texts, and what its strip shows.

    The interval is that of the mean over the seeds. A single run has one of its own, over its examples.
    """
    repeats = {member.path: member.repeat for member in group.group.members}
    of_group = [(repeats[facts.run.path], each) for facts in group.facts for each in facts.measured()]
    kept = [(repeat, each.result) for repeat, each in of_group if each.metric == name and each.result.value is not None]
    floors = [each.floor for _, each in kept if each.floor is not None]
    floor = float(np.mean(floors)) if floors else None
    if len(kept) == 1:
        result = kept[0][1]
        value, floor_text, interval, *_ = result.texts()
        low, high = result.interval or (None, None)
        span = Span(value=result.value, low=low, high=high, floor=floor)
        return ["1", value, interval or "–", floor_text or "–"], span
    values: dict[int, list[float]] = {}
    for repeat, each in kept:
        values.setdefault(repeat, []).append(each.value or 0.0)
    summary = summarize(np.array([np.mean(each) for each in values.values()])) if values else None
    value, interval = texts_of(summary) if summary else ("–", "")
    half = (summary.interval.high - summary.interval.low) / 2 if summary and summary.interval else 0
    row = [str(len(values)), value, interval or "–", "–" if floor is None else rounded(floor, half)]
    return row, _span(summary, floor)
