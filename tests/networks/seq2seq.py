"""Encoders and decoders as the popular tutorials write them."""

import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, input_dim, emb_dim, hid_dim):
        super().__init__()
        self.embedding = nn.Embedding(input_dim, emb_dim, padding_idx=0)
        self.rnn = nn.GRU(emb_dim, hid_dim, batch_first=True)

    def forward(self, src):
        lengths = (src != 0).sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(src), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, hidden = self.rnn(packed)
        return hidden


class Seq2Seq(nn.Module):
    """forward(source, target_in) alone."""

    def __init__(self, source_vocabulary_size, target_vocabulary_size, hid_dim=32):
        super().__init__()
        self.encoder = Encoder(source_vocabulary_size, 16, hid_dim)
        self.embedding = nn.Embedding(target_vocabulary_size, 16)
        self.decoder = nn.GRU(16, hid_dim, batch_first=True)
        self.out = nn.Linear(hid_dim, target_vocabulary_size)
        self.dropout = nn.Dropout(0.1)

    def forward(self, src, trg):
        output, _ = self.decoder(self.dropout(self.embedding(trg)), self.encoder(src))
        return self.out(output)


class Transformer(nn.Module):
    """encode and decode, around nn.Transformer."""

    def __init__(self, source_vocabulary_size, target_vocabulary_size, width=32):
        super().__init__()
        self.source = nn.Embedding(source_vocabulary_size, width)
        self.target = nn.Embedding(target_vocabulary_size, width)
        self.positions = nn.Parameter(0.1 * torch.randn(100, width))
        self.transformer = nn.Transformer(width, 2, 1, 1, 2 * width, dropout=0.0, batch_first=True)
        self.out = nn.Linear(width, target_vocabulary_size)

    def encode(self, source):
        vectors = self.source(source) + self.positions[: source.shape[1]]
        hidden = source == 0
        return self.transformer.encoder(vectors, src_key_padding_mask=hidden), hidden

    def decode(self, target_in, memory):
        memory, hidden = memory
        length = target_in.shape[1]
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        vectors = self.target(target_in) + self.positions[:length]
        return self.out(self.transformer.decoder(vectors, memory, tgt_mask=later, memory_key_padding_mask=hidden))


class LooksAhead(Transformer):
    """The mask is forgotten."""

    def decode(self, target_in, memory):
        memory, hidden = memory
        vectors = self.target(target_in) + self.positions[: target_in.shape[1]]
        return self.out(self.transformer.decoder(vectors, memory))


class MindsPads(Seq2Seq):
    """The encoder's last state is taken after the pads."""

    def forward(self, src, trg):
        _, hidden = self.encoder.rnn(self.encoder.embedding(src))
        output, _ = self.decoder(self.embedding(trg), hidden)
        return self.out(output)


class Softmax(Seq2Seq):
    def forward(self, src, trg):
        return super().forward(src, trg).softmax(-1)


class OneScore(Seq2Seq):
    """Of the last token alone."""

    def forward(self, src, trg):
        return super().forward(src, trg)[:, -1]
