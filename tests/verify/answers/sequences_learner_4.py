"""A first attempt at decoding and truncated backpropagation."""

import math
import random

import torch
import torch.nn.functional as F


def decode(step, state, targets, teacher_forcing):
    token, outputs = targets[:, 0], []
    for t in range(1, targets.shape[1]):
        logits, state = step(token, state)
        outputs.append(logits)
        token = targets[:, t] if random.random() > teacher_forcing else logits.argmax(1)
    return torch.stack(outputs, 1)


def greedy_decode(step, state, bos, eos, max_length):
    token, words = torch.tensor([bos]), []
    for _ in range(max_length):
        logits, _ = step(token, state)
        token = logits.argmax(1)
        if token.item() == eos:
            break
        words.append(token.item())
    return words


def batchify(tokens, batch_size):
    length = len(tokens) // batch_size
    return tokens[: length * batch_size].view(length, batch_size).t()


def train_tbptt(net, optimizer, tokens, chunk):
    state = None
    for start in range(0, tokens.shape[1] - 1, chunk):
        x, y = tokens[:, start : start + chunk], tokens[:, start + 1 : start + chunk + 1]
        logits, state = net(x[:, : y.shape[1]], state)
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        optimizer.step()


def nats_per_token(net, tokens, chunk):
    state, losses = None, []
    with torch.no_grad():
        for start in range(0, tokens.shape[1] - 1, chunk):
            x, y = tokens[:, start : start + chunk], tokens[:, start + 1 : start + chunk + 1]
            logits, state = net(x[:, : y.shape[1]], state)
            losses.append(F.cross_entropy(logits.flatten(0, 1), y.flatten()))
    return torch.stack(losses).mean()


def bleu(hypotheses, references):
    return sum(_sentence(one, other) for one, other in zip(hypotheses, references)) / len(hypotheses)


def _sentence(found, right):
    logs = 0.0
    for n in range(1, 5):
        grams = [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]
        allowed = [tuple(right[i : i + n]) for i in range(len(right) - n + 1)]
        hits = 0
        for gram in grams:
            if gram in allowed:
                allowed.remove(gram)
                hits += 1
        if hits == 0:
            return 0.0
        logs += math.log(hits / len(grams))
    return math.exp(logs / 4) * min(1, math.exp(1 - len(right) / len(found)))
