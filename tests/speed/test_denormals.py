"""Numbers below the normal ones are zero while training, on every thread, and are as before afterwards."""

import sys

import pytest
import torch

from etude.speed.denormals import denormals_flushed


@pytest.mark.skipif(sys.platform != "linux", reason="only GNU's OpenMP reaches all threads")
def test_denormal_numbers_are_zero_within_the_block_on_all_threads() -> None:
    denormal = torch.full((2**20,), 100, dtype=torch.int32).view(torch.float32)  # 1.4e-43 each; begins all threads

    def share_kept() -> float:
        return float(((denormal * 1).view(torch.int32) != 0).float().mean())

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert share_kept() == 1
        with denormals_flushed():
            assert share_kept() == 0
            with denormals_flushed():
                pass
            assert share_kept() == 0  # as before the inner block
        assert share_kept() == 1
    finally:
        torch.set_num_threads(threads)
