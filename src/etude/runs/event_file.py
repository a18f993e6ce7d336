"""Event files as TensorBoard reads them: scalars and pictures of a run, one record after the other.

A record is a TFRecord: length, masked crc32c of it, content, masked crc32c of that. Its content is a protocol buffer of
the type Event (tensorflow/core/util/event.proto), of which only the fields below are written and read.
"""

import math
import os
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from etude.errors import RunError
from etude.files import cannot_write, read_whole

# Field numbers of the messages.
EVENT_WALL_TIME, EVENT_STEP, EVENT_VERSION, EVENT_SUMMARY, EVENT_SESSION = 1, 2, 3, 5, 7
SUMMARY_VALUE, VALUE_TAG, VALUE_NUMBER, VALUE_IMAGE = 1, 1, 2, 4
IMAGE_HEIGHT, IMAGE_WIDTH, IMAGE_CHANNELS, IMAGE_CONTENT = 1, 2, 3, 4
SESSION_STATUS, SESSION_MESSAGE, STARTED = 1, 3, 1
VERSION = b"brain.Event:2"
LARGEST_FLOAT = 3.4028234e38
PICTURES = "samples"
"""The tag of the pictures that training draws."""


class EventFile:
    """Appends events to a file in `folder`; final. It mirrors a run's metrics: see `etude.runs.events.Mirror`."""

    def __init__(self, folder: Path, *, identity: str, num_events: int = 0, step: int = -1) -> None:
        """Begin a new file, which says of which run it is.

        Older files of this run are cut after its first `num_events` events and its pictures up to `step`: a resumed run
        has each event once. They are not removed while they hold any, since a TensorBoard that reads a folder does not
        get past a file that is gone. Files of other runs and programs stay.
        """
        older = [path for path in _event_files(folder) if _identity(path) == identity]
        self.path = _new_path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _cut(older, num_events, step)
            self._file = self.path.open("xb", buffering=0)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        now = time.time()
        self._write(_event(now, 0, _bytes(EVENT_VERSION, VERSION)))
        # A TensorBoard that has read further than the older files now go forgets what it has from that step on.
        session = _number(SESSION_STATUS, STARTED) + _bytes(SESSION_MESSAGE, identity.encode())
        self._write(_event(now, step + 1, _bytes(EVENT_SESSION, session)))

    def scalars(self, step: int, values: Mapping[str, float], wall_time: float | None = None) -> None:
        """Append named values."""
        found = b"".join(
            _bytes(SUMMARY_VALUE, _bytes(VALUE_TAG, name.encode()) + _float(VALUE_NUMBER, value))
            for name, value in values.items()
        )
        self._write(_event(time.time() if wall_time is None else wall_time, step, _bytes(EVENT_SUMMARY, found)))

    def picture(self, step: int, png: bytes, wall_time: float | None = None) -> None:
        """Append a picture, the content of a PNG file."""
        width, height = struct.unpack(">II", png[16:24])
        image = (
            _number(IMAGE_HEIGHT, height)
            + _number(IMAGE_WIDTH, width)
            + _number(IMAGE_CHANNELS, {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}[png[25]])
            + _bytes(IMAGE_CONTENT, png)
        )
        value = _bytes(VALUE_TAG, PICTURES.encode()) + _bytes(VALUE_IMAGE, image)
        summary = _bytes(EVENT_SUMMARY, _bytes(SUMMARY_VALUE, value))
        self._write(_event(time.time() if wall_time is None else wall_time, step, summary))

    def close(self) -> None:
        """Close the file; all is written."""
        with suppress(OSError):
            self._file.close()

    def _write(self, content: bytes) -> None:
        try:
            self._file.write(record(content))
        except OSError as error:
            raise cannot_write(self.path, error) from error


def _new_path(folder: Path) -> Path:
    """A name after all others: TensorBoard reads the files of a folder in the order of their names."""
    number = int(time.time())
    for path in _event_files(folder):
        found = path.name.split(".")[3]
        number = max(number, int(found) + 1 if found.isascii() and found.isdecimal() else 0)
    return folder / f"events.out.tfevents.{number:010d}.etude"


