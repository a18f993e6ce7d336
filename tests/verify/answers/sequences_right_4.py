"""The other conventions: other gates' orders, time first, masks that hide, halves of sines and cosines."""

import torch
import torch.nn.functional as F
from sequences_right_1 import bleu as bleu
from sequences_right_1 import rnn_cell as rnn_cell
from torch import nn


class Embedding(nn.Module):
    """The table transposed, the row set to 0 at each call."""

    def __init__(self, num, dim, padding_idx):
        super().__init__()
        self.table = nn.Parameter(torch.randn(dim, num))
        self.table.data[:, padding_idx] = 0
        self.register_buffer("keep", torch.ones(num).index_fill(0, torch.tensor(padding_idx), 0.0))

    def forward(self, indices):
        return (self.table * self.keep)[:, indices].movedim(0, -1)


def gru_cell(x, h, w, u, b, d):
    """Gates in the order z, r, n; the reset gate before the product."""
    (wz, wr, wn), (uz, ur, un), (bz, br, bn), (dz, dr, dn) = (each.chunk(3) for each in (w, u, b, d))
    z = torch.sigmoid(x @ wz.T + bz + h @ uz.T + dz)
    r = torch.sigmoid(x @ wr.T + br + h @ ur.T + dr)
    n = torch.tanh(x @ wn.T + bn + (r * h) @ un.T + dn)
    return n - z * n + z * h


def lstm_cell(x, state, w, u, b, d):
    """Gates in the order f, i, o, g; the state as a pair."""
    h, c = state
    f, i, o, g = (F.linear(x, w, b) + F.linear(h, u, d)).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


class AdditiveAttention(nn.Module):
    """Joined weights, and a mask that hides."""

    def __init__(self, query_size, key_size, size):
        super().__init__()
        self.attn, self.v = nn.Linear(query_size + key_size, size), nn.Parameter(torch.randn(size))

    def forward(self, query, keys, values, key_padding_mask):
        query = query.unsqueeze(1).repeat(1, keys.shape[1], 1)
        scores = torch.tanh(self.attn(torch.cat((query, keys), dim=2))) @ self.v
        weights = F.softmax(scores.masked_fill(key_padding_mask, -1e10), dim=1)
        return (weights.unsqueeze(-1) * values).sum(1), weights


def scaled_dot_product_attention(query, key, value, padding_mask):
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    scores = scores.masked_fill(padding_mask.view(len(query), 1, -1), float("-inf"))
    return scores.softmax(-1) @ value


def causal_mask(length):
    return torch.triu(torch.ones(length, length), diagonal=1).bool()


def causal_attention(query, key, value):
    attention = nn.MultiheadAttention(query.shape[-1], 1, bias=False, batch_first=True).to(query)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.eye(query.shape[-1]).repeat(3, 1))
        attention.out_proj.weight.copy_(torch.eye(query.shape[-1]))
    return attention(query, key, value, attn_mask=causal_mask(query.shape[1]))


class MultiHeadAttention(nn.MultiheadAttention):
    """PyTorch's, which takes `batch_first`."""


class PositionalEncoding(nn.Module):
    """Halves, time first by name, as in PyTorch's tutorial otherwise."""

    def __init__(self, d_model):
        super().__init__()
        rates = 10000 ** (-torch.arange(0, d_model, 2) / d_model)
        angles = torch.arange(100)[:, None] * rates
        self.register_buffer("pe", torch.cat([angles.sin(), angles.cos()], 1)[:, None])

    def forward(self, x_time_first):
        return x_time_first + self.pe[: x_time_first.size(0)]


def last_state(outputs, lengths):
    return outputs[lengths - 1, torch.arange(outputs.shape[1])]


def bidirectional_state(outputs, lengths):
    """Time first, backward half first."""
    forward, backward = outputs.chunk(2, dim=-1)
    return torch.cat([backward[0], last_state(forward, lengths)], 1)


def last_layer_state(h_n):
    return torch.hstack([h_n[-1], h_n[-2]])


class Encoder(nn.Module):
    """A causal convolution and the largest value over the real words."""

    def __init__(self, vocab_size, pad_idx, emb_dim, dropout):
        super().__init__()
        self.pad_idx = pad_idx
        self.embedding = nn.Embedding(vocab_size, emb_dim, pad_idx)
        self.conv, self.dropout = nn.Conv1d(emb_dim, 7, 3), nn.Dropout(dropout)

    def forward(self, text):
        embedded = self.dropout(self.embedding(text)).transpose(1, 2)
        features = self.conv(F.pad(embedded, (2, 0))).masked_fill((text == self.pad_idx).unsqueeze(1), float("-inf"))
        return features.amax(2)


def inputs_and_targets(stream):
    return stream[:-1], stream[1:]


def sequence_loss(output, trg, pad_index):
    """Flattened."""
    output, real = output.log_softmax(1), trg.ne(pad_index)
    return -(output[torch.arange(len(trg)), trg] * real).sum() / real.sum()


def decode(step, state, targets, teacher_forcing):
    """Time first."""
    token, outputs = targets.t()[0], torch.zeros(targets.shape[1] - 1, targets.shape[0], 6)
    for t in range(len(outputs)):
        outputs[t], state = step(token, state)
        token = targets[:, t + 1] if teacher_forcing else outputs[t].max(1)[1]
    return outputs


def greedy_decode(step, state, bos, eos, max_length):
    """A list of words for each sentence, cut at its end."""
    tokens = torch.full((len(state), 1), bos)
    for _ in range(max_length):
        logits, state = step(tokens[:, -1], state)
        tokens = torch.cat([tokens, logits.softmax(-1).argmax(-1, keepdim=True)], 1)
    rows = tokens[:, 1:].tolist()
    return [row[: row.index(eos)] if eos in row else row for row in rows]


def batchify(tokens, batch_size):
    return torch.stack(tokens.split(len(tokens) // batch_size)[:batch_size])


def train_tbptt(model, optimizer, tokens, chunk):
    """For an LSTM: the state is a pair."""
    hidden, inputs, targets = None, tokens[:, :-1], tokens[:, 1:]
    for x, y in zip(inputs.split(chunk, dim=1), targets.split(chunk, dim=1)):
        optimizer.zero_grad()
        if hidden is not None:
            h, c = hidden
            hidden = h.detach(), c.detach()
        logits, hidden = model(x, hidden)
        loss = F.cross_entropy(logits.transpose(1, 2), y)
        loss.backward()
        optimizer.step()


def nats_per_token(model, tokens, chunk):
    """For an LSTM, one token at a time."""
    model.eval()
    h, c = torch.zeros(len(tokens), 4), torch.zeros(len(tokens), 4)
    with torch.inference_mode():
        losses = []
        for x, y in zip(tokens[:, :-1].split(1, 1), tokens[:, 1:].unbind(1)):
            logits, (h, c) = model(x, (h, c))
            losses.append(F.cross_entropy(logits[:, 0], y))
    return sum(losses) / len(losses)
