"""The kernels as functions with gradients: what `layers` computes, with `torch.ops.etude` or plain formulas."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from etude.errors import UsageError

Pair = tuple[int, ...]
"""For rows, for columns."""
Backward = Callable[..., tuple[Tensor | None, ...]]


class _Undifferentiable(torch.autograd.Function):
    """A gradient that has no gradient itself. Without it the gradient of a gradient would be silently wrong."""

    @staticmethod
    def forward(gradient: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        raise UsageError("étude's kernels have no gradient of a gradient: train with --compile off.")


def _first_order(backward: Backward) -> Backward:
    """A backward pass whose results cannot be differentiated."""

    @wraps(backward)
    def first_order(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        found = backward(ctx, *gradients)
        return tuple(None if each is None else _Undifferentiable.apply(each) for each in found)

    return first_order


class Normalisation(torch.autograd.Function):
    """Numbers (N, C, ...), weights (C,), biases (C,) to normalised ones; and to mean, variance v, 1 / √(v + ε), (C,).

    Ioffe and Szegedy, "Batch normalization", 2015, algorithm 1. Inductor turns PyTorch's own into a running variance
    with one division per number. It also puts a root into every loop that needs it; 1 / √v as exp(−log(v) / 2) is kept
    in memory.
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
    @_first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, mean, rate = ctx.saved_tensors
        slopes, others, share = gradients[0].float(), _others(input), input.shape[1] / input.numel()
        normal = (input.float() - _along(mean, input)) * _along(rate, input)
        of_bias, of_weight = slopes.sum(others), (slopes * normal).sum(others)
        of_input = slopes - _along(of_bias * share, input) - normal * _along(of_weight * share, input)
        return (of_input * _along(weight * rate, input)).to(input.dtype), of_weight, of_bias, None


def _others(input: Tensor) -> tuple[int, ...]:
    """All dimensions except that of channels."""
    return (0, *range(2, input.dim()))


def _along(channels: Tensor, input: Tensor) -> Tensor:
    """Reshape numbers (C,) of channels so that they broadcast with (N, C, ...)."""
    return channels.view(-1, *(1,) * (input.dim() - 2))


class Convolution(torch.autograd.Function):
    """Images (N, C, H, W), kernels (maps, C, kh, kw), bias (maps,) to maps (N, maps, H - kh + 1, W - kw + 1)."""

    @staticmethod
    def forward(images: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        return torch.ops.etude.convolve(images.contiguous(), kernels.contiguous(), bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        images, kernels, _ = inputs
        ctx.save_for_backward(images, kernels)

    @staticmethod
    @_first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (images, kernels), gradient = ctx.saved_tensors, gradients[0].contiguous()
        for_images, for_kernels, for_bias = ctx.needs_input_grad
        return (
            torch.ops.etude.gradient_of_images(gradient, kernels.contiguous()) if for_images else None,
            torch.ops.etude.gradient_of_kernels(images.contiguous(), gradient) if for_kernels else None,
            gradient.sum(dim=(0, 2, 3)) if for_bias else None,
        )


class Pooling(torch.autograd.Function):
    """Images (N, C, H, W) to the largest of each 2×2 pixels (N, C, H

    2, W

    2), and its position.

    Maps go to and come from `maps` as (N, H, W, C).
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
    @_first_order
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (which,) = ctx.saved_tensors
        back = torch.ops.etude.max_pool_of_maps_gradient if ctx.maps else torch.ops.etude.max_pool_gradient
        return back(gradients[0].contiguous(), which, *ctx.size), None


class OfGrey(torch.autograd.Function):
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
    @_first_order
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
    """Maps (N, maps, h, w), kernels (maps, 1, kh, kw) to grey images (N, 1, *size), float32: `OfGrey`'s adjoint."""

    @staticmethod
    def forward(maps: Tensor, kernels: Tensor, stride: Pair, padding: Pair, size: Pair) -> Tensor:
        maps = maps.permute(0, 2, 3, 1).contiguous()
        return torch.ops.etude.maps_to_grey(maps, _maps_last(kernels), *size, *stride, *padding)[:, None]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        maps, kernels, ctx.stride, ctx.padding, _ = inputs
        ctx.save_for_backward(maps, kernels)

    @staticmethod
    @_first_order
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
