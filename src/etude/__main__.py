"""`etude` and `python -m etude`: from the first import on, Ctrl-C ends with one line and exit code 130."""

import atexit
import contextlib
import os
import signal
import sys
from types import FrameType

_was_interrupted = False


def main() -> int:
    """Run the command line; returns the exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever started us ignores it: so do we
        signal.signal(signal.SIGINT, _stop_at_once)
        sys.unraisablehook = _stop_unless_raised
    from etude.cli import main

    if signal.getsignal(signal.SIGINT) is _stop_at_once:
        signal.signal(signal.SIGINT, _interrupt)
    code = 130
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    except Exception:
        if not _was_interrupted:  # a library that was being imported turns Ctrl-C into an error of its own
            raise
        _say_stopped()
    # Where Ctrl-C fell into an exec(), a dataclass's say, Python would end itself by SIGINT, whatever we return: it
    # notes what the last exec() met.
    exec("")
    if signal.getsignal(signal.SIGINT) is _interrupt:
        # Ctrl-C once more, while Python shuts down: it waits for threads first, and takes handlers away after that.
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    return code


def _stop_at_once(_number: int, _frame: FrameType | None) -> None:
    """While étude itself is imported there is nothing to save or to clean up."""
    _say_stopped()
    os._exit(130)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _was_interrupted
    _was_interrupted = True
    signal.default_int_handler(number, frame)


def _stop_unless_raised(unraisable: "sys.UnraisableHookArgs") -> None:
    """Ctrl-C within a callback that cannot raise (a destructor's, say): Python would print a traceback and go on."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        _stop_at_once(signal.SIGINT, None)
    sys.__unraisablehook__(unraisable)


def _say_stopped() -> None:
    with contextlib.suppress(OSError):  # stderr may be closed, or full
        os.write(2, b"etude: stopped.\n")


if __name__ == "__main__":
    sys.exit(main())
