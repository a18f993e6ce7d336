"""Where a gradient is not the derivative by design, or cannot be compared with one."""

from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

_DOUBLE = (torch.float64, torch.complex128)
_BELOW = (torch.float32, torch.float16, torch.bfloat16, torch.complex64)


class Casts(TorchDispatchMode):
    """Notes whether a network leaves double precision on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.dtype = ""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # skipping would import the compiler, two seconds, to switch it off

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if "_to_copy" in str(func) and args[0].dtype in _DOUBLE and out.dtype in _BELOW:
            self.dtype = str(out.dtype).removeprefix("torch.")
        return out


def hold_power_iterations(module: nn.Module) -> None:
    """Spectral norm takes its vectors for constants in the backward pass; in eval mode the forward pass does too."""
    for part in module.modules():
        hooks = [type(hook).__name__ for hook in part._forward_pre_hooks.values()]
        if type(part).__name__ == "_SpectralNorm" or "SpectralNorm" in hooks:
            part.training = False


def by_design(module: nn.Module) -> tuple[dict[str, int], dict[str, str]]:
    """Rows of embeddings that get no gradient, and embeddings whose gradient is not the derivative, as documented."""
    rows: dict[str, int] = {}
    others: dict[str, str] = {}
    for name, part in module.named_modules():
        if isinstance(part, nn.Embedding | nn.EmbeddingBag):
            weight = f"{name}.weight" if name else "weight"
            if part.padding_idx is not None:
                rows[weight] = part.padding_idx
            if part.max_norm is not None:
                others[weight] = "not checked: max_norm rescales its rows in every pass, without a gradient."
            if part.scale_grad_by_freq:
                others[weight] = "not checked: scale_grad_by_freq divides its gradient by how often a row is used."
    return rows, others
