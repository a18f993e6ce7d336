"""Memory kept from step to step."""

import os
import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import torch
from etude.speed.memory import freed_memory_kept, give_back

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        tensors = [torch.ones(2**20) for _ in range(16)]  # 4 MiB each, 1,024 pages
        del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

plain = faults()
with freed_memory_kept():
    faults()
    kept, inside = faults(), resident()
    give_back()
    asked_for = inside - resident()
    faults()
    inside = resident()
print(plain, kept, asked_for, inside - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's own behaviour")
def test_freed_memory_is_kept_for_the_next_step_and_given_back_when_asked_for_and_in_the_end() -> None:
    # A fixed threshold, at which glibc maps each tensor anew: how its own moves depends on what lies in the heap.
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072"}
    words = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    plain, kept, *given_back = map(int, done.stdout.split())
    assert plain > 500  # of 20 × 64 MiB: with huge pages there are few
    assert kept < plain / 10
    assert min(given_back) > 0.9 * 16 * 2**22
