"""Writing files so that a reader, or a kill at any moment, never meets half of one; reading TOML and JSON."""

import json
import os
import re
import secrets
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from etude.errors import DiskError, UsageError

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{,99}")
"""A name that is safe as a file's or folder's on every system."""
PLAIN_NAME_RULE = "letters, digits, '.', '_' and '-', starting with a letter or digit, at most 100"


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to a temporary name beside `path`, flush it to the disk, then rename it.

    A link is followed; a device or a pipe, /dev/stdout say, is written as it is. Raises `DiskError` when it cannot be
    written; what was at `path` before is then still there, whole.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    if path.name in ("", "..") or "\0" in str(path):
        raise UsageError(f"{str(path)!r} is no name for a file; give one, such as {path.parent / 'NAME'}.")
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:50]}.{secrets.token_hex(4)}.part")  # a name has room for 255 bytes
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(data)
            return
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        flush_folder(target.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise cannot_write(path, error) from error
    with suppress(OSError):
        _remove_leftovers(target.parent)


_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.part")


def _remove_leftovers(folder: Path) -> None:
    """Temporary files of writers that were killed: a day old, so that no writer still works on them."""
    for entry in os.scandir(folder):
        if _LEFTOVER.fullmatch(entry.name) and entry.is_file() and entry.stat().st_mtime < time.time() - 86_400:
            os.unlink(entry.path)


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text; `ValueError` says on one line why it is none, or holds a number beyond 64 bits."""
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise ValueError(_TOO_LARGE) from None
    _require_64_bits(values)
    return values


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text; `ValueError` says on one line why it is none, or holds a number beyond 64 bits."""
    try:
        values = json.loads(text, parse_int=_int_of_64_bits)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return values


_TOO_LARGE = "it holds a whole number beyond 64 bits"


def _int_of_64_bits(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
        raise ValueError(_TOO_LARGE)
    return int(digits)


def _require_64_bits(value: object) -> None:
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError(_TOO_LARGE)
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _require_64_bits(each)


def expand_home(path: Path | str) -> Path:
    """The path with `~` or `~name` at its front replaced by that home; `UsageError` where there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{str(path)!r}: there is no such home folder; write the path in full.") from None


def flush_folder(folder: Path) -> None:
    """Put the names in a folder onto the disk, so that a renamed file is found there after a power cut too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> DiskError:
    """The one-line error for a failed write, with what to do about it."""
    return DiskError(
        f"cannot write {path}: {(error.strerror or str(error)).lower()}; free some space or choose another folder."
    )
