"""The folders that the studio shows, by id: NAME for a run or a sweep, SWEEP~RUN for a run of a sweep.

An id is checked before any file is touched, and nothing is read through a link: a folder that came from elsewhere may
hold one that leads out of it.
"""

import os
import stat
from pathlib import Path

from etude.errors import RunError
from etude.files import PLAIN_NAME, read_whole

SEPARATOR = "~"


def path_of(runs_dir: Path, run_id: str, *, file: str = "recipe.json") -> Path:
    """The folder with this id, which has a `file`; `RunError` if there is none."""
    names = run_id.split(SEPARATOR)
    if len(names) <= 2 and all(PLAIN_NAME.fullmatch(name) for name in names):
        path = runs_dir.joinpath(*names)
        parents = [runs_dir.joinpath(*names[: number + 1]) for number in range(len(names))]
        if all(_is_folder(each) for each in parents) and is_file(path / file):
            return path
    raise RunError(f"no run {run_id!r} in {runs_dir.name}.")


def id_of(runs_dir: Path, path: Path) -> str:
    """The id of a folder in `runs_dir`."""
    return SEPARATOR.join(path.relative_to(runs_dir).parts)


def read_inside(run: Path, *parts: str) -> bytes:
    """The content of a file of a run that is reached through no link; `RunError` if there is none."""
    path = run.joinpath(*parts)
    folders = [run.joinpath(*parts[:number]) for number in range(1, len(parts))]
    if all(_is_folder(each) for each in folders) and is_file(path):
        try:
            return read_whole(path)
        except OSError as error:
            raise RunError(f"cannot read {path}: {(error.strerror or str(error)).lower()}.") from error
    raise RunError(f"run {run.name} has no {'/'.join(parts)}.")


def is_file(path: Path) -> bool:
    """Whether it is a file, and no link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def changed(path: Path) -> tuple[int, int, int]:
    """What changes when a file does: its number, its size, its time. Zeros for no file."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns
