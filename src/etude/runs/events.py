"""The metrics file of a run: one JSON object a line, numbered, in the order of training.

An event holds its number, the step and epoch it was written at, and named values. It holds no wall-clock time, so a
resumed run's file equals, byte for byte, the file of a run that was never interrupted.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from etude import files
from etude.errors import RunError
from etude.files import cannot_write, flush_folder, read_whole
from etude.notebook import table_html


class Mirror(Protocol):
    """What is told everything that a run records, as it happens."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """The named values of an event."""
        ...

    def picture(self, step: int, png: bytes) -> None:
        """A picture of progress, the content of its file."""
        ...

    def close(self) -> None:
        """The session ends."""
        ...


class EventWriter:
    """Appends events to a metrics file; final. Use as a context manager."""

    def __init__(self, path: Path, *, size_bytes: int, checksum: str = "", mirror: Mirror | None = None) -> None:
        """Continue the file after its first `size_bytes` bytes, dropping what an interrupted run wrote beyond them.

        A `mirror` is told of each event once it is written, and closed with the file.

        Raises `RunError` when they are not there, not events, or not those of the `checksum`, where one is given.
        """
        self._path, self._size_bytes, self.mirror = path, size_bytes, mirror
        self.num_events = len(read_events(path, size_bytes=size_bytes, checksum=checksum))
        try:
            # Without a buffer: what the disk refuses is known at once, and closing has nothing left to write.
            self._file = path.open("r+b" if path.exists() else "x+b", buffering=0)
            self._digest = hashlib.blake2b(self._file.read(size_bytes), digest_size=16)
            self._file.truncate(size_bytes)
            self._file.seek(size_bytes)
            flush_folder(path.parent)
        except OSError as error:
            raise cannot_write(path, error) from error

    def write(self, *, step: int, epoch: int, values: dict[str, float]) -> None:
        """Append one event: after `step` steps in all, in the epoch numbered from 1."""
        line = json.dumps({"event": self.num_events, "step": step, "epoch": epoch, **values}).encode() + b"\n"
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
        except OSError as error:
            raise cannot_write(self._path, error) from error
        self._digest.update(line)
        self._size_bytes += len(line)
        self.num_events += 1
        if self.mirror:
            self.mirror.scalars(step, values)

    def flush(self) -> tuple[int, str]:
        """The size of the file and its checksum, once every event so far is on the disk."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self._path, error) from error
        return self._size_bytes, self._digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # of a file of a network: all that counts was flushed
            self._file.close()
        if self.mirror:
            self.mirror.close()


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


def read_events(path: Path, *, size_bytes: int | None = None, checksum: str = "") -> list[dict[str, Any]]:
    """The events in a metrics file; a last line torn by a kill is left out.

    With `size_bytes` those in that many first bytes, which must be there. Raises `RunError` when they are damaged,
    or not those of the `checksum`, where one is given.
    """
    try:
        content = read_whole(path)
    except FileNotFoundError:
        content = b""
    except OSError as error:
        raise RunError(f"cannot read {path}: {(error.strerror or str(error)).lower()}.") from error
    if size_bytes is not None:
        require_intact(path, content, size_bytes=size_bytes, checksum=checksum)
    lines = content[:size_bytes].split(b"\n")[:-1]
    events = [_event(line) for line in lines]
    for number, event in enumerate(events):
        if event is None or event["event"] != number:
            raise RunError(
                f"damaged run {path.parent}: line {number + 1} of {path.name} is not event {number} of a training; "
                "put the file back, or train the run again."
            )
    return [event for event in events if event is not None]


def require_intact(path: Path, content: bytes, *, size_bytes: int, checksum: str) -> None:
    """Raise `RunError` unless the first bytes of a metrics file are those that were counted and summed up."""
    if len(content) < size_bytes:
        raise RunError(
            f"damaged run {path.parent}: {path.name} has {len(content)} bytes where its checkpoint counted "
            f"{size_bytes}; put the file back, or train the run again."
        )
    if checksum and files.checksum(content[:size_bytes]) != checksum:
        raise RunError(
            f"damaged run {path.parent}: {path.name} has changed since it was written; "
            "put the file back, or train the run again."
        )


def _event(line: bytes) -> dict[str, Any] | None:
    """The event in a line; None when there is none."""
    try:
        event = files.parse_json(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or not all(_is_number(value) for value in event.values()):
        return None
    return event if all(type(event.get(key)) is int for key in ("event", "step", "epoch")) else None


def _is_number(value: object) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 2**63)
