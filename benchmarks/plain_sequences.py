"""Networks for sequences as the popular tutorials write and train them: the loops that étude is timed against.

Batches of sentences of any lengths, padded and packed; a decoder that is a Python loop over the target, and projects
every encoder state again at each step; `nn.Transformer` with its masks; a two-layer `nn.LSTM` whose state is detached
between chunks. Eager float32. Widths, layers, dropout and label smoothing are those of the recipe.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

from etude.data import Split
from etude.families.recipe import Recipe

PAD = 0
Step = Callable[[Tensor, Tensor], Tensor]
"""One training step on inputs and targets; returns a loss."""
Batches = Iterable[tuple[Tensor, Tensor]]


def plain_sequences(recipe: Any, kind: Any) -> tuple[Step, Callable[..., Batches]]:
    """The step of a recipe's tutorial, and a function from a split, a batch size and workers to batches."""
    match recipe.family:
        case "text":
            network: nn.Module = PackedLSTM(len(kind.vocabulary), **recipe.sizes)
            return sentence_step(network, recipe), sentence_batches
        case "translation":
            sizes = len(kind.source_vocabulary), len(kind.target_vocabulary)
            make = AttentionGRU if recipe.network == "gru" else PlainTransformer
            return pair_step(make(*sizes, recipe.width, recipe.dropout), recipe), pair_batches
        case _:
            network = PlainCharLSTM(len(kind.vocabulary), 256, recipe.dropout)
            return text_step(network, recipe), partial(text_batches, chunk=recipe.bptt)


class Rows(Dataset[tuple[Tensor, Any]]):
    """Sentences one at a time, each a tensor of its ids, with a label or the ids of its translation."""

    def __init__(self, sentences: Tensor, others: Tensor) -> None:
        self.sentences = [row[row != PAD] for row in sentences]
        self.others = [row[row != PAD] for row in others] if others.dim() == 2 else others.tolist()

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        return self.sentences[index], self.others[index]


def _padded(batch: list[tuple[Tensor, Any]]) -> tuple[Tensor, Tensor]:
    sentences, others = [sentence for sentence, _ in batch], [other for _, other in batch]
    is_text = isinstance(others[0], Tensor)
    return pad_sequence(sentences, batch_first=True), (
        pad_sequence(others, batch_first=True) if is_text else torch.tensor(others)
    )


def _batches(rows: Rows, batch_size: int, workers: int) -> Batches:
    """Shuffled batches of sentences of all lengths, padded to the longest."""
    return DataLoader(
        rows, batch_size=batch_size, shuffle=True, drop_last=True, num_workers=workers, collate_fn=_padded
    )


def sentence_batches(split: Split, *, batch_size: int, workers: int) -> Batches:
    """Sentences (N, L) and labels (N,)."""
    return _batches(Rows(split["tokens"], split.labels), batch_size, workers)


def pair_batches(split: Split, *, batch_size: int, workers: int) -> Batches:
    """Sources (N, S) and targets (N, T)."""
    return _batches(Rows(split["source"], split["target"]), batch_size, workers)


