"""Numbers below 1.2e-38, which a processor computes with many times slower than with others."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Take denormal numbers for zero within the block, on all threads that PyTorch computes with on Linux.

    Elsewhere (PyTorch without GNU's OpenMP) that is certain of the calling thread alone.

    Where a unit of a network is dead, the running mean of its gradient halves at every step (β₁ = 0.5) until it is
    denormal: 27,000 of 1.95 million of `gan`'s after 300 steps, which cost an eighth of a step.
    """
    before = float(torch.tensor(1e-39) * 1) == 0
    _flush(True)
    try:
        yield
    finally:
        _flush(before)


def _flush(on: bool) -> None:
    """PyTorch sets the calling thread alone: its pool's threads are as the thread was that began them."""
    torch.set_flush_denormal(on)
    try:
        openmp = ctypes.CDLL("libgomp.so.1")  # the one that PyTorch has loaded
    except OSError:
        return
    body = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: torch.set_flush_denormal(on))
    openmp.GOMP_parallel(body, None, 0, 0)  # as many threads as are set
