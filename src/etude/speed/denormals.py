"""Numbers below 1.2e-38, which a processor computes with many times more slowly."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Treat denormal numbers as zero within the block, on all threads that PyTorch uses on Linux.

    Elsewhere (PyTorch without GNU's OpenMP) this is certain only for the calling thread. If a unit of a network is
    dead, the running mean of its gradient halves at every step (β₁ = 0.5) until it is denormal. After 300 steps this
    holds for 27,000 of the 1.95 million numbers of `gan`, and costs an eighth of a step.
    """
    before = float(torch.tensor(1e-39) * 1) == 0
    _flush(True)
    try:
        yield
    finally:
        _flush(before)


def _flush(on: bool) -> None:
    """PyTorch sets only the calling thread. Threads of its pool have the setting of the thread that started them."""
    torch.set_flush_denormal(on)
    try:
        openmp = ctypes.CDLL("libgomp.so.1")  # the library that PyTorch has loaded
    except OSError:
        return
    body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: torch.set_flush_denormal(on))
    openmp.GOMP_parallel(body, None, 0, 0)  # as many threads as are set
