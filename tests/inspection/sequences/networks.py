"""Sequence networks as people write them, right ones and wrong ones."""

from typing import Any

import torch
from torch import Tensor, nn

from etude.models.embedding import Embedding
from etude.models.recurrent import Bidirectional, GRUCell, Recurrent
from etude.models.transformer import EncoderLayer

SYMBOLS = 11


class Tagger(nn.Module):
    """A recurrent layer with an output at every step."""

    def __init__(self, layer: nn.Module, *, time_first: bool = False) -> None:
        super().__init__()
        self.embedding, self.layer, self.time_first = nn.Embedding(SYMBOLS, 4), layer, time_first
        self.out = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        return self.out(self.layer(x.transpose(0, 1))[0].transpose(0, 1) if self.time_first else self.layer(x)[0])


class Sentiment(nn.Module):
    """One answer for a sentence; `read` takes it from the outputs (N, T, H) and states of a layer."""

    def __init__(self, layer: nn.Module, width: int, read: Any, padding: int | None = None) -> None:
        super().__init__()
        self.embedding, self.layer, self.out = nn.Embedding(SYMBOLS, 4, padding), layer, nn.Linear(width, 2)
        self.read = read

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(self.read(*self.layer(self.embedding(ids))))


class Loop(nn.Module):
    """A cell called once for each step, in a loop of the network's own."""

    def __init__(self, axis: int = 1) -> None:
        super().__init__()
        self.embedding, self.cell, self.axis = nn.Embedding(SYMBOLS, 4), nn.LSTMCell(4, 8), axis
        self.out = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        h = c = torch.zeros(ids.shape[1 - self.axis], 8)
        steps = []
        for x in self.embedding(ids).unbind(self.axis):
            h, c = self.cell(x, (h, c))
            steps.append(self.out(h))
        return torch.stack(steps, self.axis)


class Lengths(nn.Module):
    """étude's own layers; the lengths of the sequences are a second input."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = Embedding(SYMBOLS, 4, 0)
        self.both = Bidirectional(*(Recurrent(GRUCell(4, 3)) for _ in range(2)))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        return self.both(self.embedding(ids), lengths)[1]


class Model(nn.Module):
    """A language model of one layer of self-attention, with learned positions."""

    def __init__(self, *, masked: bool = True, num_positions: int = 16) -> None:
        super().__init__()
        self.symbols, self.positions = nn.Embedding(SYMBOLS, 8), nn.Embedding(num_positions, 8)
        self.block, self.out, self.masked = EncoderLayer(8, 2, 16), nn.Linear(8, SYMBOLS), masked

    def forward(self, ids: Tensor) -> Tensor:
        x = self.symbols(ids) + self.positions(torch.arange(ids.shape[1]))
        return self.out(self.block(x, causal=self.masked))


class TinyGPT(Model):
    """Causal by its name."""


class Translator(nn.Module):
    """Two sequences, of lengths of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(SYMBOLS, 8), nn.Embedding(7, 8)
        self.body, self.out = nn.Transformer(8, 2, 1, 1, 16, batch_first=True), nn.Linear(8, 7)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        return self.out(self.body(self.source(source), self.target(target), tgt_mask=mask))


def ids(batch: int = 1, length: int = 12) -> Tensor:
    """Symbols (N, T), none of them 0."""
    return torch.randint(1, SYMBOLS, (batch, length))
