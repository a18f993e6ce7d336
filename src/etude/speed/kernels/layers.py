"""Kernels that replace PyTorch's layers in compiled steps on a processor.

They are faster there for small images and batches: C++ from `native`, or formulas that suit a compiler. Each computes
what its layer does, except for rounding. A gradient of their gradients is an error.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.modules import batchnorm

from etude.models.maps import BatchNormOfPixels, LinearFromMaps, LinearToMaps
from etude.speed.kernels import functions
from etude.speed.kernels.functions import Pair

LANES = 16
"""The maps of a grey image must be a multiple of it: the numbers in the widest vector of `native`."""
FEW = 128
"""Up to this product of input and output channels, oneDNN wastes much, because it takes 16 at a time."""
LEAST_PRODUCTS = 50
"""The fewest numbers summed per output, for convolutions with `LANES` output channels or more. Below, oneDNN wastes
little."""


class Kernel(nn.Module):
    """The class of a layer that a kernel computes: `layer.__class__ = kernel` changes its `forward` and nothing
    else."""

    replaces: ClassVar[type[nn.Module]]
    """The exact class of the layer before."""
    for_compiling = True
    """Whether it is for compiled steps only, and cannot be differentiated twice."""
    for_eager_steps_only = False
    """Whether it is only for steps computed operation by operation."""

    @staticmethod
    def suits(layer: Any, dtype: torch.dtype) -> bool:
        """Whether it can compute a layer with these settings, for maps of this type, faster than PyTorch."""
        return True


class Convolution(Kernel, nn.Conv2d):
    """Few maps in float32, without stride and padding, as in `lenet`."""

    replaces = nn.Conv2d

    @staticmethod
    def suits(layer: nn.Conv2d, dtype: torch.dtype) -> bool:
        """See `Kernel`."""
        products = layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
        return (
            _is_usual(layer)
            and dtype == torch.float32
            and (layer.stride, layer.padding) == ((1, 1), (0, 0))
            and layer.in_channels * layer.out_channels <= FEW
            and (layer.out_channels < LANES or products >= LEAST_PRODUCTS)
        )

    def forward(self, input: Tensor) -> Tensor:
        """Images (N, C, H, W) to maps (N, maps, h, w)."""
        if not _fits(input, self.in_channels) or input.dtype != torch.float32 or maps_type() != torch.float32:
            return super().forward(input)
        return functions.Convolution.apply(input, self.weight, self.bias)


class ConvolutionOfGrey(Kernel, nn.Conv2d):
    """Grey images to a multiple of 16 maps, with any stride and padding."""

    replaces = nn.Conv2d

    @staticmethod
    def suits(layer: nn.Conv2d, dtype: torch.dtype) -> bool:
        """See `Kernel`."""
        return _is_usual(layer) and layer.in_channels == 1 and layer.out_channels % LANES == 0

    def forward(self, input: Tensor) -> Tensor:
        """Images (N, 1, H, W) to maps (N, maps, h, w)."""
        if not _fits(input, 1):
            return super().forward(input)
        return functions.OfGrey.apply(input, self.weight, self.bias, self.stride, self.padding, maps_type())


class ConvolutionToGrey(Kernel, nn.ConvTranspose2d):
    """A multiple of 16 maps to grey images, transposed."""

    replaces = nn.ConvTranspose2d

    @staticmethod
    def suits(layer: nn.ConvTranspose2d, dtype: torch.dtype) -> bool:
        """See `Kernel`."""
        to_grey = layer.out_channels == 1 and layer.in_channels % LANES == 0
        return to_grey and layer.groups == 1 and layer.dilation == (1, 1)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Maps (N, maps, h, w) to images (N, 1, H, W)."""
        if output_size is not None or not _fits(input, self.in_channels):
            return super().forward(input, output_size)
        size = transposed_size(input, self.weight, self.stride, self.padding, self.output_padding)
        images = functions.ToGrey.apply(input.to(maps_type()), self.weight, self.stride, self.padding, size)
        return (images if self.bias is None else images + self.bias).to(maps_type())


