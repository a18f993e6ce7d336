"""Ctrl-C while something goes on that must not be cut: noted, obeyed, and never lost."""

import os
import signal

import pytest

from etude.errors import Interrupted
from etude.training.stopping import stop_requests


def test_a_request_is_noted_and_can_be_obeyed() -> None:
    with pytest.raises(Interrupted), stop_requests() as stop:  # noqa: PT012
        assert not stop
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT
        raise Interrupted("stopped.", signal=stop.signal)


def test_a_second_ctrl_c_acts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stop_requests():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second one was noted only")


def test_a_request_that_nobody_looked_at_is_not_lost() -> None:
    """It came while the results of a sweep were drawn, say: what comes after the block must not begin."""
    done = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with stop_requests():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the block")
        pytest.fail("the request was lost")
    assert done == ["the block"]


def test_without_a_request_all_is_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_requests() as stop:
        assert not stop
    assert signal.getsignal(signal.SIGINT) is before
