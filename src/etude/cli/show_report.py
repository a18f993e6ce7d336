"""What `etude report` prints: the file that it wrote."""

from pathlib import Path
from typing import Any

from etude.cli.printing import print_json, progress_line
from etude.reports import report


def write(names: list[str], out: Path | None, *, json: bool, **how: Any) -> None:
    """Write the report and print its path, or with `json` also its size."""
    written = report(names, out, progress=progress_line, **how)
    if json:
        print_json({"report": str(written.path), "bytes": written.num_bytes})
    else:
        print(written.path)
