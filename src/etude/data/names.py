"""The names of a person's own data: folder:PATH, npz:FILE, csv:FILE, and for texts text:PATH, pairs:FILE, chars:FILE.

A colon after a file starts its columns: csv:FILE:COLUMN, text:FILE:TEXT,LABEL.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from etude.errors import UsageError
from etude.files import expand_home

Format = Literal["folder", "npz", "csv", "text", "pairs", "chars"]
GIVEN_PREFIX = "python:"
"""The prefix of a data set that was given as an object. It can only be given again."""

_EXAMPLES: dict[Format, str] = {
    "folder": "folder:pictures, with one folder per class below it",
    "npz": "npz:pathmnist.npz",
    "csv": "csv:irises.csv",
    "text": "text:reviews.csv, or text:reviews, with one folder per class below it",
    "pairs": "pairs:phrases.tsv, or pairs:phrases.de,phrases.en",
    "chars": "chars:novel.txt",
}
FORMATS: tuple[Format, ...] = tuple(_EXAMPLES)
TEXT_FORMATS: tuple[Format, ...] = ("text", "pairs", "chars")
_WITH_COLUMNS: tuple[Format, ...] = ("csv", "text")


@dataclass(frozen=True, kw_only=True)
class OwnName:
    """Where a person's data lie, and in which format; final."""

    format: Format
    path: Path
    second: Path | None = None
    """Of pairs in two files: the file of the translations."""
    column: str = ""
    """For a table: the column with the labels, if it is named. For texts: their column and that of labels, TEXT,LABEL.
    """

    def __str__(self) -> str:
        paths = f"{self.path},{self.second}" if self.second else str(self.path)
        return f"{self.format}:{paths}" + (f":{self.column}" if self.column else "")

    @property
    def is_there(self) -> bool:
        """Whether all its files exist."""
        return os.path.exists(self.path) and (self.second is None or os.path.exists(self.second))


def parse_own(name: str) -> OwnName | None:
    """The format and the path in a name; None if it does not name a person's data.

    A colon after the name of a file starts the column: `csv:irises.csv:species`. A comma separates the two files of
    pairs. Raises `UsageError` without a path.
    """
    prefix, _, rest = name.partition(":")
    found: Format | None = next((each for each in FORMATS if each == prefix and name != prefix), None)
    if found is None:
        return None
    if not rest:
        raise UsageError(f"{found}: needs a path, as in {_EXAMPLES[found]}.")
    if found in _WITH_COLUMNS and not os.path.exists(expand_home(rest)):
        # The file's own name may hold a colon, and so may the column's.
        ends = _places(":", rest) or [len(rest)]
        end = next((end for end in ends if os.path.isfile(expand_home(rest[:end]))), ends[-1])
        return OwnName(format=found, path=expand_home(rest[:end]), column=rest[end + 1 :])
    if found == "pairs" and not os.path.exists(expand_home(rest)) and (commas := _places(",", rest)):
        cut = next((cut for cut in commas if os.path.isfile(expand_home(rest[:cut]))), commas[-1])
        if 0 < cut < len(rest) - 1:
            return OwnName(format=found, path=expand_home(rest[:cut]), second=expand_home(rest[cut + 1 :]))
    return OwnName(format=found, path=expand_home(rest))


def _places(letter: str, text: str) -> list[int]:
    return [place for place, each in enumerate(text) if each == letter]


def absolute(name: str) -> str:
    """The name with the absolute path, so that it means the same from another folder."""
    own = parse_own(name)
    return str(replace(own, path=own.path.absolute(), second=own.second and own.second.absolute())) if own else name


def short_name(name: str) -> str:
    """The name of a data set. For a person's data: the last part of its path, pathmnist for npz:there/pathmnist.npz."""
    own, name = parse_own(name), name.removeprefix(GIVEN_PREFIX)
    path = Path(os.path.abspath(own.path if own else os.path.expanduser(name)))
    return (path.stem if own and own.format != "folder" else path.name) or "data"
