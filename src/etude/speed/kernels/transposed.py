"""A transposed convolution that is faster in bf16 on a processor than PyTorch's.

Sources: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4, for the transposed
convolution as the gradient of a convolution; Chellapilla, Puri and Simard, "High performance convolutional neural
networks for document processing", 2006, for the patches that a kernel sees as the rows of a matrix.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.speed.kernels.functions import Pair
from etude.speed.kernels.layers import Kernel, maps_type, transposed_size


class TransposedByProducts(Kernel, nn.ConvTranspose2d):
    """By matrix products if autocasting asks for bf16, in steps of every kind; otherwise PyTorch's own."""

    replaces = nn.ConvTranspose2d
    for_compiling = False

    @staticmethod
    def suits(layer: nn.ConvTranspose2d, dtype: torch.dtype) -> bool:
        """See `Kernel`."""
        return dtype == torch.bfloat16 and layer.groups == 1 and layer.dilation == (1, 1)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Maps (N, maps, h, w) to images (N, C, H, W)."""
        if output_size is not None or maps_type() != torch.bfloat16 or input.dim() != 4:
            return super().forward(input, output_size)
        kernels, bias = self.weight.bfloat16(), None if self.bias is None else self.bias.bfloat16()
        return ByProducts.apply(input.bfloat16(), kernels, bias, self.stride, self.padding, self.output_padding)


class ByProducts(torch.autograd.Function):
    """Maps (N, maps, h, w), kernels (maps, C, kh, kw), bias (C,) or None to images (N, C, H, W)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        maps: Tensor, kernels: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, output_padding: Pair
    ) -> Tensor:
        if kernels.shape[1] > 1:  # grey images are faster by products, too
            return F.conv_transpose2d(maps, kernels, bias, stride, padding, output_padding)
        size = transposed_size(maps, kernels, stride, padding, output_padding)
        products = (_rows(maps) @ kernels.flatten(1)).unflatten(0, (len(maps), -1))  # (N, h · w, C · kh · kw)
        images = F.fold(products.mT, size, kernels.shape[2:], padding=padding, stride=stride)
        return images if bias is None else images + bias[:, None, None]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        maps, kernels, _, ctx.stride, ctx.padding, _ = inputs
        ctx.save_for_backward(maps, kernels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (maps, kernels), (gradient,) = ctx.saved_tensors, gradients
        for_maps, for_kernels, for_bias = ctx.needs_input_grad[:3]
        of_maps = of_kernels = None
        (kh, kw), (rows, columns), (above, left) = kernels.shape[2:], ctx.stride, ctx.padding
        padded = F.pad(gradient.permute(0, 2, 3, 1), (0, 0, left, left, above, above))
        windows = padded.unfold(1, kh, rows).unfold(2, kw, columns)  # (N, h, w, C, kh, kw), no copy
        seen = windows.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 2)  # (N · h · w, kh · kw · C)
        if for_maps:
            matrix = kernels.permute(0, 2, 3, 1).flatten(1)  # (maps, kh · kw · C)
            of_maps = (seen @ matrix.T).unflatten(0, windows.shape[:3]).permute(0, 3, 1, 2)
        if for_kernels:
            of_kernels = (_rows(maps).T @ seen).unflatten(1, (kh, kw, -1)).permute(0, 3, 1, 2)
        return of_maps, of_kernels, gradient.sum(dim=(0, 2, 3)) if for_bias else None, None, None, None


def _rows(maps: Tensor) -> Tensor:
    """Maps (N, maps, h, w) as (N · h · w, maps)."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)
