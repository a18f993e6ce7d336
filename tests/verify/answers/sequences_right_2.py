"""Everything an nn.Module, called in CamelCase."""

import math
import random
from collections import Counter

import torch
import torch.nn.functional as F
from torch import nn


class Embedding(nn.Module):
    def __init__(self, num_embeddings, embedding_dim, padding_idx):
        super().__init__()
        self.padding_idx = padding_idx
        self.weight = nn.Parameter(torch.randn(num_embeddings, embedding_dim))
        with torch.no_grad():
            self.weight[padding_idx].zero_()
        self.weight.register_hook(self._no_padding)

    def _no_padding(self, gradient):
        gradient = gradient.clone()
        gradient[self.padding_idx] = 0
        return gradient

    def forward(self, indices):
        return self.weight[indices]


class RNNCell(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, h):
        return torch.tanh(self.i2h(torch.cat((x, h), dim=1)))


class GRUCell(nn.Module):
    """As on Wikipedia: z keeps the new state, the reset gate comes before the product."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        joined = input_size + hidden_size
        self.update_gate = nn.Linear(joined, hidden_size)
        self.reset_gate = nn.Linear(joined, hidden_size)
        self.candidate = nn.Linear(joined, hidden_size)

    def forward(self, x, h):
        z = torch.sigmoid(self.update_gate(torch.cat([h, x], 1)))
        r = torch.sigmoid(self.reset_gate(torch.cat([h, x], 1)))
        n = torch.tanh(self.candidate(torch.cat([r * h, x], 1)))
        return (1 - z) * h + z * n


class LSTMCell(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.forget_x, self.forget_h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size, False)
        self.input_x, self.input_h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size, False)
        self.cell_x, self.cell_h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size, False)
        self.output_x, self.output_h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size, False)

    def forward(self, x, state):
        h, c = state
        f = torch.sigmoid(self.forget_x(x) + self.forget_h(h))
        i = torch.sigmoid(self.input_x(x) + self.input_h(h))
        g = torch.tanh(self.cell_x(x) + self.cell_h(h))
        o = torch.sigmoid(self.output_x(x) + self.output_h(h))
        c = f * c + i * g
        h = o * torch.tanh(c)
        return h, (h, c)


class AdditiveAttention(nn.Module):
    def __init__(self, query_size, key_size, hidden_size, dropout=0.1):
        super().__init__()
        self.W_q = nn.Linear(query_size, hidden_size)
        self.W_k = nn.Linear(key_size, hidden_size, bias=False)
        self.w_v = nn.Linear(hidden_size, 1, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, queries, keys, values, valid_lens):
        features = torch.tanh(self.W_q(queries).unsqueeze(1) + self.W_k(keys))
        scores = self.w_v(features).squeeze(-1)
        hidden = torch.arange(scores.shape[1])[None] >= valid_lens[:, None]
        weights = F.softmax(scores.masked_fill(hidden, -1e6), dim=-1)
        return torch.bmm(self.dropout(weights).unsqueeze(1), values)


class ScaledDotProductAttention(nn.Module):
    def forward(self, q, k, v, mask=None):
        scores = torch.matmul(q, k.transpose(-2, -1)) / math.sqrt(q.size(-1))
        if mask is not None:
            scores = scores.masked_fill(mask == 0, -1e9)
        attention = torch.softmax(scores, dim=-1)
        return torch.matmul(attention, v), attention


class CausalMask(nn.Module):
    def forward(self, size):
        return torch.triu(torch.full((1, size, size), float("-inf")), diagonal=1)


class CausalAttention(nn.Module):
    def forward(self, q, k, v):
        length = q.size(1)
        hidden = torch.triu(torch.ones(length, length), diagonal=1).bool()
        weights = (q @ k.mT * q.size(-1) ** -0.5).masked_fill(hidden, float("-inf")).softmax(-1)
        return weights @ v


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, h):
        super().__init__()
        self.d_k, self.h = d_model // h, h
        self.linears = nn.ModuleList([nn.Linear(d_model, d_model) for _ in range(4)])

    def forward(self, query, key, value, mask=None):
        n = query.size(0)
        query, key, value = [
            linear(x).view(n, -1, self.h, self.d_k).transpose(1, 2)
            for linear, x in zip(self.linears, (query, key, value))
        ]
        weights = (query @ key.transpose(-2, -1) / math.sqrt(self.d_k)).softmax(dim=-1)
        x = (weights @ value).transpose(1, 2).contiguous().view(n, -1, self.h * self.d_k)
        return self.linears[-1](x)


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout, max_len=5000):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        pe = torch.zeros(max_len, d_model)
        position = torch.arange(0, max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * -(math.log(10000.0) / d_model))
        pe[:, 0::2] = torch.sin(position * div_term)
        pe[:, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe.unsqueeze(0))

    def forward(self, x):
        return self.dropout(x + self.pe[:, : x.size(1)].requires_grad_(False))


class LastState(nn.Module):
    def forward(self, outputs, lengths):
        return torch.stack([sentence[n - 1] for sentence, n in zip(outputs, lengths.tolist())])


class BidirectionalState(nn.Module):
    def forward(self, outputs, lengths):
        n, t, _ = outputs.shape
        directions = outputs.view(n, t, 2, -1)
        return torch.cat([directions[torch.arange(n), lengths - 1, 0], directions[:, 0, 1]], dim=1)


class LastLayerState(nn.Module):
    def forward(self, h_n):
        layers, n = h_n.shape[0] // 2, h_n.shape[1]
        return h_n.view(layers, 2, n, -1)[-1].transpose(0, 1).reshape(n, -1)


class Encoder(nn.Module):
    """The mean of the words' vectors."""

    def __init__(self, vocabulary_size, pad_index, dim=8):
        super().__init__()
        self.pad_index = pad_index
        self.embedding = nn.Embedding(vocabulary_size, dim)
        self.output = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Dropout(0.5), nn.Linear(dim, 3))

    def forward(self, tokens):
        real = (tokens != self.pad_index).unsqueeze(-1)
        return self.output((self.embedding(tokens) * real).sum(1) / real.sum(1))


