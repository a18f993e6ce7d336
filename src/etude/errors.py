"""The mistakes a person can make, as exceptions that say on one line what to do.

Every message names what was given, what is allowed and what to do next. The command line prints it without a
traceback and exits with code 2. A bug of ours is never one of these: it raises `AssertionError` or whatever it raises.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches


class EtudeError(Exception):
    """A mistake that the user can fix; its text is always one line."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UsageError(EtudeError):
    """A name, flag, value or argument that is not allowed."""


class DataError(EtudeError):
    """Data that is missing, truncated, corrupt or hostile."""


class RunError(EtudeError):
    """A run folder that is missing, damaged, in use, or written by a newer version."""


class DiskError(EtudeError):
    """A file that cannot be written: a full disk, a folder without permission."""


class TrainingError(EtudeError):
    """Training that cannot continue: a loss or a weight is no longer finite."""


class Interrupted(EtudeError):
    """Training that was asked to stop (Ctrl-C, SIGTERM) and has saved all it needs to continue."""

    def __init__(self, message: str, *, signal: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal  # as shells do


def one_line(text: str, *, longest_word: int = 240, longest: int = 1200) -> str:
    """The text on one line that a terminal can show: other characters become codes, long parts are cut in the middle.

    >>> one_line("no run 'a\\n\\x1b[31m'")
    "no run 'a \\\\x1b[31m'"
    """
    text = " ".join(printable(word) for word in _cut(text, 50 * longest).split())
    words = (_cut(word, longest_word) for word in text.split(" "))
    return _cut(" ".join(words), longest)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest // 2]}…{text[-longest // 3 :]}"


def is_out_of_memory(error: BaseException) -> bool:
    """Python's error, or PyTorch's, which has no separate class for CPU memory."""
    text = str(error)
    return isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text


def unknown(kind: str, given: str, allowed: Iterable[str], *, hint: str = "") -> UsageError:
    """The error for a name that is not on a list. It suggests the nearest one and names them all.

    >>> unknown("recipe", "lenett", ["gan", "lenet"], hint="`etude recipes` describes them")
    UsageError("unknown recipe 'lenett': did you mean 'lenet'? Choose from gan, lenet; `etude recipes` describes them.")
    """
    names = sorted(allowed)
    near: list[str] = []
    if len(given) <= 100:  # slow for long texts
        near = get_close_matches(given, names, n=1) or _spelled_otherwise(given, names)
    suggestion = f"did you mean {near[0]!r}? Choose" if near else "choose"
    return UsageError(f"unknown {kind} {given!r}: {suggestion} from {', '.join(names)}{'; ' + hint if hint else ''}.")


def printable(text: str) -> str:
    """The text with escapes for what no terminal shows (line breaks, control characters, bytes that are not text)."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode() for each in text
    )


def _spelled_otherwise(given: str, names: list[str]) -> list[str]:
    """The nearest name if only letters and digits count, in any case: FashionMNIST."""
    plain = {re.sub(r"[\W_]", "", name).casefold(): name for name in names}
    return [plain[name] for name in get_close_matches(re.sub(r"[\W_]", "", given).casefold(), plain, n=1)]
