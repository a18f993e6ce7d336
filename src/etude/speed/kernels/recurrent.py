"""A layer that keeps to float32 where the processor has no bf16 of it."""

from typing import Any

import torch
from torch import Tensor, nn

from etude.speed.kernels.layers import Kernel


class LSTMInFloat32(Kernel, nn.LSTM):
    """PyTorch's LSTM in bf16 is oneDNN's. On a processor without bf16 instructions that one has no kernel and fails."""

    replaces = nn.LSTM
    for_compiling = False

    @staticmethod
    def suits(layer: nn.LSTM, dtype: torch.dtype) -> bool:
        """See `Kernel`."""
        return dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported()

    def forward(self, input: Any, hx: tuple[Tensor, Tensor] | None = None) -> Any:
        """See `nn.LSTM`: numbers, or packed sequences of them, and states, in float32."""
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float(), None if hx is None else (hx[0].float(), hx[1].float()))
