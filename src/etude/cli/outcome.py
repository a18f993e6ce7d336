"""How a command ends: an exit code, and at most one line on stderr that says why."""

import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

from etude.errors import EtudeError, is_out_of_memory, one_line


def exit_code(command: Callable[[], object]) -> int:
    """Run a command: 0, 2 for a person's mistake, 130 when interrupted; a `SystemExit` (--help, a verdict) is raised.

    A lack of memory, a full disk and closed output count as a person's mistake. Any other exception is our bug: raised.
    """
    _open_closed_streams()
    try:
        try:
            command()
        except SystemExit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except EtudeError as error:
        return _failed(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _failed("stopped.", 130)
    except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
        _drop(sys.stdout, 1)
        return 0
    except OSError as error:
        return _failed(_told(error), EtudeError.exit_code)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _failed(
            "there is not enough memory for this: give smaller sizes, or fewer at once.", EtudeError.exit_code
        )
    return 0


def _told(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    if error.filename is None:
        return f"cannot write the output: {reason}."
    name = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else str(error.filename)
    return f"cannot use {name!r}: {reason}; check the path, its permissions and the space on the disk."


def _failed(message: str, code: int) -> int:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _drop(sys.stdout, 1)
    if sys.stderr.closed:  # by a person's own file, say
        sys.stderr = _stream(2)
    try:
        print(f"etude: {one_line(message)}", file=sys.stderr, flush=True)
    except OSError:  # a full disk may be stderr's too
        _drop(sys.stderr, 2)
    return code


def _open_closed_streams() -> None:
    """Replace a closed stdin, stdout or stderr by an empty one; otherwise the next opened file would take its place.

    A character that the encoding lacks is written as its number, such as `\\xd7`.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or _stream(1)
    sys.stderr = sys.stderr or _stream(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _stream(number: int) -> TextIO:
    return open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def _drop(stream: TextIO, number: int) -> None:
    """Drop what is still to be written, so that Python does not try again when it exits."""
    if stream in (sys.__stdout__, sys.__stderr__):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
