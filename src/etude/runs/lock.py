"""One process trains a run at a time; the operating system frees the lock when a process ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etude.errors import RunError


@contextmanager
def training_lock(path: Path) -> Iterator[None]:
    """Hold the run at `path` for training; `RunError` when another process trains it."""
    with (path / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"run {path} is being trained by another process: wait for it, or stop it first.") from error
        yield


def is_training(path: Path) -> bool:
    """Whether a process holds the run for training right now."""
    try:
        with (path / ".lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except OSError:
        return True
