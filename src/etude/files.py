"""Writing files so that a reader, or a kill at any moment, never meets half of one."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from etude.errors import DiskError


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
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> DiskError:
    """The one-line error for a failed write, with what to do about it."""
    return DiskError(
        f"cannot write {path}: {(error.strerror or str(error)).lower()}; free some space or choose another folder."
    )
