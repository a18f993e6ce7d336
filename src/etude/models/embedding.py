"""A table of vectors, one per symbol, looked up by number: what a sequence network's first layer is.

Multiplying a one-hot row by the table gives the same vector: an embedding is a linear layer that skips the zeros.
"""

import torch
from torch import Tensor, nn

from etude.models.sizes import check_count


class Embedding(nn.Module):
    """Symbols, int64 of any shape (...), to their vectors (..., embedding_dim); equal to `nn.Embedding`.

    The vectors start standard normal. That of `padding_idx` starts at 0 and never gets a gradient, so it stays there.
    A symbol outside the table is an `IndexError`.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None) -> None:
        super().__init__()
        num_rows, dim = check_count("num_embeddings", num_embeddings), check_count("embedding_dim", embedding_dim)
        self.padding_idx = padding_idx
        self.weight = nn.Parameter(torch.randn(num_rows, dim))
        if padding_idx is not None:
            with torch.no_grad():
                self.weight[padding_idx] = 0

    def forward(self, symbols: Tensor) -> Tensor:
        """Symbols (...) to vectors (..., embedding_dim)."""
        # Not self.weight[symbols], which takes -1 for the last row.
        vectors = self.weight.index_select(0, symbols.flatten())  # (M, embedding_dim)
        if self.padding_idx is not None:
            padding = (symbols.flatten() == self.padding_idx)[:, None]  # (M, 1)
            vectors = torch.where(padding, vectors.detach(), vectors)
        return vectors.unflatten(0, symbols.shape) if symbols.dim() else vectors[0]
