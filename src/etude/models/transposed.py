"""A transposed convolution that bf16 on a processor computes in fewer milliseconds than PyTorch's own.

Sources: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4, for the transposed
convolution as the gradient of a convolution; Chellapilla, Puri and Simard, "High performance convolutional neural
networks for document processing", 2006, for what a kernel sees as the rows of a matrix.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.models.layers import LANES, Own, Pair, ToGrey, maps_type


class ConvTranspose2d(Own, nn.ConvTranspose2d):
    """`nn.ConvTranspose2d`: the same weights and, but for rounding, the same numbers (see docs/performance.md)."""

    def has_own(self, dtype: torch.dtype) -> bool:
        """To grey images."""
        to_grey = self.out_channels == 1 and self.in_channels % LANES == 0
        return to_grey and self.groups == 1 and self.dilation == (1, 1)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Maps (N, maps, h, w) to images (N, C, H, W)."""
        plain = output_size is None and self.groups == 1 and self.dilation == (1, 1)
        if self.own and plain:
            size = _size(input, self.weight, self.stride, self.padding, self.output_padding)
            images = ToGrey.apply(input.to(maps_type()), self.weight, self.stride, self.padding, size)
            return (images if self.bias is None else images + self.bias).to(maps_type())
        if not (maps_type() == torch.bfloat16 and plain and input.device.type == "cpu"):
            return super().forward(input, output_size)
        kernels, bias = self.weight.bfloat16(), None if self.bias is None else self.bias.bfloat16()
        return _ByProducts.apply(input.bfloat16(), kernels, bias, self.stride, self.padding, self.output_padding)


class _ByProducts(torch.autograd.Function):
    """Maps (N, maps, h, w), kernels (maps, C, kh, kw), bias (C,) or None to images (N, C, H, W)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        maps: Tensor, kernels: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, output_padding: Pair
    ) -> Tensor:
        if kernels.shape[1] > 1:  # grey images are faster by products, too
            return F.conv_transpose2d(maps, kernels, bias, stride, padding, output_padding)
        size = _size(maps, kernels, stride, padding, output_padding)
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


def _size(maps: Tensor, kernels: Tensor, stride: Pair, padding: Any, output_padding: Pair) -> Pair:
    """Rows and columns of the images."""
    return tuple(
        (positions - 1) * step - 2 * pad + kernel + extra
        for positions, step, pad, kernel, extra in zip(
            maps.shape[2:], stride, padding, kernels.shape[2:], output_padding, strict=True
        )
    )


def _rows(maps: Tensor) -> Tensor:
    """Maps (N, maps, h, w) as (N · h · w, maps)."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)
