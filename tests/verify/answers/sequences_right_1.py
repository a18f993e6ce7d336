"""Functions, as short as PyTorch allows."""

import math
from collections import Counter

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence


def embedding(indices, weight, padding_idx):
    return F.embedding(indices, weight, padding_idx=padding_idx)


def rnn_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    return torch.tanh(F.linear(x, w_ih, b_ih) + F.linear(h, w_hh, b_hh))


def _cell(cell, x, weights):
    cell = cell(x.shape[1], weights[1].shape[1]).to(x.dtype)
    with torch.no_grad():
        for parameter, weight in zip(cell.parameters(), weights):
            parameter.copy_(weight)
    return cell


def gru_cell(x, h, *weights):
    return _cell(nn.GRUCell, x, weights)(x, h)


def lstm_cell(x, h, c, *weights):
    return _cell(nn.LSTMCell, x, weights)(x, (h, c))


def additive_attention(query, keys, values, mask, w_query, w_key, v):
    scores = torch.tanh((query @ w_query.T).unsqueeze(1) + keys @ w_key.T) @ v
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=1)
    return torch.bmm(weights.unsqueeze(1), values).squeeze(1), weights


def scaled_dot_product_attention(query, key, value, mask):
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def causal_mask(length):
    return torch.tril(torch.ones(length, length, dtype=torch.bool))


def causal_attention(query, key, value):
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


def multi_head_attention(query, key, value, num_heads):
    batch, length, d = query.shape
    q, k, v = (x.view(batch, length, num_heads, d // num_heads).transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, d)


def positional_encoding(length, dim):
    position = torch.arange(length).unsqueeze(1)
    frequency = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    table = torch.zeros(length, dim)
    table[:, 0::2] = torch.sin(position * frequency)
    table[:, 1::2] = torch.cos(position * frequency)
    return table


def last_state(outputs, lengths):
    index = (lengths - 1).view(-1, 1, 1).expand(-1, 1, outputs.size(2))
    return outputs.gather(1, index).squeeze(1)


def bidirectional_state(outputs, lengths):
    hidden = outputs.size(-1) // 2
    return torch.cat([last_state(outputs[..., :hidden], lengths), outputs[:, 0, hidden:]], dim=-1)


def last_layer_state(h_n):
    return torch.cat((h_n[-2], h_n[-1]), dim=1)


class Encode(nn.Module):
    def __init__(self, vocabulary_size, pad_index):
        super().__init__()
        self.embed = nn.Embedding(vocabulary_size, 6, padding_idx=pad_index)
        self.rnn = nn.LSTM(6, 5, num_layers=2, bidirectional=True, dropout=0.3)

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.embed(tokens.t()), lengths, enforce_sorted=False)
        return last_layer_state(self.rnn(packed)[1][0])


def encoder(vocabulary_size, pad_index):
    return Encode(vocabulary_size, pad_index)


def inputs_and_targets(tokens):
    return tokens[:, :-1], tokens[:, 1:]


def sequence_loss(logits, targets, pad_index):
    return F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=pad_index)


def decode(step, state, targets, teacher_forcing):
    token, outputs = targets[:, 0], []
    for t in range(1, targets.size(1)):
        logits, state = step(token, state)
        outputs.append(logits)
        token = targets[:, t] if torch.rand(()) < teacher_forcing else logits.argmax(dim=-1)
    return torch.stack(outputs, dim=1)


def greedy_decode(step, state, bos, eos, max_length):
    token = torch.full((state.size(0),), bos)
    done, result = torch.zeros(state.size(0), dtype=torch.bool), []
    while len(result) < max_length and not done.all():
        logits, state = step(token, state)
        token = logits.argmax(dim=-1)
        result.append(token)
        done |= token == eos
    return torch.stack(result, dim=1)


def batchify(tokens, batch_size):
    length = tokens.size(0) // batch_size
    return tokens[: length * batch_size].view(batch_size, length)


def train_tbptt(net, optimizer, tokens, chunk):
    net.train()
    state = None
    for start in range(0, tokens.size(1) - 1, chunk):
        x, y = tokens[:, start : start + chunk], tokens[:, start + 1 : start + chunk + 1]
        x = x[:, : y.size(1)]
        logits, state = net(x, state)
        loss = F.cross_entropy(logits.reshape(-1, logits.size(-1)), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


@torch.no_grad()
def nats_per_token(net, tokens, chunk):
    net.eval()
    state, total = None, 0.0
    x, y = tokens[:, :-1], tokens[:, 1:]
    for inputs, targets in zip(x.split(chunk, 1), y.split(chunk, 1)):
        logits, state = net(inputs, state)
        total += F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
    return total / y.numel()


def bleu(hypotheses, references):
    logs, c, r = 0.0, sum(map(len, hypotheses)), sum(map(len, references))
    for n in range(1, 5):
        matched = total = 0
        for hypothesis, reference in zip(hypotheses, references):
            grams, allowed = (Counter(zip(*(s[i:] for i in range(n)))) for s in (hypothesis, reference))
            matched += sum((grams & allowed).values())
            total += sum(grams.values())
        if matched == 0:
            return 0.0
        logs += math.log(matched / total) / 4
    return math.exp(logs) * min(1.0, math.exp(1 - r / c))
