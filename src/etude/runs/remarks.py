"""remarks.json: what a person says of a run. Nothing that étude computes depends on it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from etude.errors import UsageError
from etude.files import parse_json, read_whole, write_atomically

MOST_TAGS, LONGEST_TAG, LONGEST_NOTE = 20, 40, 2000


@dataclass(frozen=True, kw_only=True)
class Remarks:
    """Tags and a note; `UsageError` if they are too many or too long."""

    tags: tuple[str, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.tags) > MOST_TAGS:
            raise UsageError(f"{len(self.tags)} tags (allowed: at most {MOST_TAGS}).")
        for tag in self.tags:
            if not tag.strip() or len(tag) > LONGEST_TAG or not tag.isprintable():
                raise UsageError(f"tag {tag!r} (allowed: 1 to {LONGEST_TAG} characters on one line).")
        if len(self.note) > LONGEST_NOTE:
            raise UsageError(f"a note of {len(self.note)} characters (allowed: at most {LONGEST_NOTE:,}).")


def read_remarks(run: Path) -> Remarks:
    """What is said of a run; nothing where the file is missing or is none of étude's."""
    try:
        found = parse_json(read_whole(run / "remarks.json"))
        tags, note = found["tags"], found["note"]
        if isinstance(note, str) and isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
            return Remarks(tags=tuple(tags), note=note)
    except (OSError, ValueError, KeyError, TypeError, UsageError):
        pass
    return Remarks()


def write_remarks(run: Path, remarks: Remarks) -> None:
    """Keep it beside the run; `DiskError` if it cannot be written."""
    write_atomically(run / "remarks.json", json.dumps(asdict(remarks), indent=1))
