"""Lines of stdin, some at a time: what comes in without an end is answered as it comes."""

from collections.abc import Iterable, Iterator
from itertools import islice

from etude.errors import UsageError

LINES_AT_ONCE = 100


def parts_of(lines: Iterable[str]) -> Iterator[list[str]]:
    """The lines without their ends, a hundred at a time; `UsageError` for bytes that are not UTF-8."""
    stripped = (line.rstrip("\r\n") for line in _read(lines))
    while part := list(islice(stripped, LINES_AT_ONCE)):
        yield part


def _read(lines: Iterable[str]) -> Iterator[str]:
    try:
        yield from lines
    except UnicodeDecodeError as error:
        raise UsageError(f"stdin is not UTF-8 ({error.reason} at byte {error.start}): give text in UTF-8.") from error
