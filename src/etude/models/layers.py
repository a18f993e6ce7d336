"""Layers that take a processor less time than PyTorch's own do on small images and batches.

They are those of `nn` until `use_own` has them computed by the C++ of `native`, or by formulas that suit a compiler.
The gradients of their gradients would be wrong: a step that takes such must leave them alone.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import batchnorm

from etude.models import native

Pair = tuple[int, ...]
"""Of rows, of columns."""
LANES = 16
"""Maps of a grey image come by so many: the numbers that the widest vector of `native` holds."""


class Own:
    """A layer of `nn` with a way of its own: the same weights and, but for rounding, the same numbers."""

    own = False
    """Whether it goes that way; `use_own` chooses."""

    def has_own(self, dtype: torch.dtype) -> bool:
        """Whether it has one for maps of that type, as it is set up."""
        raise NotImplementedError


class Conv2d(Own, nn.Conv2d):
    """`nn.Conv2d`, computed by `native`."""

    def has_own(self, dtype: torch.dtype) -> bool:
        """Of grey images, or in float32 without strides and padding."""
        if self.bias is None or self.groups > 1 or self.dilation != (1, 1) or isinstance(self.padding, str):
            return False
        return self._of_grey() or (dtype == torch.float32 and self.stride == (1, 1) and self.padding == (0, 0))

    def _of_grey(self) -> bool:
        return self.in_channels == 1 and self.out_channels % LANES == 0

    def forward(self, input: Tensor) -> Tensor:
        """Maps images (N, C, H, W) to maps (N, maps, h, w)."""
        if not self.own:
            return super().forward(input)
        if self._of_grey():
            return _OfGrey.apply(input, self.weight, self.bias, self.stride, self.padding, maps_type())
        return _Convolution.apply(input, self.weight, self.bias)


class MaxPool2d(Own, nn.MaxPool2d):
    """`nn.MaxPool2d`, computed by `native`."""

    def has_own(self, dtype: torch.dtype) -> bool:
        """Of 2×2 pixels side by side."""
        sizes = (self.kernel_size, self.stride, self.padding, self.dilation)
        return sizes == (2, 2, 0, 1) and not self.ceil_mode and not self.return_indices

    def forward(self, input: Tensor) -> Tensor:
        """Maps images (N, C, H, W) to the largest of each 2×2 pixels (N, C, H // 2, W // 2)."""
        last = input.is_contiguous(memory_format=torch.channels_last) and input.shape[1] % LANES == 0
        if self.own and last and input.dtype in (torch.float32, torch.bfloat16):
            return _Pooling.apply(input.permute(0, 2, 3, 1), True)[0].permute(0, 3, 1, 2)
        if self.own and input.dtype == torch.float32:
            return _Pooling.apply(input, False)[0]
        return super().forward(input)  # pyright: ignore[reportReturnType]  (its stubs know `return_indices`)


class _BatchNorm(Own, batchnorm._BatchNorm):
    """What both batch-norms share: the statistics of a batch as plain sums."""

    def has_own(self, dtype: torch.dtype) -> bool:
        """With weights, running statistics and a momentum."""
        return self.affine and self.track_running_stats and self.momentum is not None

    def forward(self, input: Tensor) -> Tensor:
        """Maps numbers (N, C, ...) to numbers of mean 0 and variance 1 for each channel, scaled and moved."""
        if not (self.own and self.training):
            return super().forward(input)
        made, mean, variance, _ = _Normalisation.apply(input, self.weight, self.bias, self.eps)
        self._move_statistics(mean, variance, size=input.numel() // input.shape[1])
        return made

    def _move_statistics(self, mean: Tensor, variance: Tensor, *, size: int) -> None:
        """Take the statistics of a batch, of so many numbers each, into the running ones."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.mul_(1 - self.momentum).add_(self.momentum * mean)
        self.running_var.mul_(1 - self.momentum).add_(self.momentum * size / (size - 1) * variance)
        self.num_batches_tracked.add_(1)


class BatchNorm1d(_BatchNorm, nn.BatchNorm1d):
    """`nn.BatchNorm1d`, its statistics as plain sums."""


class BatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    """`nn.BatchNorm2d`, its statistics as plain sums."""


class BatchNormOfPixels(BatchNorm1d):
    """`nn.BatchNorm1d` of all numbers of maps (N, *shape), in the order in which `flatten(1)` gives them."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__(math.prod(shape))
        self.shape = shape

    def forward(self, input: Tensor) -> Tensor:
        """Maps maps (N, *shape) to maps of mean 0 and variance 1 along N, scaled and moved."""
        if not (self.own and self.training):
            return super().forward(input.flatten(1)).unflatten(1, self.shape)
        # Maps in channels-last need not be copied if weights and statistics are put into their order.
        channels, height, width = self.shape
        weight, bias = (each.unflatten(0, self.shape).permute(1, 2, 0).flatten() for each in (self.weight, self.bias))
        numbers = input.permute(0, 2, 3, 1).flatten(1)
        made, *statistics, _ = _Normalisation.apply(numbers, weight, bias, self.eps)
        back = (each.unflatten(0, (height, width, channels)).permute(2, 0, 1).flatten() for each in statistics)
        self._move_statistics(*back, size=len(input))
        return made.unflatten(1, (height, width, channels)).permute(0, 3, 1, 2)


class LinearFromMaps(Own, nn.Linear):
    """`nn.Linear` of all numbers of maps (N, *shape), in the order in which `flatten(1)` gives them."""

    def __init__(self, shape: tuple[int, int, int], out_features: int) -> None:
        super().__init__(math.prod(shape), out_features)
        self.shape = shape

    def has_own(self, dtype: torch.dtype) -> bool:
        """Always: it puts the weights in another order, not the maps."""
        return True

    def forward(self, input: Tensor) -> Tensor:
        """Maps maps (N, *shape) to numbers (N, out_features)."""
        if not self.own:
            return super().forward(input.flatten(1))
        # Maps in channels-last need not be copied if the weights are put into their order.
        weight = self.weight.unflatten(1, self.shape).permute(0, 2, 3, 1).flatten(1)
        return nn.functional.linear(input.permute(0, 2, 3, 1).flatten(1), weight, self.bias)


class LinearToMaps(Own, nn.Linear):
    """`nn.Linear` whose numbers are those of maps (N, *shape), in the order of `unflatten(1, shape)`."""

    def __init__(self, in_features: int, shape: tuple[int, int, int]) -> None:
        super().__init__(in_features, math.prod(shape))
        self.shape = shape

    def has_own(self, dtype: torch.dtype) -> bool:
        """Always: it puts the weights in another order, not the maps."""
        return True

    def forward(self, input: Tensor) -> Tensor:
        """Maps numbers (N, in_features) to maps (N, *shape)."""
        if not self.own:
            return super().forward(input).unflatten(1, self.shape)
        weight = self.weight.unflatten(0, self.shape).permute(1, 2, 0, 3).flatten(0, 2)
        bias = self.bias.unflatten(0, self.shape).permute(1, 2, 0).flatten()
        channels, height, width = self.shape
        return nn.functional.linear(input, weight, bias).unflatten(1, (height, width, channels)).permute(0, 3, 1, 2)


def use_own(network: nn.Module, dtype: torch.dtype) -> None:
    """From now on layers of the network are étude's own, where it has them, for maps of that type on a processor.

    Raises `OSError` where they cannot be compiled.
    """
    for layer in network.modules():
        if isinstance(layer, Own) and layer.has_own(dtype):
            native.load()
            layer.own = True


def maps_type() -> torch.dtype:
    """What networks compute maps in here: float32, or what autocasting asks for."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


class _Normalisation(torch.autograd.Function):
    """Numbers (N, C, ...), weights (C,), biases (C,) to normalised ones; and to mean, variance v, 1 / √(v + ε), (C,).

    Ioffe and Szegedy, "Batch normalization", 2015, algorithm 1. PyTorch's own is taken apart by Inductor into a running
    variance with a division for each number; and a root, into every loop that needs it: 1 / √v as exp(−log(v) / 2) it
    keeps in memory.
    """

    @staticmethod
    def forward(input: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        numbers, others, share = input.float(), _others(input), input.shape[1] / input.numel()
        mean = numbers.sum(others) * share
        centred = numbers - _along(mean, input)
        variance = centred.square().sum(others) * share
        rate = torch.exp(-0.5 * torch.log(variance + epsilon))
        made = centred * _along(weight * rate, input) + _along(bias, input)
        return made.to(input.dtype), mean, variance, rate

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(inputs[0], inputs[1], output[1], output[3])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, mean, rate = ctx.saved_tensors
        slopes, others, share = gradients[0].float(), _others(input), input.shape[1] / input.numel()
        normal = (input.float() - _along(mean, input)) * _along(rate, input)
        of_bias, of_weight = slopes.sum(others), (slopes * normal).sum(others)
        of_input = slopes - _along(of_bias * share, input) - normal * _along(of_weight * share, input)
        return (of_input * _along(weight * rate, input)).to(input.dtype), of_weight, of_bias, None


def _others(input: Tensor) -> tuple[int, ...]:
    """All dimensions but that of channels."""
    return (0, *range(2, input.dim()))


def _along(channels: Tensor, input: Tensor) -> Tensor:
    """Numbers (C,) of channels to be taken with (N, C, ...)."""
    return channels.view(-1, *(1,) * (input.dim() - 2))


class _Convolution(torch.autograd.Function):
    """Images (N, C, H, W), kernels (maps, C, kh, kw), bias (maps,) to maps (N, maps, H - kh + 1, W - kw + 1)."""

    @staticmethod
    def forward(images: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        return torch.ops.etude.convolve(images.contiguous(), kernels.contiguous(), bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        images, kernels, _ = inputs
        ctx.save_for_backward(images, kernels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (images, kernels), gradient = ctx.saved_tensors, gradients[0].contiguous()
        for_images, for_kernels, for_bias = ctx.needs_input_grad
        return (
            torch.ops.etude.gradient_of_images(gradient, kernels.contiguous()) if for_images else None,
            torch.ops.etude.gradient_of_kernels(images.contiguous(), gradient) if for_kernels else None,
            gradient.sum(dim=(0, 2, 3)) if for_bias else None,
        )


class _Pooling(torch.autograd.Function):
    """Images (N, C, H, W) to the largest of each 2×2 pixels (N, C, H // 2, W // 2), and which it was.

    Of `maps` to and from (N, H, W, C).
    """

    @staticmethod
    def forward(images: Tensor, maps: bool) -> tuple[Tensor, Tensor]:
        pool = torch.ops.etude.max_pool_of_maps if maps else torch.ops.etude.max_pool
        return pool(images.contiguous())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, bool], output: tuple[Tensor, Tensor]) -> None:
        images, ctx.maps = inputs
        ctx.size = images.shape[1:3] if ctx.maps else images.shape[2:]
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (which,) = ctx.saved_tensors
        back = torch.ops.etude.max_pool_of_maps_gradient if ctx.maps else torch.ops.etude.max_pool_gradient
        return back(gradients[0].contiguous(), which, *ctx.size), None


class _OfGrey(torch.autograd.Function):
    """Grey images (N, 1, H, W), kernels (maps, 1, kh, kw), bias (maps,) to maps (N, maps, h, w) of a given type."""

    @staticmethod
    def forward(
        images: Tensor, kernels: Tensor, bias: Tensor, stride: Pair, padding: Pair, dtype: torch.dtype
    ) -> Tensor:
        h, w = (
            (side + 2 * pad - kernel) // step + 1
            for side, pad, kernel, step in zip(images.shape[2:], padding, kernels.shape[2:], stride, strict=True)
        )
        where = (*stride, *padding, dtype == torch.bfloat16)
        maps = torch.ops.etude.grey_to_maps(_grey(images), _maps_last(kernels), bias, h, w, *where)
        return maps.permute(0, 3, 1, 2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        images, kernels, _, ctx.stride, ctx.padding, _ = inputs
        ctx.save_for_backward(images, kernels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (images, kernels), gradient = ctx.saved_tensors, gradients[0].permute(0, 2, 3, 1).contiguous()
        for_images, for_kernels, for_bias = ctx.needs_input_grad[:3]
        of_images = of_kernels = None
        where = (*ctx.stride, *ctx.padding)
        if for_images:
            of_images = torch.ops.etude.maps_to_grey(gradient, _maps_last(kernels), *images.shape[2:], *where)[:, None]
        if for_kernels:
            of_kernels = torch.ops.etude.grey_kernels(_grey(images), gradient, *kernels.shape[2:], *where)
            of_kernels = of_kernels.permute(2, 0, 1)[:, None]
        of_bias = gradient.float().sum(dim=(0, 1, 2)) if for_bias else None
        return of_images, of_kernels, of_bias, None, None, None


class ToGrey(torch.autograd.Function):
    """Maps (N, maps, h, w), kernels (maps, 1, kh, kw) to grey images (N, 1, *size), float32: `_OfGrey`'s adjoint."""

    @staticmethod
    def forward(maps: Tensor, kernels: Tensor, stride: Pair, padding: Pair, size: Pair) -> Tensor:
        maps = maps.permute(0, 2, 3, 1).contiguous()
        return torch.ops.etude.maps_to_grey(maps, _maps_last(kernels), *size, *stride, *padding)[:, None]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        maps, kernels, ctx.stride, ctx.padding, _ = inputs
        ctx.save_for_backward(maps, kernels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (maps, kernels), gradient = ctx.saved_tensors, _grey(gradients[0])
        of_maps = of_kernels = None
        where = (*ctx.stride, *ctx.padding)
        if ctx.needs_input_grad[0]:
            no_bias, (h, w) = kernels.new_zeros(len(kernels)), maps.shape[2:]
            in_bf16 = maps.dtype == torch.bfloat16
            of_maps = torch.ops.etude.grey_to_maps(gradient, _maps_last(kernels), no_bias, h, w, *where, in_bf16)
            of_maps = of_maps.permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            maps = maps.permute(0, 2, 3, 1).contiguous()
            of_kernels = torch.ops.etude.grey_kernels(gradient, maps, *kernels.shape[2:], *where)
            of_kernels = of_kernels.permute(2, 0, 1)[:, None]
        return of_maps, of_kernels, None, None, None


def _grey(images: Tensor) -> Tensor:
    """Images (N, 1, H, W) as (N, H, W)."""
    return images[:, 0].float().contiguous()


def _maps_last(kernels: Tensor) -> Tensor:
    """Kernels (maps, 1, kh, kw) as (kh, kw, maps)."""
    return kernels[:, 0].permute(1, 2, 0).contiguous()
