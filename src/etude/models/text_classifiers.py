"""Networks that tell the class of a sentence: a vector per token, a reader that makes one of them, a linear layer.

All take tokens, int64 (N, L), with pads (0) after each sentence, and find the sentences' lengths themselves. So neither
pads nor the other rows change the logits of a row. A row of pads alone counts as a sentence without tokens.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.models.recurrent import FUSED, Bidirectional, last_within
from etude.models.sizes import check_count
from etude.models.transformer import EncoderLayer, SinusoidalPositions

PAD = 0
KERNEL_SIZES = (3, 4, 5)
NUM_HEADS = 4
INITIAL_DEVIATION = 0.1
"""Of the vectors of tokens, standard normal times this: rare words then say little until they are learned."""


class OneHot(nn.Module):
    """One-hot rows times a table (V, D): what an embedding computes without the zeros, so far slower."""

    def __init__(self, vocabulary_size: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(vocabulary_size, dim))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (...) to vectors (..., dim)."""
        return F.one_hot(tokens, len(self.weight)).to(self.weight.dtype) @ self.weight


INPUTS = {"embedding": nn.Embedding, "one-hot": OneHot}
"""The layers that make vectors of tokens, by name; both have a `weight` of the same shape."""


class Reader(nn.Module):
    """Makes one vector (N, size) of the vectors of a sentence; abstract."""

    size: int

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Vectors (N, L, D) and a mask (N, L), true at tokens and false at pads, to (N, size)."""
        raise NotImplementedError


class MeanReader(Reader):
    """The mean of the vectors, then a layer with ReLU (Iyyer et al. 2015, "deep averaging network")."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.hidden, self.size = nn.Linear(dim, width), width

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """See `Reader`."""
        return F.relu(self.hidden(mean_within(vectors, mask)))


class RecurrentReader(Reader):
    """The last state of a recurrent layer of PyTorch's, `kind` rnn, gru or lstm."""

    def __init__(self, kind: str, dim: int, width: int) -> None:
        super().__init__()
        self.layer, self.size = FUSED[kind](dim, width, batch_first=True), width

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """See `Reader`."""
        return last_within(self.layer(vectors)[0], mask.sum(dim=1)) * mask[:, :1]


class BidirectionalReader(Reader):
    """The last states of two LSTMs, of which one reads the sentence from its end."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.layer = Bidirectional(*(nn.LSTM(dim, width, batch_first=True) for _ in range(2)))
        self.size = 2 * width

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """See `Reader`."""
        return self.layer(vectors, mask.sum(dim=1))[1] * mask[:, :1]


class ConvolutionalReader(Reader):
    """Convolutions over 3, 4 and 5 tokens, ReLU, and the maximum over the sentence of each channel (Kim 2014)."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(dim, width, size) for size in KERNEL_SIZES)
        self.size = len(KERNEL_SIZES) * width

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """See `Reader`."""
        vectors = (vectors * mask[:, :, None]).transpose(1, 2)  # (N, D, L), zeros at pads as before the first token
        found = []
        for size, layer in zip(KERNEL_SIZES, self.layers, strict=True):
            outputs = F.relu(layer(F.pad(vectors, ((size - 1) // 2, size // 2))))  # (N, width, L)
            found.append((outputs * mask[:, None]).amax(dim=2))  # 0 at pads, and nowhere below
        return torch.cat(found, dim=1)


class AttentionReader(Reader):
    """A layer of self-attention over vectors that know their place, then the mean (Vaswani et al. 2017)."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.positions = SinusoidalPositions()
        self.layer, self.norm, self.size = EncoderLayer(dim, NUM_HEADS, width), nn.LayerNorm(dim), dim

    def forward(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """See `Reader`."""
        seen = mask.clone()
        seen[:, 0] = True  # the mean over no key is not a number
        return mean_within(self.norm(self.layer(self.positions(vectors), seen)), mask)


READERS: dict[str, Callable[[int, int], Reader]] = {
    "bag": MeanReader,
    **{kind: partial(RecurrentReader, kind) for kind in FUSED},
    "bilstm": BidirectionalReader,
    "cnn": ConvolutionalReader,
    "self-attention": AttentionReader,
}
"""The readers by name, each made of the size of a token's vector and a width."""


class TextClassifier(nn.Module):
    """The input layer, dropout, a reader, dropout and a linear layer."""

    def __init__(
        self,
        vocabulary_size: int,
        num_classes: int,
        *,
        reader: str = "lstm",
        input: str = "embedding",
        embedding_dim: int = 64,
        width: int = 64,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = {"vocabulary_size": vocabulary_size, "num_classes": num_classes, "embedding_dim": embedding_dim}
        for name, value in {**sizes, "width": width}.items():
            check_count(name, value)
        self.vectors = INPUTS[input](vocabulary_size, embedding_dim)
        with torch.no_grad():
            self.vectors.weight.mul_(INITIAL_DEVIATION)
        self.reader, self.dropout = READERS[reader](embedding_dim, width), nn.Dropout(dropout)
        self.head = nn.Linear(self.reader.size, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (N, L), L at least 1, to logits (N, num_classes)."""
        vectors = self.dropout(self.vectors(tokens))  # (N, L, embedding_dim)
        return self.head(self.dropout(self.reader(vectors, tokens != PAD)))


def mean_within(vectors: Tensor, mask: Tensor) -> Tensor:
    """The mean (N, D) of the vectors (N, L, D) where the mask (N, L) is true; 0 where it is nowhere."""
    return (vectors * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1).clamp(min=1)[:, None]
