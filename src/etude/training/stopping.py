"""Ctrl-C and SIGTERM while training: noticed at once, obeyed after the current step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether training was asked to stop, and by which signal; final."""

    signal: int = 0
    """The signal's number; 0 if there was none."""

    def __bool__(self) -> bool:
        return self.signal != 0


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM within the block into a `StopRequest`. A second one acts as usual.

    One that comes too late for the block to obey acts as usual after the block, so none is lost. Python allows signal
    handlers only in the main thread. In another thread nothing is ever requested.
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
