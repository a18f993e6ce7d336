"""Writing files so that a reader, or a kill at any moment, never meets half of one."""

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from etude.errors import DiskError

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{,99}")
"""A name that is safe as a file's or folder's on every system."""
PLAIN_NAME_RULE = "letters, digits, '.', '_' and '-', starting with a letter or digit, at most 100"


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to a temporary name beside `path`, flush it to the disk, then rename it.

    Raises `DiskError` when it cannot be written; what was at `path` before is then still there, whole.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise cannot_write(path, error) from error


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
