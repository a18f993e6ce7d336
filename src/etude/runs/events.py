"""The metrics file of a run: one JSON object a line, numbered, in the order of training.

An event holds its number, the step and epoch it was written at, and named values. It holds no wall-clock time, so a
resumed run's file equals, byte for byte, the file of a run that was never interrupted.
"""

import json
import os
from pathlib import Path
from typing import Any, Self

import numpy as np

from etude.errors import RunError
from etude.files import cannot_write
from etude.notebook import table_html


class EventWriter:
    """Appends events to a metrics file; final. Use as a context manager."""

    def __init__(self, path: Path, *, size_bytes: int) -> None:
        """Continue the file after its first `size_bytes` bytes, dropping what an interrupted run wrote beyond them.

        Raises `RunError` when they are not there, or not events.
        """
        self._path = path
        self.num_events = len(read_events(path, size_bytes=size_bytes))
        try:
            self._file = path.open("ab")
            self._file.truncate(size_bytes)
        except OSError as error:
            raise cannot_write(path, error) from error

    def write(self, *, step: int, epoch: int, values: dict[str, float]) -> None:
        """Append one event: after `step` steps in all, in the epoch numbered from 1."""
        event = {"event": self.num_events, "step": step, "epoch": epoch, **values}
        try:
            self._file.write(json.dumps(event).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self.num_events += 1

    def size_bytes(self) -> int:
        """The size of the file, once every event so far is on the disk."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self._path, error) from error
        return self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


class Table:
    """The metrics of a run as columns against steps; final."""

    def __init__(self, rows: list[dict[str, Any]], *, steps_per_epoch: int) -> None:
        self.rows = rows
        """One dictionary an event: `event`, `step`, `epoch` and the values written then."""
        self.steps_per_epoch = steps_per_epoch
        keys = dict.fromkeys(key for row in rows for key in row)
        self.columns = [key for key in keys if key not in ("event", "step", "epoch")]
        """Names of the metrics, in the order in which they first appear."""

    def series(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps (int64) and values (float64) of a column, where it has any."""
        rows = [row for row in self.rows if column in row]
        return (
            np.array([row["step"] for row in rows], dtype=np.int64),
            np.array([row[column] for row in rows], dtype=np.float64),
        )

    def last(self) -> dict[str, float]:
        """The latest value of every column."""
        return {column: float(self.series(column)[1][-1]) for column in self.columns}

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Table of {len(self.rows)} events: {', '.join(self.columns)}>"

    def _repr_html_(self) -> str:
        rows = [[name, f"{value:.6g}"] for name, value in self.last().items()]
        return table_html(["metric", "latest value"], rows)


def read_events(path: Path, *, size_bytes: int | None = None) -> list[dict[str, Any]]:
    """The events in a metrics file, or in its first `size_bytes` bytes; a last line torn by a kill is left out.

    Raises `RunError` when the file is shorter, or damaged.
    """
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise RunError(f"cannot read {path}: {(error.strerror or str(error)).lower()}.") from error
    if size_bytes is not None and len(content) < size_bytes:
        raise RunError(
            f"damaged run {path.parent}: {path.name} has {len(content)} bytes where its checkpoint counted "
            f"{size_bytes}; put the file back, or train the run again."
        )
    lines = content[:size_bytes].split(b"\n")[:-1]
    events = [_event(line) for line in lines]
    for number, event in enumerate(events):
        if event is None or event.get("event") != number:
            raise RunError(
                f"damaged run {path.parent}: line {number + 1} of {path.name} is not event {number} of a training; "
                "put the file back, or train the run again."
            )
    return [event for event in events if event is not None]


def _event(line: bytes) -> dict[str, Any] | None:
    """The event in a line; None when there is none."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    numbers = isinstance(event, dict) and all(isinstance(value, int | float) for value in event.values())
    return event if numbers and {"step", "epoch"} <= event.keys() else None
