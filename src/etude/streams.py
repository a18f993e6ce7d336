"""Random streams: one generator per purpose, all determined by the run's seed.

Separate streams keep one use of randomness from shifting another: a longer preview does not change the training noise,
and replica k of many draws what a solo run with seed k draws.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def stream_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose, unrelated between purposes and between neighbouring seeds."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(seed: int, purpose: str, *, device: torch.device | str = "cpu") -> torch.Generator:
    """A fresh generator for one purpose, on the device where its numbers are needed."""
    return torch.Generator(device=device).manual_seed(stream_seed(seed, purpose))


@contextmanager
def seeded_by(generator: torch.Generator) -> Iterator[None]:
    """Seed PyTorch's global generator within the block by a draw from `generator`, and put it back after."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def global_stream(seed: int, purpose: str) -> Iterator[None]:
    """Seed PyTorch's global generator within the block (initial weights draw from it), and put it back after."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, purpose))
        yield
