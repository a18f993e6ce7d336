"""Attention: for each query a weighted mean of values, whose weights say how well each key fits the query.

Shapes: queries (N, T, ...), keys and values (N, S, ...); a mask is true where a key may be looked at.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.errors import UsageError
from etude.models.sizes import check_count

KeysAndValues = tuple[Tensor, Tensor]


def weights_of(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax over the keys of scores (..., T, S), exactly 0 where the mask, of a shape that fits, is false.

    A query that may look at no key has only zeros.
    """
    if mask is None:
        return scores.softmax(-1)
    # Not -inf, which makes a row without any key not a number.
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
    return weights.masked_fill(~mask, 0)


def causal_mask(num_queries: int, num_keys: int, *, device: torch.device | str | None = None) -> Tensor:
    """True (T, S) where a key does not come after its query; the last query and the last key are the same element."""
    return torch.ones(num_queries, num_keys, dtype=torch.bool, device=device).tril(num_keys - num_queries)


def scaled_dot_product(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """softmax(Q Kᵀ / √d + bias) V: contexts (..., T, V) and weights (..., T, S) (Vaswani et al. 2017, equation 1).

    Queries (..., T, d), keys (..., S, d), values (..., S, V), mask and bias (..., T, S) or of a shape that fits.
    """
    scores = (queries / queries.shape[-1] ** 0.5) @ keys.mT
    weights = weights_of(scores if bias is None else scores + bias.to(scores.dtype), mask)
    return weights @ values, weights


class DotAttention(nn.Module):
    """Scores q · k, for queries and keys of one size (Luong et al. 2015, "dot"); the other attentions derive from it.

    What the keys need for their scores is computed once by `project`, however often they are then looked at.
    """

    def project(self, keys: Tensor) -> Tensor:
        """What `scores` takes of keys (N, S, key_dim)."""
        return keys

    def scores(self, queries: Tensor, projected: Tensor) -> Tensor:
        """Scores (N, T, S) of queries (N, T, query_dim) and projected keys."""
        return queries @ projected.mT

    def forward(
        self, queries: Tensor, projected: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Contexts (N, T, V) and weights (N, T, S), from projected keys, values (N, S, V) and a mask (N, S)."""
        weights = weights_of(self.scores(queries, projected), None if mask is None else mask[:, None])
        return weights @ values, weights


class BilinearAttention(DotAttention):
    """Scores qᵀ W k (Luong et al. 2015, "general")."""

    def __init__(self, query_dim: int, key_dim: int) -> None:
        super().__init__()
        self.weight = nn.Linear(check_count("key_dim", key_dim), check_count("query_dim", query_dim), bias=False)

    def project(self, keys: Tensor) -> Tensor:
        """W k (N, S, query_dim)."""
        return self.weight(keys)


class AdditiveAttention(DotAttention):
    """Scores vᵀ tanh(W q + U k) (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, query_dim: int, key_dim: int, attention_dim: int) -> None:
        super().__init__()
        self.of_query = nn.Linear(query_dim, check_count("attention_dim", attention_dim), bias=False)
        self.of_key = nn.Linear(key_dim, attention_dim, bias=False)
        self.to_score = nn.Linear(attention_dim, 1, bias=False)

    def project(self, keys: Tensor) -> Tensor:
        """U k (N, S, attention_dim)."""
        return self.of_key(keys)

    def scores(self, queries: Tensor, projected: Tensor) -> Tensor:
        """See `DotAttention`."""
        hidden = torch.tanh(self.of_query(queries)[:, :, None] + projected[:, None])  # (N, T, S, attention_dim)
        return self.to_score(hidden)[..., 0]


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention in `num_heads` parts of the vectors (Vaswani et al. 2017, 3.2.2).

    Equal to `nn.MultiheadAttention`, whose `in_proj_weight` is the weights of `query`, `key` and `value` in this order.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        if check_count("dim", dim) % check_count("num_heads", num_heads):
            raise UsageError(f"{num_heads} heads do not divide {dim} numbers evenly: give a width that they divide.")
        self.num_heads = num_heads
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight)
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.zeros_(layer.bias)

    def forward(
        self, queries: Tensor, memory: Tensor | None = None, mask: Tensor | None = None, *, causal: bool = False
    ) -> Tensor:
        """Queries (N, T, dim) that look at a memory (N, S, dim), or at themselves, to contexts (N, T, dim).

        The mask (N, S) is true at the elements that may be seen. With `causal`, each sees none after itself.
        """
        return self.attend(queries, self.keys_and_values(queries if memory is None else memory), mask, causal=causal)

    def keys_and_values(self, memory: Tensor) -> KeysAndValues:
        """Keys and values (N, heads, S, dim / heads) of a memory (N, S, dim)."""
        return self._split(self.key(memory)), self._split(self.value(memory))

    def attend(
        self,
        queries: Tensor,
        keys_and_values: KeysAndValues,
        mask: Tensor | None = None,
        *,
        causal: bool = False,
        bias: Tensor | None = None,
    ) -> Tensor:
        """As `forward`, with keys and values at hand: those of earlier steps of a decoder, say.

        A `bias` (heads, T, S) is added to the scores, and takes the place of a mask: −∞ where a key is not seen.
        """
        keys, values = keys_and_values
        allowed = self._allowed(queries, keys, mask, causal=causal)
        split = self._split(self.query(queries))
        if split.device.type == "cpu" and split.dtype == torch.bfloat16:
            # PyTorch's kernel takes two to five times as long, forwards and backwards.
            heads, _ = scaled_dot_product(split, keys, values, allowed, bias)
        else:
            heads = F.scaled_dot_product_attention(split, keys, values, allowed if bias is None else bias)
        return self.out(heads.transpose(1, 2).flatten(2))  # (N, T, dim)

    def weights(
        self, queries: Tensor, memory: Tensor | None = None, mask: Tensor | None = None, *, causal: bool = False
    ) -> Tensor:
        """The weights (N, heads, T, S) with which `forward` takes the mean of the values."""
        keys, values = self.keys_and_values(queries if memory is None else memory)
        allowed = self._allowed(queries, keys, mask, causal=causal)
        return scaled_dot_product(self._split(self.query(queries)), keys, values, allowed)[1]

    def _split(self, vectors: Tensor) -> Tensor:
        """(N, T, dim) to (N, heads, T, dim / heads)."""
        return vectors.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    @staticmethod
    def _allowed(queries: Tensor, keys: Tensor, mask: Tensor | None, *, causal: bool) -> Tensor | None:
        """Both masks as one that fits (N, heads, T, S); None where every key may be seen."""
        seen = None if mask is None else mask[:, None, None]  # (N, 1, 1, S)
        if not causal:
            return seen
        earlier = causal_mask(queries.shape[1], keys.shape[2], device=queries.device)  # (T, S)
        return earlier if seen is None else seen & earlier
