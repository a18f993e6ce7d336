"""One process trains a run at a time; the operating system frees the lock when a process ends, however it ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from etude.errors import RunError
from etude.files import cannot_lock, cannot_write, read_whole, remove_leftovers

PATIENCE_SECONDS = 1.0
"""How long to try for the lock: `is_training`, in another process, holds it for an instant to look."""


@contextmanager
def training_lock(path: Path) -> Iterator[None]:
    """Hold the run at `path` for training; `RunError` when another process trains it.

    Whatever decides how training goes on is read within the block: before it, another process may still change it.
    """
    try:
        descriptor = os.open(
            path / ".lock", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666
        )
    except OSError as error:
        raise cannot_write(path, error) from error
    with os.fdopen(descriptor, "a") as file:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        try:
            while not _locked(file, fcntl.LOCK_EX):
                if time.monotonic() > give_up_at:
                    raise RunError(f"run {path} is being trained by another process: wait for it, or stop it first.")
                time.sleep(0.02)
        except OSError as error:
            raise cannot_lock(path / ".lock", error) from error
        with suppress(OSError):  # a full disk: then nobody can stop it by its number
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        remove_leftovers(path, *(path / name for name in ("checkpoints", "samples", "figures", "measures")))
        yield


def is_training(path: Path) -> bool:
    """Whether a process holds the run for training right now; False where the disk knows no locks to hold."""
    try:
        descriptor = os.open(path / ".lock", os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise RunError(f"cannot read run {path}: {(error.strerror or str(error)).lower()}.") from error
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def trainer(path: Path) -> int | None:
    """The number of the process that trains the run on this machine; None if there is none, or it is not known."""
    if not is_training(path):
        return None
    with suppress(OSError, ValueError):
        number = int(read_whole(path / ".lock"))
        return number if number > 1 else None  # 0 and below are groups of processes
    return None


def _locked(file: IO[str] | int, kind: int) -> bool:
    """Whether the lock could be taken at once."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
