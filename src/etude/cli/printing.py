"""Tables and texts on stdout."""

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def json_text(value: Any) -> str:
    """One line of JSON; NaN and infinity, which JSON has not, become null."""
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def plain_table(headings: list[str], rows: list[list[str]], *, left: int, last_left: bool = False) -> Any:
    """A table without frames; the first `left` columns to the left, numbers to the right."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, heading in enumerate(headings):
        leftwards = i < left or (last_left and i == len(headings) - 1)
        table.add_column(heading, justify="left" if leftwards else "right", overflow="fold", no_wrap=not leftwards)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table


def stdout_console() -> "Console":
    """Where tables go: as wide as the terminal, into a file or a pipe uncut."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise  # BrokenPipeError, which ends the command in `outcome`; rich's own way is exit code 1

    console = Piped(highlight=False)
    if not console.is_terminal:
        console.width = 200
    return console


def show_parts(parts: list[Any]) -> None:
    """Print texts and tables."""
    from rich.text import Text

    console = stdout_console()
    for part in parts:
        part = Text(part) if isinstance(part, str) else part
        console.print(part, soft_wrap=isinstance(part, Text))