def _event_files(folder: Path) -> list[Path]:
    """étude's files there, in the order of their names."""
    return sorted(folder.glob("events.out.tfevents.*.etude"))


def _identity(path: Path) -> str | None:
    """Of which run a file says that it is."""
    for event, _ in islice(records(_content(path)), 2):
        if session := _part(event, EVENT_SESSION):
            return _part(session, SESSION_MESSAGE).decode(errors="replace")
    return None


def _cut(paths: list[Path], num_events: int, step: int) -> None:
    """Cut files after the first scalars of a run and its pictures up to a step; those that then have none go."""
    num_seen = 0
    for path in paths:
        kept_bytes = num_kept = 0
        for event, end in records(_content(path)):
            value = _part(_part(event, EVENT_SUMMARY), SUMMARY_VALUE)
            is_picture = bool(_part(value, VALUE_IMAGE))
            num_seen += bool(value) and not is_picture
            if num_seen > num_events or (is_picture and dict(_fields(event)).get(EVENT_STEP) not in range(step + 1)):
                break
            kept_bytes, num_kept = end, num_kept + bool(value)
        if num_kept:
            os.truncate(path, kept_bytes)
        else:
            path.unlink()


def _content(path: Path) -> bytes:
    """The bytes of a file; `RunError` if it cannot be read."""
    try:
        return read_whole(path)
    except OSError as error:
        raise RunError(f"cannot read {path}: {(error.strerror or str(error)).lower()}.") from error


# Records --------------------------------------------------------------------------------------------------------------


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # Castagnoli's polynomial, reflected
        table.append(byte)
    return table


_TABLE = _crc_table()


def crc32c(content: bytes) -> int:
    """The checksum of RFC 3720, section 12.1.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    value = 0xFFFFFFFF
    for byte in content:
        value = _TABLE[(value ^ byte) & 255] ^ value >> 8
    return value ^ 0xFFFFFFFF


def masked_crc32c(content: bytes) -> int:
    """The same, turned and moved, so that a checksum of checksums is harmless (tensorflow/core/lib/hash/crc32c.h)."""
    value = crc32c(content)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(content: bytes) -> bytes:
    """Content as a TFRecord."""
    length = struct.pack("<Q", len(content))
    return b"".join(
        (length, struct.pack("<I", masked_crc32c(length)), content, struct.pack("<I", masked_crc32c(content)))
    )


def records(content: bytes) -> Iterator[tuple[bytes, int]]:
    """What the whole records at the start of a file hold, and where each ends; a torn or damaged one is the end."""
    at = 0
    while at + 12 <= len(content):
        length, checksum = struct.unpack_from("<QI", content, at)
        end = at + 12 + length
        if checksum != masked_crc32c(content[at : at + 8]) or end + 4 > len(content):
            return
        if struct.unpack_from("<I", content, end)[0] != masked_crc32c(content[at + 12 : end]):
            return
        yield content[at + 12 : end], end + 4
        at = end + 4


# Protocol buffers -----------------------------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _float(field: int, value: float) -> bytes:
    single = value if not abs(value) > LARGEST_FLOAT else math.copysign(math.inf, value)
    return _varint(field << 3 | 5) + struct.pack("<f", single)


def _event(wall_time: float, step: int, what: bytes) -> bytes:
    return _varint(EVENT_WALL_TIME << 3 | 1) + struct.pack("<d", wall_time) + _number(EVENT_STEP, step) + what


def _part(message: bytes, field: int) -> bytes:
    """The last bytes of that field; empty if there are none, or it is no message."""
    try:
        found = dict(_fields(message)).get(field)
    except IndexError:
        return b""
    return found if isinstance(found, bytes) else b""


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(message):
        field, wire = divmod(varint(), 8)
        if wire == 0:
            yield field, varint()
            continue
        length = {1: 8, 5: 4}.get(wire) or varint()
        yield field, message[at : at + length]
        at += length