class _BatchNorm(Kernel, batchnorm._BatchNorm):
    """The statistics of a batch as plain sums."""

    @staticmethod
    def suits(layer: Any, dtype: torch.dtype) -> bool:
        """Layers with weights, running statistics and a momentum."""
        return layer.affine and layer.track_running_stats and layer.momentum is not None

    def forward(self, input: Tensor) -> Tensor:
        """Numbers (N, C, ...) to numbers with mean 0 and variance 1 per channel, then scaled and shifted."""
        self._check_input_dim(input)
        if not self.training or input.numel() == input.shape[1]:
            return super().forward(input)
        made, mean, variance, _ = functions.Normalisation.apply(input, self.weight, self.bias, self.eps)
        _move_statistics(self, mean, variance, size=input.numel() // input.shape[1])
        return made


class BatchNorm1d(_BatchNorm, nn.BatchNorm1d):
    """For numbers (N, C) or (N, C, L)."""

    replaces = nn.BatchNorm1d


class BatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    """For maps (N, C, H, W)."""

    replaces = nn.BatchNorm2d


class BatchNormOfPixelsAsTheyLie(Kernel, BatchNormOfPixels):
    """Maps in channels-last are not copied. Weights and statistics are put into their order."""

    replaces = BatchNormOfPixels

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, *shape) to maps with mean 0 and variance 1 along N, scaled and shifted."""
        if not self.training:
            return super().forward(input)
        channels, height, width = self.shape
        weight, bias = (each.unflatten(0, self.shape).permute(1, 2, 0).flatten() for each in (self.weight, self.bias))
        numbers = input.permute(0, 2, 3, 1).flatten(1)
        made, *statistics, _ = functions.Normalisation.apply(numbers, weight, bias, self.eps)
        mean, variance = (
            each.unflatten(0, (height, width, channels)).permute(2, 0, 1).flatten() for each in statistics
        )
        _move_statistics(self, mean, variance, size=len(input))
        return made.unflatten(1, (height, width, channels)).permute(0, 3, 1, 2)


class LinearFromMapsAsTheyLie(Kernel, LinearFromMaps):
    """Maps in channels-last are not copied. The weights are put into their order."""

    replaces = LinearFromMaps

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, *shape) to numbers (N, out_features)."""
        weight = self.weight.unflatten(1, self.shape).permute(0, 2, 3, 1).flatten(1)
        return nn.functional.linear(input.permute(0, 2, 3, 1).flatten(1), weight, self.bias)


class LinearToMapsInChannelsLast(Kernel, LinearToMaps):
    """Maps in channels-last are not copied. The weights are put into their order."""

    replaces = LinearToMaps

    def forward(self, input: Tensor) -> Tensor:
        """Numbers (N, in_features) to maps (N, *shape)."""
        weight = self.weight.unflatten(0, self.shape).permute(1, 2, 0, 3).flatten(0, 2)
        bias = self.bias.unflatten(0, self.shape).permute(1, 2, 0).flatten()
        channels, height, width = self.shape
        return nn.functional.linear(input, weight, bias).unflatten(1, (height, width, channels)).permute(0, 3, 1, 2)


def maps_type() -> torch.dtype:
    """The type of the maps: float32, or in training the one that autocasting asks for."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


def transposed_size(maps: Tensor, kernels: Tensor, stride: Pair, padding: Any, output_padding: Pair) -> Pair:
    """Height and width of the images that a transposed convolution makes."""
    return tuple(
        (positions - 1) * step - 2 * pad + kernel + extra
        for positions, step, pad, kernel, extra in zip(
            maps.shape[2:], stride, padding, kernels.shape[2:], output_padding, strict=True
        )
    )


def _is_usual(layer: nn.Conv2d) -> bool:
    """Whether a convolution has a bias and padding given as numbers, and neither groups nor dilation."""
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    return plain and layer.bias is not None and not isinstance(layer.padding, str)


def _fits(input: Tensor, channels: int) -> bool:
    """Whether these are what the C++ reads without checks. PyTorch computes, or refuses, everything else."""
    return input.dim() == 4 and input.shape[1] == channels and input.dtype in (torch.float32, torch.bfloat16)


def _move_statistics(norm: batchnorm._BatchNorm, mean: Tensor, variance: Tensor, *, size: int) -> None:
    """Update the running statistics with those of a batch, of `size` numbers each."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.running_mean.mul_(1 - norm.momentum).add_(norm.momentum * mean)
    norm.running_var.mul_(1 - norm.momentum).add_(norm.momentum * size / (size - 1) * variance)
    norm.num_batches_tracked.add_(1)
