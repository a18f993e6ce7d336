"""Ctrl-C and SIGTERM while training: noted at once, obeyed after the step in progress."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether, and by which signal, training was asked to stop; final."""

    signal: int = 0
    """The signal's number; 0 while there was none."""

    def __bool__(self) -> bool:
        return self.signal != 0


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM within the block into a `StopRequest`; a second one acts as it always does.

    One that comes too late for the block to obey acts as it always does once the block is done: none is lost.
    Python allows signal handlers in the main thread only; in another thread nothing is ever requested.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.getsignal(number) for number in SIGNALS}

    def note(number: int, _frame: FrameType | None) -> None:
        request.signal = number
        for each, handler in previous.items():
            signal.signal(each, handler)

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if request:
        signal.raise_signal(request.signal)
