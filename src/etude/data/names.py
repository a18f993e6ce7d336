"""The names of a person's own data: folder:PATH, npz:FILE, csv:FILE and csv:FILE:COLUMN."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from etude.errors import UsageError
from etude.files import expand_home

Format = Literal["folder", "npz", "csv"]
GIVEN_PREFIX = "python:"
"""The prefix of a data set that was given as an object. It can only be given again."""

_EXAMPLES: dict[Format, str] = {
    "folder": "folder:pictures, with one folder per class below it",
    "npz": "npz:pathmnist.npz",
    "csv": "csv:irises.csv",
}
FORMATS: tuple[Format, ...] = tuple(_EXAMPLES)


@dataclass(frozen=True, kw_only=True)
class OwnName:
    """Where a person's data lie, and in which format; final."""

    format: Format
    path: Path
    column: str = ""
    """For a table: the column with the labels, if it is named."""

    def __str__(self) -> str:
        return f"{self.format}:{self.path}" + (f":{self.column}" if self.column else "")


def parse_own(name: str) -> OwnName | None:
    """The format and the path in a name; None if it does not name a person's data.

    A colon after the name of a file starts the column: `csv:irises.csv:species`. Raises `UsageError` without a path.
    """
    prefix, _, rest = name.partition(":")
    found: Format | None = next((each for each in FORMATS if each == prefix and name != prefix), None)
    if found is None:
        return None
    if not rest:
        raise UsageError(f"{found}: needs a path, as in {_EXAMPLES[found]}.")
    if found == "csv" and not os.path.isfile(expand_home(rest)):
        # The file's own name may hold a colon, and so may the column's.
        ends = [place for place, letter in enumerate(rest) if letter == ":"] or [len(rest)]
        end = next((end for end in ends if os.path.isfile(expand_home(rest[:end]))), ends[-1])
        return OwnName(format=found, path=expand_home(rest[:end]), column=rest[end + 1 :])
    return OwnName(format=found, path=expand_home(rest))


def absolute(name: str) -> str:
    """The name with the absolute path, so that it means the same from another folder."""
    own = parse_own(name)
    return str(replace(own, path=own.path.absolute())) if own else name


def short_name(name: str) -> str:
    """The name of a data set. For a person's data: the last part of its path, pathmnist for npz:there/pathmnist.npz."""
    own, name = parse_own(name), name.removeprefix(GIVEN_PREFIX)
    path = Path(os.path.abspath(own.path if own else os.path.expanduser(name)))
    return (path.stem if own and own.format != "folder" else path.name) or "data"
