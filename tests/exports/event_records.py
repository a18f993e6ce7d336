"""Event files read by a second hand: checksums bit by bit, messages by their wire format."""

import struct
from pathlib import Path
from typing import Any


def crc32c(content: bytes) -> int:
    """Castagnoli's checksum as long division."""
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ 0x82F63B78 if value & 1 else value >> 1
    return value ^ 0xFFFFFFFF


def masked(content: bytes) -> int:
    crc = crc32c(content)
    rotated = ((crc >> 15) | (crc << 17)) % 2**32
    return (rotated + 0xA282EAD8) % 2**32


def message(content: bytes) -> list[tuple[int, Any]]:
    """Fields of a message: numbers, or bytes."""
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        digits = []
        while True:
            digits.append(content[at] & 127)
            at += 1
            if content[at - 1] < 128:
                return sum(digit << 7 * place for place, digit in enumerate(digits))

    while at < len(content):
        key = varint()
        match key & 7:
            case 0:
                value: Any = varint()
            case 1:
                (value,), at = struct.unpack_from("<d", content, at), at + 8
            case 5:
                (value,), at = struct.unpack_from("<f", content, at), at + 4
            case 2:
                size = varint()
                value, at = content[at : at + size], at + size
            case other:
                raise AssertionError(other)
        found.append((key >> 3, value))
    return found


def events_in(path: Path) -> list[dict[str, Any]]:
    """Each event: wall_time, step, and version, session, scalars or pictures."""
    content, at, events = path.read_bytes(), 0, []
    while at < len(content):
        (size, crc) = struct.unpack_from("<QI", content, at)
        assert crc == masked(content[at : at + 8])
        body = content[at + 12 : at + 12 + size]
        assert struct.unpack_from("<I", content, at + 12 + size)[0] == masked(body)
        at += 16 + size
        fields = dict(message(body))
        event: dict[str, Any] = {"wall_time": fields[1], "step": fields.get(2, 0)}
        if 3 in fields:
            event["version"] = fields[3].decode()
        if 7 in fields:
            event["session"] = dict(message(fields[7]))
        for number, value in message(fields.get(5, b"")):
            assert number == 1
            parts = dict(message(value))
            if 4 in parts:
                image = dict(message(parts[4]))
                event.setdefault("pictures", {})[parts[1].decode()] = (image[1], image[2], image[3], image[4])
            else:
                event.setdefault("scalars", {})[parts[1].decode()] = parts[2]
        events.append(event)
    return events
