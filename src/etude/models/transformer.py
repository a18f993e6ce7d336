"""The layers of a transformer, with the norm before each part, and the positions that its vectors are told.

Sources: Vaswani et al., "Attention is all you need", 2017; Xiong et al., "On layer normalization in the transformer
architecture", 2020, for the place of the norms.
"""

import torch
from torch import Tensor, nn

from etude.errors import UsageError
from etude.models.attention import KeysAndValues, MultiHeadAttention
from etude.models.sizes import check_count


class FeedForward(nn.Sequential):
    """Vectors (..., dim) to vectors (..., dim), each by itself: linear, ReLU, linear (Vaswani et al. 2017, 3.3)."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__(nn.Linear(dim, check_count("hidden_dim", hidden_dim)), nn.ReLU(), nn.Linear(hidden_dim, dim))


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward network, each added to its input.

    Equal to `nn.TransformerEncoderLayer(norm_first=True)`, except that it drops only what it adds. With `causal` it is
    the layer of a language model.
    """

    def __init__(self, dim: int, num_heads: int, hidden_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(dim), MultiHeadAttention(dim, num_heads)
        self.feed_forward_norm, self.feed_forward = nn.LayerNorm(dim), FeedForward(dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
        """Vectors (N, T, dim), seen where the mask (N, T) is true, to vectors (N, T, dim)."""
        vectors = vectors + self.dropout(self.attention(self.attention_norm(vectors), mask=mask, causal=causal))
        return vectors + self.dropout(self.feed_forward(self.feed_forward_norm(vectors)))


class DecoderLayer(nn.Module):
    """Self-attention to what came before, attention to a memory, then a feed-forward network, each added to its input.

    Equal to `nn.TransformerDecoderLayer(norm_first=True)`, except that it drops only what it adds.
    """

    def __init__(self, dim: int, num_heads: int, hidden_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(dim), MultiHeadAttention(dim, num_heads)
        self.memory_norm, self.memory_attention = nn.LayerNorm(dim), MultiHeadAttention(dim, num_heads)
        self.feed_forward_norm, self.feed_forward = nn.LayerNorm(dim), FeedForward(dim, hidden_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors: Tensor, memory: Tensor, memory_mask: Tensor | None = None) -> Tensor:
        """Vectors (N, T, dim) of a target and a memory (N, S, dim), seen where its mask (N, S) is true; (N, T, dim).

        Position t sees the target up to t. So pads, which follow a target, need no mask.
        """
        vectors = vectors + self.dropout(self.attention(self.attention_norm(vectors), causal=True))
        return self._after_attention(vectors, self.memory_attention.keys_and_values(memory), memory_mask)

    def look(self, vectors: Tensor, memory: Tensor, memory_mask: Tensor | None = None) -> Tensor:
        """The weights (N, heads, T, S) with which `forward` looks at the memory."""
        vectors = vectors + self.attention(self.attention_norm(vectors), causal=True)
        return self.memory_attention.weights(self.memory_norm(vectors), memory, memory_mask)

    def step(
        self, vectors: Tensor, earlier: KeysAndValues, memory: KeysAndValues, memory_mask: Tensor | None = None
    ) -> tuple[Tensor, KeysAndValues]:
        """The next position alone: vectors (N, 1, dim) to (N, 1, dim), as `forward` gives them there.

        `earlier` are the keys and values (N, heads, t, dim / heads) of `attention` at the positions before it, and come
        back with its own; `memory` are those of `memory_attention` (see `MultiHeadAttention.keys_and_values`).
        """
        normed = self.attention_norm(vectors)
        new = self.attention.keys_and_values(normed)
        keys, values = (torch.cat(pair, dim=2) for pair in zip(earlier, new, strict=True))
        vectors = vectors + self.dropout(self.attention.attend(normed, (keys, values)))
        return self._after_attention(vectors, memory, memory_mask), (keys, values)

    def _after_attention(self, vectors: Tensor, memory: KeysAndValues, memory_mask: Tensor | None) -> Tensor:
        seen = self.memory_attention.attend(self.memory_norm(vectors), memory, memory_mask)
        vectors = vectors + self.dropout(seen)
        return vectors + self.dropout(self.feed_forward(self.feed_forward_norm(vectors)))


def sinusoidal_positions(num_positions: int, dim: int) -> Tensor:
    """Vectors (num_positions, dim), float64: sin(t / 10,000^(2i / dim)) at 2i, its cosine at 2i + 1.

    Vaswani et al. 2017, section 3.5. `dim` is even.
    """
    if check_count("dim", dim) % 2:
        raise UsageError(f"dim {dim} is not allowed: sines and cosines come in pairs; give an even number.")
    times = torch.arange(num_positions, dtype=torch.float64)[:, None]  # (T, 1)
    angles = times * 10_000.0 ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)  # (T, dim / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


class SinusoidalPositions(nn.Module):
    """Adds `sinusoidal_positions` to vectors (N, T, dim) of any length; it has no parameters."""

    def forward(self, vectors: Tensor, first: int = 0) -> Tensor:
        """Vectors (N, T, dim), the first of which is at position `first`."""
        positions = sinusoidal_positions(first + vectors.shape[1], vectors.shape[2])
        return vectors + positions[first:].to(vectors)


class LearnedPositions(nn.Module):
    """Adds a learned vector per position to vectors (N, T, dim); more than `num_positions` are a `UsageError`."""

    def __init__(self, num_positions: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(0.02 * torch.randn(check_count("num_positions", num_positions), dim))

    def forward(self, vectors: Tensor, first: int = 0) -> Tensor:
        """Vectors (N, T, dim), the first of which is at position `first`."""
        end = first + vectors.shape[1]
        if end > len(self.table):
            raise UsageError(f"{end} positions are not allowed: this network has learned {len(self.table)}.")
        return vectors + self.table[first:end]
