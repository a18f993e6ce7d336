"""Where data sets may lie on this machine, and the search for their files."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import platformdirs

from etude.errors import UsageError
from etude.files import expand_home

SYSTEM_FOLDER = Path("/usr/share/datasets")  # Debian's


def cache_folder() -> Path:
    """The user's cache, where downloads go: `~/.cache/etude` on Linux, its equivalent elsewhere."""
    return Path(platformdirs.user_cache_dir("etude"))


def search_folders(data_dir: Path | None) -> list[Path]:
    """The folders to search, in order: `data_dir`, `ETUDE_DATA`, the user's cache, Debian's folder.

    The first two may each name several folders, separated as in PATH. Raises `UsageError` if a `data_dir` is not a
    folder. An `ETUDE_DATA` that does not exist is skipped.
    """
    given = split(data_dir)
    if wrong := [folder for folder in given if not folder.is_dir()]:
        raise UsageError(f"--data-dir {wrong[0]}: no such folder; name one that exists.")
    return [*given, *split(os.environ.get("ETUDE_DATA")), cache_folder(), SYSTEM_FOLDER]


def matches(roots: Sequence[Path], subfolders: Sequence[str], wanted: Sequence[Sequence[str]]) -> Iterator[list[Path]]:
    """Every folder that holds all the wanted files, as the paths of the files, in the order of the search.

    Each wanted file is given as its possible names. The first that exists is taken.
    """
    for root in roots:
        for subfolder in subfolders:
            found = [_first_file(root / subfolder, names) for names in wanted]
            if all(found):
                yield [path for path in found if path]


def _first_file(folder: Path, names: Sequence[str]) -> Path | None:
    # For a folder without permission, os.path.isfile says False and Path.is_file raises.
    return next((folder / name for name in names if os.path.isfile(folder / name)), None)


def split(folders: Path | str | None) -> list[Path]:
    """The folders that a person named in one text, separated as in PATH."""
    return [expand_home(part) for part in str(folders or "").split(os.pathsep) if part]
