"""Generated inputs: small tensors of plain decimals, so that a shrunk counter-example can be checked by hand."""

from collections.abc import Mapping, Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor


def tensor(shape: Sequence[int], low: float = -5.0, high: float = 5.0) -> st.SearchStrategy[Tensor]:
    """Tensors of `shape` in float64, with elements in [low, high] at one decimal; shrinks towards 0."""
    count = int(torch.Size(shape).numel())
    element = st.integers(round(10 * low), round(10 * high))
    return st.lists(element, min_size=count, max_size=count).map(
        lambda tenths: (torch.tensor(tenths, dtype=torch.float64) / 10).reshape(*shape)
    )


@st.composite
def batches(draw: st.DrawFn, ranges: Mapping[str, tuple[float, float]], max_batch: int = 4, width: int = 1) -> dict:
    """Cases whose named tensors share one shape (batch, width); `ranges` gives each its lowest and highest value."""
    batch = draw(st.integers(1, max_batch))
    return {name: draw(tensor((batch, width), *between)) for name, between in ranges.items()}


def column(*values: float) -> Tensor:
    """A (batch, 1) tensor in float64, for extreme cases."""
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1)


def generator(seed: int) -> torch.Generator:
    """A separate source of random numbers."""
    return torch.Generator().manual_seed(seed)


def normal(shape: Sequence[int], seed: int, scale: float = 1.0) -> Tensor:
    """Normal numbers in float64, determined by `seed`: inputs too large to be shrunk."""
    return scale * torch.randn(*shape, generator=generator(seed), dtype=torch.float64)
