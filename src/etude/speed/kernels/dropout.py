"""A dropout whose random numbers cost less on a processor than PyTorch's.

PyTorch asks its generator for 64 bits per number, one after the other on one core, which takes a tenth of the time of a
small transformer. Here each number takes 16 bits.
"""

import torch
from torch import Tensor, nn

from etude.speed.kernels.layers import Kernel

LEVELS = 2**16
"""The values of 16 bits: the share that is dropped is rounded to a multiple of 1 / LEVELS."""


class Dropout(Kernel, nn.Dropout):
    """In steps that are computed operation by operation; a compiler draws cheaply itself."""

    replaces = nn.Dropout
    for_compiling = False
    for_eager_steps_only = True

    @staticmethod
    def suits(layer: nn.Dropout, dtype: torch.dtype) -> bool:
        """See `Kernel`."""
        return not layer.inplace and 0 < round(layer.p * LEVELS) < LEVELS

    def forward(self, input: Tensor) -> Tensor:
        """Numbers of any shape to the same, each either 0 or divided by the chance that it is kept."""
        if not self.training or input.device.type != "cpu":
            return super().forward(input)
        dropped, shape = round(self.p * LEVELS), input.shape
        words = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.int16)[: input.numel()].view(shape) >= dropped - LEVELS // 2
        return input * kept.to(input.dtype).mul_(LEVELS / (LEVELS - dropped))
