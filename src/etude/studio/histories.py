"""What runs recorded, read on from where it was read last, and thinned to what a screen can show.

A metrics file only grows while its run trains; when a run is resumed it may begin again at an earlier place. So each
file is read from the byte after the last whole line, and from its start where it is another file or has shrunk.
"""

import os
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any, final

import numpy as np
import orjson
from numpy.typing import NDArray

from etude.files import parse_json
from etude.studio.shelf import changed, is_file

TAIL_BYTES = 20_000
"""The end of a metrics file, where the table of runs looks for a run's result first."""
MOST_POINTS = 1000
"""Points of a series that reach the browser."""
MOST_STEPS = 2**32
"""The browser counts steps in 32 bits."""
KNOWN_BYTES = 200
"""Bytes of what was read last, which must be there again: otherwise the file is another one."""
Points = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Steps and values."""


@final
class History:
    """The metrics file of one run, as columns against steps."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = (0, 0, 0)
        self._offset, self._known = 0, b""
        self._columns: dict[str, tuple[list[int], list[float]]] = {}
        self._arrays: dict[str, Points] = {}
        self._lock = Lock()

    def update(self) -> None:
        """Read what was written since the last call."""
        with self._lock:
            now = changed(self.path)
            if now == self._seen or not is_file(self.path):
                return
            with self.path.open("rb") as file:
                file.seek(self._offset - len(self._known))
                if now[0] != self._seen[0] or file.read(len(self._known)) != self._known:
                    self._offset, self._known, self._columns = 0, b"", {}
                    file.seek(0)
                content = file.read()
            whole = content[: content.rfind(b"\n") + 1]
            self._known = (self._known + whole)[-KNOWN_BYTES:]
            for keys, rows in groupby(_rows(whole), tuple):
                self._add(keys, list(rows))
            self._offset += len(whole)
            self._seen, self._arrays = now, {}

    def _add(self, keys: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
        """Rows with the same keys, as most are that follow each other."""
        steps = [row["step"] for row in rows]
        for column in keys:
            if column in ("event", "step", "epoch"):
                continue
            values = [row[column] for row in rows]
            known_steps, known_values = self._columns.setdefault(column, ([], []))
            if _are_numbers(values):
                known_steps += steps
            else:
                known_steps += [step for step, value in zip(steps, values, strict=True) if _are_numbers([value])]
                values = [value for value in values if _are_numbers([value])]
            known_values += values

    @property
    def columns(self) -> list[str]:
        """Names of the metrics, in the order in which they first appear."""
        return list(self._columns)

    def series(self, column: str) -> Points:
        """Steps and values of a column; empty where it has none."""
        with self._lock:
            if column not in self._arrays:
                steps, values = self._columns.get(column, ([], []))
                self._arrays[column] = np.array(steps, dtype=np.float64), np.array(values, dtype=np.float64)
            return self._arrays[column]

    def last(self, column: str) -> float | None:
        """The latest value of a column."""
        found = self._columns.get(column)
        return found[1][-1] if found and found[1] else None


@final
class Histories:
    """The histories of all runs that were asked for."""

    def __init__(self) -> None:
        self._of_path: dict[Path, History] = {}
        self._lock = Lock()

    def of(self, run: Path) -> History:
        """The history of the run in a folder, up to date."""
        path = run / "metrics.jsonl"
        with self._lock:
            history = self._of_path.setdefault(path, History(path))
        history.update()
        return history

    def latest(self, run: Path, columns: Sequence[str]) -> tuple[str, float] | None:
        """The first of these columns that a run has, and its latest value: from the end of the file if it is there."""
        path = run / "metrics.jsonl"
        if path not in self._of_path and is_file(path):
            with path.open("rb") as file:
                start = max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES)
                file.seek(start)
                content = file.read()
            first = content.find(b"\n") + 1 if start else 0
            rows = _rows(content[first : content.rfind(b"\n") + 1])
            for column in columns:
                for row in reversed(rows):
                    if _are_numbers([row.get(column)]):
                        return column, row[column]
            if not start:
                return None
        history = self.of(run)
        return next(((name, last) for name in columns if (last := history.last(name)) is not None), None)


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(type(value) is float or type(value) is int for value in values)


def _rows(lines: bytes) -> list[dict[str, Any]]:
    """The objects in whole lines of JSON; a line that is none is left out."""
    try:
        rows = orjson.loads(b"[" + lines.rstrip(b"\n").replace(b"\n", b",") + b"]")
    except orjson.JSONDecodeError:  # a damaged line, or a NaN, which orjson refuses
        rows = [_row(line) for line in lines.splitlines()]
    return [row for row in rows if isinstance(row, dict) and _is_step(row.get("step"))]


def _is_step(given: object) -> bool:
    return type(given) is int and 0 <= given < MOST_STEPS


def _row(line: bytes) -> object:
    try:
        return parse_json(line)
    except ValueError:
        return None


def thinned(
    points: Points, *, low: float = -np.inf, high: float = np.inf, most: int = MOST_POINTS, in_line: bool = False
) -> Points:
    """At most `most` points of a series between two steps, and the neighbours of that part.

    Steps are put into bins whose width is a power of two, and of each bin its smallest and its largest value stay. So
    a spike of one step survives at every zoom, and points stay where they are while others arrive. The first and the
    last point always stay. With `in_line`, what is left of a bin lies at its beginning and in its middle, so that
    hundreds of series share a few hundred steps.
    """
    steps, values = points
    begin = max(0, int(np.searchsorted(steps, low)) - 1)
    end = min(len(steps), int(np.searchsorted(steps, high, side="right")) + 1)
    steps, values = steps[begin:end], values[begin:end]
    if len(steps) <= most:
        return steps, values
    width = 1.0
    while (steps[-1] // width - steps[0] // width + 1) * 2 + 2 > most:
        width *= 2
    bins = steps // width
    order = np.lexsort((values, bins))  # by bin, then by value: a NaN is last, and seen as the largest
    sorted_bins = bins[order]
    firsts = np.flatnonzero(np.r_[True, sorted_bins[1:] != sorted_bins[:-1]])
    lasts = np.r_[firsts[1:] - 1, len(order) - 1]
    kept = np.unique(np.r_[order[firsts], order[lasts], 0, len(steps) - 1])
    if not in_line:
        return steps[kept], values[kept]
    second = np.r_[False, bins[kept][1:] == bins[kept][:-1]]
    places = bins[kept] * width + second * width / 2
    places[0], places[-1] = steps[0], steps[-1]
    return np.maximum.accumulate(np.minimum(places, steps[-1])), values[kept]
