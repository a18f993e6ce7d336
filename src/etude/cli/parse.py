"""From words on a command line to a call, by tyro; a mistake in them becomes étude's own one-line error."""

import contextlib
import functools
import io
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from etude.errors import UsageError

CONFIG = (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone, tyro.conf.HelptextFromCommentsOff)


def parse_call(command: Callable[..., object], *, prog: str, arguments: Sequence[str]) -> Callable[[], object]:
    """The command bound to its arguments, ready to be called; `--help` prints its page and exits."""

    @functools.wraps(command)
    def bind(*args: Any, **kwargs: Any) -> Callable[[], object]:
        return functools.partial(command, *args, **kwargs)

    return parse(bind, prog=prog, arguments=arguments)


def parse(target: Any, *, prog: str, arguments: Sequence[str], **options: Any) -> Any:
    """`tyro.cli`, with `UsageError` for what a person typed wrongly."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(target, prog=prog, args=arguments, config=CONFIG, **options)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(_one_line(box.getvalue(), prog)) from None
    finally:
        if not box.getvalue().startswith("╭"):  # warnings and the like
            sys.stderr.write(box.getvalue())


def _one_line(box: str, prog: str) -> str:
    """What tyro's framed message says, on one line: `│ words │` rows, parts divided by `│ ──── │`."""
    rows = re.findall(r"^│(.*)│$", box, flags=re.MULTILINE)
    parts = [" ".join(part.split()) for part in re.split(r"─{4,}", " ".join(rows))]
    problem = parts[0].replace("Unrecognized options: ", "unknown flag or word: ").rstrip(".")
    near = re.search(r"Perhaps you meant: (--\S+)", " ".join(parts))
    suggestion = f"; did you mean {near[1]}?" if near else ""
    return f"{problem}{suggestion or ';'} `{prog} --help` lists what is allowed."
