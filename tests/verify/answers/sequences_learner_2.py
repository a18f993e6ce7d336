"""A first attempt at attention: hidden scores of −10⁹ on the wrong side, heads cut by view, a mask off by one."""

import math

import torch
from torch import nn


class AdditiveAttention(nn.Module):
    def __init__(self, query_size, key_size, size):
        super().__init__()
        self.query, self.key, self.v = nn.Linear(query_size, size), nn.Linear(key_size, size), nn.Linear(size, 1)

    def forward(self, query, keys, values, mask):
        scores = self.v(torch.tanh(self.query(query)[:, None] + self.key(keys)))[:, :, 0]
        scores.masked_fill(mask == 0, -1e9)
        return (scores.softmax(1)[:, :, None] * values).sum(1)


def scaled_dot_product_attention(query, key, value, mask):
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    return scores.masked_fill(mask, -1e9).softmax(-1) @ value


def causal_mask(length):
    return torch.triu(torch.ones(length, length))


def causal_attention(query, key, value):
    scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])
    seen = torch.tril(torch.ones(query.shape[1], query.shape[1]), diagonal=-1)
    return scores.masked_fill(seen == 0, -1e9).softmax(-1) @ value


class MultiHeadAttention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.d, self.heads = d, heads
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, query, key, value):
        batch, length, _ = query.shape
        q, _, _ = self.qkv(query).chunk(3, -1)
        _, k, _ = self.qkv(key).chunk(3, -1)
        _, _, v = self.qkv(value).chunk(3, -1)
        q, k, v = (each.reshape(batch, self.heads, length, self.d // self.heads) for each in (q, k, v))
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(self.d), dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, length, self.d))


class PositionalEncoding(nn.Module):
    """PyTorch's tutorial, for sequences whose batch comes first."""

    def __init__(self, d_model, dropout=0.1, max_len=5000):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, 1, d_model)
        pe[:, 0, 0::2] = torch.sin(position * div_term)
        pe[:, 0, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return self.dropout(x + self.pe[: x.size(0)])
