"""A person's Python code, run in this process: whatever it raises, and an exit too, becomes an error on one line."""

import contextlib
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from etude.errors import EtudeError, UsageError, one_line


def run_file(path: Path, tell: Callable[[BaseException], EtudeError]) -> dict[str, Any]:
    """The names that a Python file defines. It may import its neighbours; what it prints goes to stderr."""
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        with contained(tell), contextlib.redirect_stdout(sys.stderr):
            return runpy.run_path(str(path))
    finally:
        sys.path.pop(0)


@contextlib.contextmanager
def contained(tell: Callable[[BaseException], EtudeError]) -> Iterator[None]:
    """Turn what the code within raises into the error that `tell` makes of it; étude's own errors stay as they are.

    `sys.exit` and `os._exit` would end étude without a word, and with the exit code of success: they are errors too.
    Ctrl-C is not.
    """
    kept = os._exit
    os._exit = _exit
    try:
        yield
    except (EtudeError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise tell(error) from error
    finally:
        os._exit = kept


def _exit(status: int = 0) -> NoReturn:
    raise SystemExit(status)


def require_no_loop(module: Any, name: str) -> None:
    """Raise a `UsageError` for a `torch.nn.Module` that contains itself: PyTorch would follow it for ever."""
    finished: set[int] = set()

    def visit(part: Any, path: str, above: tuple[int, ...]) -> None:
        if id(part) in above:
            raise UsageError(f"{name} contains itself, as {path}: keep a parent in a list, [parent], not as a layer.")
        if id(part) in finished:
            return
        for key, child in part._modules.items():
            if child is not None:
                visit(child, f"{path}.{key}" if path else key, (*above, id(part)))
        finished.add(id(part))

    visit(module, "", ())


def reason(error: BaseException) -> str:
    """An exception as "ValueError: its text", on one line; its type alone where it has no text, or none to be had."""
    text = text_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def text_of(error: BaseException) -> str:
    """An exception's text on one line, without the final full stop."""
    try:
        text = str(getattr(error, "msg", None) or error)
    except Exception:  # a person's exception may fail even at this
        return ""
    return one_line(text, longest=300).rstrip(".")
