"""Writing a picture whole or not at all."""

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

from etude.errors import TrainingError


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` under a temporary name, flush it to the disk, then rename: never a half-written file.

    Makes the folder where it is missing. Raises `TrainingError` when the disk is full or the folder not writable.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "no space left on the disk" if full else (error.strerror or str(error)).lower()
        remedy = "free some space" if full else "choose a folder that you may write to"
        raise TrainingError(f"cannot write {path}: {reason}; {remedy}, then run the command again.") from error
    finally:
        # After the rename there is nothing under the temporary name. The removal itself must not hide the error above.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
