"""Tables and texts on stdout."""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from etude.files import finite

if TYPE_CHECKING:
    from rich.console import Console


def print_json(value: Any, *, indent: int | None = None) -> None:
    """Print JSON, one line without `indent`; NaN and infinity, which JSON has not, become null."""
    print(json.dumps(finite(value), allow_nan=False, indent=indent))


def stdout_console() -> "Console":
    """The console for tables: as wide as the terminal; in a file or a pipe nothing is cut."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:
            raise  # BrokenPipeError, which ends the command in `outcome`; rich's own way is exit code 1

    console = Piped(highlight=False)
    # A notebook sets FORCE_COLOR, by which rich takes a pipe for a terminal.
    if not console.is_terminal or ("FORCE_COLOR" in os.environ and not sys.stdout.isatty()):
        console.width = 200
    return console


def show_parts(parts: list[Any]) -> None:
    """Print texts and tables."""
    from rich.text import Text

    console = stdout_console()
    for part in parts:
        part = Text(part) if isinstance(part, str) else part
        console.print(part, soft_wrap=isinstance(part, Text))


QUIET_SECONDS, LINE_SECONDS = 2.0, 10.0
"""Shorter work shows no progress. If stderr is no terminal, a line is printed every `LINE_SECONDS`."""


def progress_line(what: str) -> Callable[[int, int], None]:
    """A function of (done, total) that shows rate and time left on stderr: one line that changes, or a few lines."""
    started = time.monotonic()
    terminal = sys.stderr.isatty()
    shown_at = started + QUIET_SECONDS - 0.25 if terminal else started
    shown = False

    def show(done: int, total: int) -> None:
        nonlocal shown_at, shown
        now = time.monotonic()
        if done == total:
            if shown and terminal:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        elif now - shown_at >= (0.25 if terminal else LINE_SECONDS):
            rate = done / (now - started)
            text = f"{what} {done}/{total}  {rate:.3g}/s  {(total - done) / rate:.0f} s left"
            print(f"\r\x1b[K{text}" if terminal else text, end="" if terminal else "\n", file=sys.stderr, flush=True)
            shown_at, shown = now, True

    return show
