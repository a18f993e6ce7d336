"""Parts of the tables of sweeps: numbers as texts, CSV, Markdown, a sentence on the intervals."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from etude.metrics.intervals import FEWEST_VALUES, IntervalMethod, Summary

METHODS: dict[IntervalMethod, str] = {"t": "Student's t", "bootstrap-t": "bootstrap-t"}
"""How to compute the interval of a mean over seeds: the name in tables and figures."""


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with a column for every key that any of them has.

    A text that a spreadsheet would compute begins with an apostrophe.
    """
    text = io.StringIO()
    keys = dict.fromkeys(key for row in rows for key in row)
    writer = csv.DictWriter(text, fieldnames=list(keys), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _inert(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _inert(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, num_texts: int = 1) -> str:
    """A table in Markdown; the first `num_texts` columns are texts, the others numbers."""
    rule = ["---"] * num_texts + ["---:"] * (len(headings) - num_texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *rows))


def about_intervals(method: IntervalMethod, numbers: Sequence[int], repeats: str = "seeds") -> str:
    """One sentence on n, sd and the intervals of a table; `numbers` are the numbers of `repeats` per cell."""
    sentence = (
        f"n is the number of {repeats}, sd the standard deviation over them (n - 1); "
        f"intervals of the mean are by {METHODS[method]}"
    )
    fewest = FEWEST_VALUES[method]
    return sentence + (f", from {fewest} {repeats} on." if any(1 < number < fewest for number in numbers) else ".")


def summary_texts(summary: Summary | None) -> list[str]:
    """Mean, standard deviation and interval, each "-" if there is none."""
    if summary is None:
        return ["-", "-", "-"]
    interval = summary.interval
    return [
        number(summary.mean),
        "-" if summary.standard_deviation is None else _deviation(summary.standard_deviation),
        f"{number(interval.low)} to {number(interval.high)}" if interval else "-",
    ]


def number(value: float) -> str:
    """A result as shown in tables."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.5g}"


def _deviation(value: float) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:.0f}"
