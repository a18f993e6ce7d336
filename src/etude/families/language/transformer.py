"""A transformer that reads a text chunk by chunk: it remembers keys and values of the symbols before a chunk.

Each symbol sees itself and a fixed number of symbols before it, whichever chunk they are in (Dai et al. 2019,
"Transformer-XL"). All that it knows of positions is how far away another symbol is: the score falls with
the distance, at a slope of its own for each head (Press et al. 2022, "Train short, test long").
"""

import torch
from torch import Tensor, nn

from etude.models import Embedding
from etude.models.attention import KeysAndValues, MultiHeadAttention
from etude.models.transformer import FeedForward

Memory = list[KeysAndValues]


class RememberingLayer(nn.Module):
    """Self-attention that also sees what came before, then a feed-forward network, each added to its input."""

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(dim), MultiHeadAttention(dim, num_heads)
        self.feed_forward_norm, self.feed_forward = nn.LayerNorm(dim), FeedForward(dim, 4 * dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors: Tensor, before: KeysAndValues, bias: Tensor) -> tuple[Tensor, KeysAndValues]:
        """Vectors (N, T, dim) to such, with the keys and values (N, heads, C, dim / heads) before them.

        `bias` (heads, T, C + T) is added to the scores. Comes with the last C keys and values.
        """
        normed = self.attention_norm(vectors)
        new = self.attention.keys_and_values(normed)
        keys, values = (torch.cat(pair, dim=2) for pair in zip(before, new, strict=True))
        vectors = vectors + self.dropout(self.attention.attend(normed, (keys, values), bias=bias))
        vectors = vectors + self.dropout(self.feed_forward(self.feed_forward_norm(vectors)))
        context, end = before[0].shape[2], keys.shape[2]
        return vectors, (keys[:, :, end - context :], values[:, :, end - context :])


class TransformerModel(nn.Module):
    """An embedding, layers of causal self-attention, a linear layer to scores."""

    def __init__(
        self, vocabulary_size: int, width: int, num_layers: int, num_heads: int, context: int, dropout: float
    ) -> None:
        super().__init__()
        self.num_heads, self.context = num_heads, context
        self.embedding = Embedding(vocabulary_size, width)
        self.layers = nn.ModuleList([RememberingLayer(width, num_heads, dropout) for _ in range(num_layers)])
        self.dropout, self.norm = nn.Dropout(dropout), nn.LayerNorm(width)
        self.to_scores = nn.Linear(width, vocabulary_size)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(
        self, symbols: Tensor, state: tuple[Tensor, Memory] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Memory]]:
        """Symbols (N, T) and the state before them, zeros when not given, to scores (N, T, V) and the state after.

        The state is how many symbols are remembered, float (), at most `context`, and each layer's memory.
        """
        vectors = self.dropout(self.embedding(symbols))
        remembered, memory = self.start(vectors) if state is None else state
        bias = self.bias(symbols.shape[1], remembered).to(vectors.dtype)
        after = []
        for layer, before in zip(self.layers, memory, strict=True):
            vectors, each = layer(vectors, before, bias)
            after.append(each)
        remembered = (remembered + symbols.shape[1]).clamp(max=self.context)
        return self.to_scores(self.norm(vectors)), (remembered, after)

    def start(self, vectors: Tensor) -> tuple[Tensor, Memory]:
        """The state before the first of vectors (N, T, width): nothing is remembered."""
        size, head = len(vectors), vectors.shape[2] // self.num_heads
        nothing = vectors.new_zeros(size, self.num_heads, self.context, head)
        return vectors.new_zeros(()), [(nothing, nothing) for _ in self.layers]

    def bias(self, num_symbols: int, remembered: Tensor) -> Tensor:
        """What is added to scores (heads, T, context + T): −slope · distance, and −∞ for what is not seen."""
        device, context = remembered.device, self.context
        keys = torch.arange(-context, num_symbols, device=device)
        distances = torch.arange(num_symbols, device=device)[:, None] - keys  # (T, context + T)
        seen = (distances >= 0) & (distances <= context) & (keys >= -remembered)
        slopes = 2.0 ** (-8 * torch.arange(1, self.num_heads + 1, device=device) / self.num_heads)
        return (-slopes[:, None, None] * distances).masked_fill(~seen, -torch.inf)
