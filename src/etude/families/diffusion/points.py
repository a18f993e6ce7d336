"""A small network for rows of numbers, such as points in the plane. It gets time and class as the U-Net does."""

import torch.nn.functional as F
from torch import Tensor, nn

from etude.families.diffusion.condition import Condition, start_at_zero

NUM_BLOCKS = 3


class PointNetwork(nn.Module):
    """Rows (N, F), times (N,) and classes to a prediction of the rows' shape.

    Three residual blocks of 4 · `width` units (He et al. 2016), each with the time and the class.
    """

    def __init__(self, num_features: int, width: int, num_classes: int | None = None) -> None:
        super().__init__()
        units = 4 * width
        self.condition = Condition(units, num_classes)
        self.first = nn.Linear(num_features, units)
        self.blocks = nn.ModuleList([PointBlock(units) for _ in range(NUM_BLOCKS)])
        self.norm = nn.LayerNorm(units)
        self.last = nn.Linear(units, num_features)
        start_at_zero(self.last)

    def forward(self, rows: Tensor, times: Tensor, classes: Tensor | None = None) -> Tensor:
        """Rows at `times` in [0, 1]. Classes are one-hot (N, num_classes), a row of zeros for no class."""
        condition = self.condition(times, classes)  # (N, units)
        x = self.first(rows)
        for block in self.blocks:
            x = block(x, condition)
        return self.last(F.silu(self.norm(x)))


class PointBlock(nn.Module):
    """Two linear layers, added to the input. In between, the condition scales and shifts."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(units), nn.LayerNorm(units)
        self.linear1, self.linear2 = nn.Linear(units, units), nn.Linear(units, units)
        self.scale_and_shift = nn.Linear(units, 2 * units)
        start_at_zero(self.linear2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Units and condition (N, units) to (N, units)."""
        scale, shift = self.scale_and_shift(condition).chunk(2, dim=1)
        hidden = self.norm2(self.linear1(F.silu(self.norm1(x)))) * (1 + scale) + shift
        return x + self.linear2(F.silu(hidden))
