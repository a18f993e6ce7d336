"""One process trains a run at a time; the operating system frees the lock when a process ends, however it ends."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from etude.errors import RunError
from etude.files import cannot_write

PATIENCE_SECONDS = 1.0
"""How long to try for the lock: `is_training`, in another process, holds it for an instant to look."""


@contextmanager
def training_lock(path: Path) -> Iterator[None]:
    """Hold the run at `path` for training; `RunError` when another process trains it."""
    try:
        file = (path / ".lock").open("a")
    except OSError as error:
        raise cannot_write(path, error) from error
    with file:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not _locked(file, fcntl.LOCK_EX):
            if time.monotonic() > give_up_at:
                raise RunError(f"run {path} is being trained by another process: wait for it, or stop it first.")
            time.sleep(0.02)
        yield


def is_training(path: Path) -> bool:
    """Whether a process holds the run for training right now."""
    try:
        with (path / ".lock").open() as file:
            return not _locked(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise RunError(f"cannot read run {path}: {(error.strerror or str(error)).lower()}.") from error


def _locked(file: IO[str], kind: int) -> bool:
    """Whether the lock could be taken at once."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
