"""Layers between maps and rows of numbers, each with its `flatten` or `unflatten` inside.

They compute what `nn.Linear` and `nn.BatchNorm1d` compute, and have their parameters. As one layer instead of two they
can be computed without a copy of the maps, whatever order these lie in (`speed/kernels`).
"""

import math

from torch import Tensor, nn


class LinearFromMaps(nn.Linear):
    """`nn.Linear` of all numbers of maps (N, *shape), in the order in which `flatten(1)` gives them."""

    def __init__(self, shape: tuple[int, int, int], out_features: int) -> None:
        super().__init__(math.prod(shape), out_features)
        self.shape = shape

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, *shape) to numbers (N, out_features)."""
        return super().forward(input.flatten(1))


class LinearToMaps(nn.Linear):
    """`nn.Linear` whose numbers are those of maps (N, *shape), in the order of `unflatten(1, shape)`."""

    def __init__(self, in_features: int, shape: tuple[int, int, int]) -> None:
        super().__init__(in_features, math.prod(shape))
        self.shape = shape

    def forward(self, input: Tensor) -> Tensor:
        """Numbers (N, in_features) to maps (N, *shape)."""
        return super().forward(input).unflatten(1, self.shape)


class BatchNormOfPixels(nn.BatchNorm1d):
    """`nn.BatchNorm1d` of all numbers of maps (N, *shape), in the order in which `flatten(1)` gives them."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__(math.prod(shape))
        self.shape = shape

    def forward(self, input: Tensor) -> Tensor:
        """Maps (N, *shape) to maps of mean 0 and variance 1 along N, scaled and moved."""
        return super().forward(input.flatten(1)).unflatten(1, self.shape)
