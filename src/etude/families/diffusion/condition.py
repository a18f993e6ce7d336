"""What a network gets in addition to its input: the time, and the class if it is conditional."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUM_FREQUENCIES, LOWEST, HIGHEST = 32, 1.0, 1000.0


class Condition(nn.Module):
    """Times (N,) in [0, 1] and classes to features (N, num_features).

    The time enters as sines and cosines of 32 frequencies from 1 to 1,000 (Vaswani et al. 2017, 3.5; Ho et al. 2020).
    The class enters as a learned vector.
    """

    def __init__(self, num_features: int, num_classes: int | None) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.linear1 = nn.Linear(2 * NUM_FREQUENCIES, num_features)
        self.linear2 = nn.Linear(num_features, num_features)
        self.classes = nn.Linear(num_classes, num_features, bias=False) if num_classes else None
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=0.5)

    def forward(self, times: Tensor, classes: Tensor | None) -> Tensor:
        """Classes are one-hot (N, num_classes), a row of zeros for no class; None for a network without classes."""
        exponents = torch.linspace(math.log(LOWEST), math.log(HIGHEST), NUM_FREQUENCIES, device=times.device)
        angles = times[:, None] * exponents.exp()  # (N, 32)
        features = self.linear2(F.silu(self.linear1(torch.cat([angles.sin(), angles.cos()], dim=1))))
        if self.classes is not None:
            assert classes is not None
            features = features + self.classes(classes)
        return F.silu(features)


def start_at_zero(layer: nn.Linear | nn.Conv2d) -> None:
    """Initialise a layer so that it gives zeros. Its block then starts as its skip connection."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
