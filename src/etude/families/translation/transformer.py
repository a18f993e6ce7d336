"""The transformer as a translator (Vaswani et al. 2017), with the norm before each part."""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from etude.data.text.vocabulary import PAD
from etude.families.translation.translator import Translator
from etude.models.attention import KeysAndValues
from etude.models.embedding import Embedding
from etude.models.transformer import DecoderLayer, EncoderLayer, SinusoidalPositions


class Seen(NamedTuple):
    """What the transformer keeps of its sources: for each decoder layer the keys and values, and the mask (N, S)."""

    keys_and_values: tuple[KeysAndValues, ...]
    mask: Tensor


class Transformer(Translator):
    """Encoder and decoder of `num_layers` each; the vocabulary layer shares its weights with the target's embedding.

    With `joint`, source and target have one vocabulary, and one embedding (Press and Wolf 2017).
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        width: int,
        num_layers: int,
        num_heads: int,
        dropout: float,
        joint: bool = False,
    ) -> None:
        super().__init__()
        self.scale = width**0.5
        self.target_embedding = Embedding(target_size, width, PAD)
        self.source_embedding = self.target_embedding if joint else Embedding(source_size, width, PAD)
        for table in {self.target_embedding, self.source_embedding}:
            with torch.no_grad():
                table.weight /= self.scale  # so that scaled vectors and logits both begin near 1
        self.positions, self.dropout = SinusoidalPositions(), nn.Dropout(dropout)
        shape = (width, num_heads, 4 * width, dropout)
        self.encoder = nn.ModuleList([EncoderLayer(*shape) for _ in range(num_layers)])
        self.decoder = nn.ModuleList([DecoderLayer(*shape) for _ in range(num_layers)])
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def all_at_once(self, source: Tensor, target_in: Tensor) -> Tensor:
        """See `Translator`."""
        memory, mask = self._encoded(source), source != PAD
        vectors = self._embedded(self.target_embedding, target_in)
        for layer in self.decoder:
            vectors = layer(vectors, memory, mask)
        return self._logits(vectors)

    def read(self, source: Tensor) -> Seen:
        """See `Translator`."""
        memory = self._encoded(source)
        keys_and_values = tuple(layer.memory_attention.keys_and_values(memory) for layer in self._decoder_layers)
        return Seen(keys_and_values, source != PAD)

    def start(self, memory: Seen) -> tuple[KeysAndValues, ...]:
        """No keys and values of earlier tokens, for each layer."""
        return tuple((keys[:, :, :0], values[:, :, :0]) for keys, values in memory.keys_and_values)

    def write(
        self, memory: Seen, state: tuple[KeysAndValues, ...], tokens: Tensor
    ) -> tuple[Tensor, tuple[KeysAndValues, ...]]:
        """See `Translator`."""
        vectors = self._embedded(self.target_embedding, tokens[:, None], first=state[0][0].shape[2])
        after = []
        for layer, earlier, seen in zip(self._decoder_layers, state, memory.keys_and_values, strict=True):
            vectors, now = layer.step(vectors, earlier, seen, memory.mask)
            after.append(now)
        return self._logits(vectors)[:, 0], tuple(after)

    def align(self, source: Tensor, target_in: Tensor) -> Tensor:
        """See `Translator`: the mean over the heads of the last layer."""
        memory, mask = self._encoded(source), source != PAD
        vectors = self._embedded(self.target_embedding, target_in)
        *layers, last = self._decoder_layers
        for layer in layers:
            vectors = layer(vectors, memory, mask)
        return last.look(vectors, memory, mask).mean(1)

    @property
    def _decoder_layers(self) -> list[DecoderLayer]:
        return cast("list[DecoderLayer]", list(self.decoder))

    def _encoded(self, source: Tensor) -> Tensor:
        """The encoder's states (N, S, width)."""
        vectors, mask = self._embedded(self.source_embedding, source), source != PAD
        for layer in self.encoder:
            vectors = layer(vectors, mask)
        return self.encoder_norm(vectors)

    def _embedded(self, table: Embedding, tokens: Tensor, first: int = 0) -> Tensor:
        """Vectors (N, T, width) of tokens (N, T), told their positions from `first` on."""
        return self.dropout(self.positions(self.scale * table(tokens), first))

    def _logits(self, vectors: Tensor) -> Tensor:
        return self.decoder_norm(vectors) @ self.target_embedding.weight.T
