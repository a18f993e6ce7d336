"""MLP-Mixer (Tolstikhin et al. 2021), made by a function out of Sequential, with a neighbour for its blocks."""

from torch import nn
from mixer_blocks import FeedForward, PreNormResidual, ToPatches


def MLPMixer(image_shape, num_classes, dim=32, patch_size=7, depth=2, expansion_factor=2, dropout=0.0):
    channels, h, w = image_shape
    assert (h % patch_size) == 0 and (w % patch_size) == 0
    num_patches = (h // patch_size) * (w // patch_size)
    return nn.Sequential(
        ToPatches(patch_size),
        nn.Linear((patch_size**2) * channels, dim),
        *[
            nn.Sequential(
                PreNormResidual(dim, FeedForward(num_patches, expansion_factor, dropout, nn.LazyConv1d)),
                PreNormResidual(dim, FeedForward(dim, expansion_factor, dropout, None)),
            )
            for _ in range(depth)
        ],
        nn.LayerNorm(dim),
        Mean(),
        nn.Linear(dim, num_classes),
    )


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(dim=1)
