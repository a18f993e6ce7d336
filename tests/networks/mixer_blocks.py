"""What `mixer` imports from beside it."""

from torch import nn


class ToPatches(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.unfold = nn.Unfold(size, stride=size)

    def forward(self, x):
        return self.unfold(x).transpose(1, 2)


class PreNormResidual(nn.Module):
    def __init__(self, dim, fn):
        super().__init__()
        self.fn = fn
        self.norm = nn.LayerNorm(dim)

    def forward(self, x):
        return self.fn(self.norm(x)) + x


def FeedForward(dim, expansion_factor, dropout, lazy):
    """Over the patches by convolutions of size 1, the first of them lazy; over the channels by linear layers."""
    inner = int(dim * expansion_factor)
    if lazy is not None:
        return nn.Sequential(
            lazy(inner, kernel_size=1), nn.GELU(), nn.Dropout(dropout), nn.Conv1d(inner, dim, 1), nn.Dropout(dropout)
        )
    return nn.Sequential(nn.Linear(dim, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, dim))
