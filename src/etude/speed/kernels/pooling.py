"""Max-pooling by a kernel, whether a layer or a function is called. Inductor pools one number at a time."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from etude.speed.kernels import native
from etude.speed.kernels.functions import Pooling
from etude.speed.kernels.layers import LANES


class KernelPooling(TorchFunctionMode):
    """While it is active, `max_pool` computes `F.max_pool2d` and `nn.MaxPool2d` where they pool 2×2 pixels.

    It inspects every call of PyTorch, so it is for a step that is traced once. Raises `OSError` if the C++ cannot be
    compiled.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (F.max_pool2d, torch.max_pool2d):
            return _pooled(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _pooled(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """As `F.max_pool2d`."""
    sizes = (kernel_size, stride or kernel_size, padding, dilation)
    pairs = all(_pair(size) == (usual, usual) for size, usual in zip(sizes, (2, 2, 0, 1), strict=True))
    if pairs and not ceil_mode and not return_indices:
        return max_pool(input)
    return F.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _pair(size: Any) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else tuple(size) * (3 - len(size))


def max_pool(images: Tensor) -> Tensor:
    """Images (N, C, H, W) to the largest of each 2×2 pixels (N, C, H

    2, W

    2), by `native` if it can.
    """
    of_maps = (
        images.dim() == 4 and images.shape[1] % LANES == 0 and images.is_contiguous(memory_format=torch.channels_last)
    )
    if images.dim() != 4 or not (images.dtype == torch.float32 or (of_maps and images.dtype == torch.bfloat16)):
        return F.max_pool2d(images, 2)
    native.load()
    if of_maps:
        return Pooling.apply(images.permute(0, 2, 3, 1), True)[0].permute(0, 3, 1, 2)
    return Pooling.apply(images, False)[0]