def text_batches(split: Split, *, batch_size: int, workers: int, chunk: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Chunks (columns, chunk) of the text and of the symbols that follow, in order."""
    length = len(split["symbols"]) // batch_size
    symbols, targets = (split[name][: length * batch_size].view(batch_size, length) for name in ("symbols", "targets"))
    yield from zip(symbols.split(chunk, dim=1)[:-1], targets.split(chunk, dim=1)[:-1], strict=True)


class PackedLSTM(nn.Module):
    """The network of `sentiment-lstm`: packed, and the last hidden state."""

    def __init__(self, vocabulary_size: int, embedding_dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_dim, padding_idx=PAD)
        self.lstm = nn.LSTM(embedding_dim, width, batch_first=True)
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(width, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (N, L) to logits (N, 2)."""
        embedded = self.dropout(self.embedding(tokens))
        lengths = (tokens != PAD).sum(dim=1)
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        return self.head(self.dropout(hidden[-1]))


class AttentionGRU(nn.Module):
    """A GRU with additive attention whose decoder is a loop (Bahdanau et al. 2015)."""

    def __init__(self, source_size: int, target_size: int, width: int, dropout: float) -> None:
        super().__init__()
        states = 2 * width
        self.source_embedding = nn.Embedding(source_size, width, padding_idx=PAD)
        self.target_embedding = nn.Embedding(target_size, width, padding_idx=PAD)
        self.encoder = nn.GRU(width, width, bidirectional=True, batch_first=True)
        self.first_state = nn.Linear(states, states)
        self.energy, self.score = nn.Linear(2 * states, width), nn.Linear(width, 1, bias=False)
        self.decoder = nn.GRU(width + states, states, batch_first=True)
        self.readout, self.vocabulary = nn.Linear(2 * states + width, width), nn.Linear(width, target_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        """Sources (N, S) and targets (N, T) to logits (N, T, V)."""
        mask, lengths = source != PAD, (source != PAD).sum(dim=1)
        embedded = self.dropout(self.source_embedding(source))
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        packed, hidden = self.encoder(packed)
        states, _ = pad_packed_sequence(packed, batch_first=True)  # (N, S, 2 width)
        state = torch.tanh(self.first_state(torch.cat([hidden[0], hidden[1]], dim=1)))
        logits = []
        for tokens in target_in.unbind(dim=1):
            vectors = self.dropout(self.target_embedding(tokens))[:, None]
            repeated = state[:, None].repeat(1, states.shape[1], 1)
            energy = torch.tanh(self.energy(torch.cat([repeated, states], dim=2)))
            weights = self.score(energy)[:, :, 0].masked_fill(~mask, -1e10).softmax(dim=1)
            context = torch.bmm(weights[:, None], states)  # (N, 1, 2 width)
            output, after = self.decoder(torch.cat([vectors, context], dim=2), state[None])
            state = after[0]
            hidden = torch.tanh(self.readout(torch.cat([output, context, vectors], dim=2)))
            logits.append(self.vocabulary(self.dropout(hidden))[:, 0])
        return torch.stack(logits, dim=1)


class PlainTransformer(nn.Module):
    """`nn.Transformer` with three layers a side, sinusoidal positions, and a linear layer to the vocabulary."""

    positions: Tensor

    def __init__(self, source_size: int, target_size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.source_embedding = nn.Embedding(source_size, width, padding_idx=PAD)
        self.target_embedding = nn.Embedding(target_size, width, padding_idx=PAD)
        self.transformer = nn.Transformer(width, 4, 3, 3, 4 * width, dropout, batch_first=True)
        self.vocabulary, self.dropout, self.width = nn.Linear(width, target_size), nn.Dropout(dropout), width
        rates = torch.exp(-math.log(10_000) * torch.arange(0, width, 2) / width)
        angles = torch.arange(500)[:, None] * rates
        self.register_buffer("positions", torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1))

    def _embedded(self, embedding: nn.Embedding, tokens: Tensor) -> Tensor:
        return self.dropout(embedding(tokens) * math.sqrt(self.width) + self.positions[: tokens.shape[1]])

    def forward(self, source: Tensor, target_in: Tensor) -> Tensor:
        """Sources (N, S) and targets (N, T) to logits (N, T, V)."""
        pads = source == PAD
        causal = torch.triu(torch.ones(target_in.shape[1], target_in.shape[1], dtype=torch.bool), diagonal=1)
        states = self.transformer(
            self._embedded(self.source_embedding, source),
            self._embedded(self.target_embedding, target_in),
            tgt_mask=causal,
            src_key_padding_mask=pads,
            tgt_key_padding_mask=target_in == PAD,
            memory_key_padding_mask=pads,
        )
        return self.vocabulary(states)


class PlainCharLSTM(nn.Module):
    """Two layers of one `nn.LSTM`."""

    def __init__(self, vocabulary_size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.lstm = nn.LSTM(width, width, num_layers=2, dropout=dropout, batch_first=True)
        self.dropout, self.head = nn.Dropout(dropout), nn.Linear(width, vocabulary_size)

    def forward(self, symbols: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Symbols (N, T) and a state to logits (N, T, V) and the next state."""
        outputs, state = self.lstm(self.embedding(symbols), state)
        return self.head(self.dropout(outputs)), state


def sentence_step(network: nn.Module, recipe: Recipe) -> Step:
    """Adam on the cross-entropy."""
    criterion = nn.CrossEntropyLoss()
    return _step(network, recipe, lambda tokens, labels: criterion(network(tokens), labels))


def pair_step(network: nn.Module, recipe: Any) -> Step:
    """Adam on the cross-entropy of each next token, the right ones given before (teacher forcing)."""
    criterion = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=recipe.label_smoothing)

    def loss_of(source: Tensor, target: Tensor) -> Tensor:
        return criterion(network(source, target[:, :-1]).flatten(0, 1), target[:, 1:].flatten())

    return _step(network, recipe, loss_of)


def text_step(network: nn.Module, recipe: Recipe) -> Step:
    """Adam on the cross-entropy of each next symbol; the state goes on, detached."""
    criterion, state = nn.CrossEntropyLoss(), None

    def loss_of(symbols: Tensor, targets: Tensor) -> Tensor:
        nonlocal state
        logits, state = network(symbols, None if state is None else tuple(each.detach() for each in state))
        return criterion(logits.flatten(0, 1), targets.flatten())

    return _step(network, recipe, loss_of)


def _step(network: nn.Module, recipe: Recipe, loss_of: Callable[[Tensor, Tensor], Tensor]) -> Step:
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.optimizer.learning_rate)

    def step(inputs: Tensor, targets: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(inputs, targets)
        loss.backward()
        if recipe.optimizer.clip_norm:
            clip_grad_norm_(network.parameters(), recipe.optimizer.clip_norm)
        optimizer.step()
        return loss

    return step
