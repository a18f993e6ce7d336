"""A small U-Net with the time and, if it is conditional, the class as further inputs.

Sources: Ronneberger et al. 2015 for the shape, Ho et al. 2020 for its blocks, Nichol and Dhariwal 2021 for how the time
scales and shifts their features. It works on patches of 2×2 pixels, a quarter of the positions.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.families.diffusion.condition import Condition, start_at_zero
from etude.models.sizes import ImageShape

PATCH = 2
CHANNELS_PER_GROUP = 16
"""Channels per group of group-norm. With fewer, PyTorch's kernels take ten times as long in bf16."""


class UNet(nn.Module):
    """Images (N, C, H, W), times (N,) and classes to a prediction of the images' shape.

    The first level has `width` channels and one position per patch; the second has twice the channels and half the
    positions along each side. Sides that patches do not divide are padded with zeros. 621,000 parameters for 1×28×28,
    32 channels and 10 classes.
    """

    def __init__(self, image_shape: ImageShape, width: int, num_classes: int | None = None) -> None:
        super().__init__()
        self.image_shape = image_shape
        pixels, wide, features = image_shape[0] * PATCH**2, 2 * width, 4 * width
        self.condition = Condition(features, num_classes)
        self.first = nn.Conv2d(pixels, width, 3, padding=1)
        self.down = Block(width, width, features)
        self.shrink = nn.Conv2d(width, wide, 3, stride=2, padding=1)
        self.inner_down = Block(wide, wide, features)
        self.middle = Block(wide, wide, features)
        self.inner_up1 = Block(2 * wide, wide, features)
        self.inner_up2 = Block(2 * wide, wide, features)
        self.enlarge = nn.Conv2d(wide, width, 3, padding=1)
        self.up1 = Block(2 * width, width, features)
        self.up2 = Block(2 * width, width, features)
        self.norm = GroupNorm(width)
        self.last = nn.Conv2d(width, pixels, 3, padding=1)
        start_at_zero(self.last)

    def forward(self, images: Tensor, times: Tensor, classes: Tensor | None = None) -> Tensor:
        """Images at `times` in [0, 1]. Classes are one-hot (N, num_classes), a row of zeros for no class."""
        condition = self.condition(times, classes)  # (N, 128)
        height, width = images.shape[2:]
        padded = F.pad(images, (0, -width % PATCH, 0, -height % PATCH))
        # The shapes in the comments are those of 1×28×28 images and 32 channels.
        first = self.first(F.pixel_unshuffle(padded, PATCH))  # (N, 4, 14, 14) to (N, 32, 14, 14)
        down = self.down(first, condition)
        small = self.shrink(down)  # (N, 64, 7, 7)
        inner = self.inner_down(small, condition)
        x = self.middle(inner, condition)
        x = self.inner_up1(torch.cat([x, inner], dim=1), condition)
        x = self.inner_up2(torch.cat([x, small], dim=1), condition)
        x = self.enlarge(F.interpolate(x, size=down.shape[2:]))  # (N, 32, 14, 14)
        x = self.up1(torch.cat([x, down], dim=1), condition)
        x = self.up2(torch.cat([x, first], dim=1), condition)
        x = self.last(F.silu(self.norm(x)))  # (N, 4, 14, 14)
        return F.pixel_shuffle(x, PATCH)[:, :, :height, :width]


class Block(nn.Module):
    """Two convolutions, each after a norm and SiLU, added to the input. In between, the condition scales and shifts."""

    def __init__(self, channels_in: int, channels_out: int, num_features: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.scale_and_shift = nn.Linear(num_features, 2 * channels_out)
        self.norm2 = GroupNorm(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.skip = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()
        start_at_zero(self.conv2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Maps (N, channels_in, H, W) and the condition (N, num_features) to maps (N, channels_out, H, W)."""
        hidden = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.scale_and_shift(condition)[:, :, None, None].chunk(2, dim=1)
        hidden = self.norm2(hidden) * (1 + scale) + shift
        return self.skip(x) + self.conv2(F.silu(hidden))


class GroupNorm(nn.GroupNorm):
    """Group-norm with groups of 16 channels, also for several networks at once under `vmap`."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels // CHANNELS_PER_GROUP, channels)

    def forward(self, input: Tensor) -> Tensor:
        """Compute `nn.GroupNorm`, which asks for a memory format that `vmap` cannot give."""
        examples, channels, *sides = input.shape
        return torch.native_group_norm(
            input, self.weight, self.bias, examples, channels, math.prod(sides), self.num_groups, self.eps
        )[0]