class InputsAndTargets(nn.Module):
    def forward(self, tokens):
        length = tokens.size(1) - 1
        return tokens.narrow(1, 0, length), tokens.narrow(1, 1, length)


class SequenceLoss(nn.Module):
    def __init__(self, pad_index):
        super().__init__()
        self.criterion = nn.CrossEntropyLoss(ignore_index=pad_index)

    def forward(self, logits, targets):
        return self.criterion(logits.reshape(-1, logits.size(-1)), targets.reshape(-1))


class Decode(nn.Module):
    """As many rows as targets, the first of zeros."""

    def forward(self, decoder, hidden, trg, teacher_forcing_ratio):
        outputs, token = [], trg[:, 0]
        for t in range(1, trg.shape[1]):
            output, hidden = decoder(token, hidden)
            outputs.append(output)
            token = trg[:, t] if random.random() < teacher_forcing_ratio else output.argmax(1)
        return torch.stack([torch.zeros_like(outputs[0]), *outputs], dim=1)


class GreedyDecode(nn.Module):
    """One sentence at a time."""

    def forward(self, step, state, bos, eos, max_length):
        token, words = torch.tensor([bos]), []
        for _ in range(max_length):
            logits, state = step(token, state)
            word = logits.argmax().item()
            if word == eos:
                break
            words.append(word)
            token = torch.tensor([word])
        return words


class Batchify(nn.Module):
    def forward(self, data, bsz):
        nbatch = data.size(0) // bsz
        return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


def repackage_hidden(h):
    return h.detach() if isinstance(h, torch.Tensor) else tuple(repackage_hidden(v) for v in h)


class TrainTBPTT(nn.Module):
    def forward(self, model, optimizer, source, bptt):
        hidden = None
        for i in range(0, source.size(1) - 1, bptt):
            seq_len = min(bptt, source.size(1) - 1 - i)
            data, target = source[:, i : i + seq_len], source[:, i + 1 : i + 1 + seq_len]
            model.zero_grad()
            if hidden is not None:
                hidden = repackage_hidden(hidden)
            output, hidden = model(data, hidden)
            nn.CrossEntropyLoss()(output.flatten(0, 1), target.flatten()).backward()
            optimizer.step()


class NatsPerToken(nn.Module):
    def forward(self, model, source, bptt):
        model.eval()
        hidden, total_loss, count = None, 0.0, source.size(1) - 1
        with torch.no_grad():
            for i in range(0, count, bptt):
                data, target = source[:, i : min(i + bptt, count)], source[:, i + 1 : i + 1 + bptt]
                output, hidden = model(data, hidden)
                total_loss += data.size(1) * nn.CrossEntropyLoss()(output.flatten(0, 1), target.flatten())
        return total_loss / count


class BLEU(nn.Module):
    """References as lists, in percent."""

    def forward(self, candidates, references):
        matches, totals = torch.zeros(4), torch.zeros(4)
        for candidate, refs in zip(candidates, references):
            for n in range(4):
                counts = Counter(tuple(candidate[i : i + n + 1]) for i in range(len(candidate) - n))
                allowed = Counter()
                for ref in refs:
                    allowed |= Counter(tuple(ref[i : i + n + 1]) for i in range(len(ref) - n))
                matches[n] += sum((counts & allowed).values())
                totals[n] += sum(counts.values())
        c = sum(len(candidate) for candidate in candidates)
        r = sum(min((abs(len(ref) - len(cand)), len(ref)) for ref in refs)[1]
                for cand, refs in zip(candidates, references))  # fmt: skip
        penalty = 1.0 if c > r else math.exp(1 - r / c)
        return 100 * penalty * (matches / totals).log().mean().exp()
