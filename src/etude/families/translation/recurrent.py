"""Recurrent translators: one whose decoder asks the attention at every step, and one that asks it once for all steps.

Both have an encoder that reads in both directions, or one of self-attention, and attention of any kind or none.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from etude.data.text.vocabulary import PAD
from etude.families.translation.translator import State, Translator, lengths_of
from etude.models.attention import AdditiveAttention, BilinearAttention, DotAttention
from etude.models.embedding import Embedding
from etude.models.recurrent import Bidirectional, GRUCell, last_within
from etude.models.transformer import EncoderLayer, SinusoidalPositions

NUM_HEADS, NUM_LAYERS = 4, 2
"""Of an encoder of self-attention."""


class Read(NamedTuple):
    """What a recurrent translator keeps of its sources."""

    states: Tensor
    """The encoder's states (N, S, 2 · width)."""
    ends: Tensor
    """Its last state (N, 2 · width), of each direction."""
    keys: Tensor
    """The states as the attention scores them; empty without attention."""
    mask: Tensor
    """(N, S), true at tokens."""


class SelfAttentionEncoder(nn.Module):
    """Vectors (N, S, D) to states (N, S, D) that have seen all others, and the state (N, D) at each sentence's end."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.positions = SinusoidalPositions()
        self.layers = nn.ModuleList([EncoderLayer(dim, NUM_HEADS, 2 * dim, dropout) for _ in range(NUM_LAYERS)])
        self.norm = nn.LayerNorm(dim)

    def forward(self, vectors: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        mask = torch.arange(vectors.shape[1], device=vectors.device) < lengths[:, None]  # (N, S)
        vectors = self.positions(vectors)
        for layer in self.layers:
            vectors = layer(vectors, mask)
        states = self.norm(vectors)
        return states, last_within(states, lengths)


class RecurrentTranslator(Translator):
    """What both recurrent translators share; abstract."""

    def __init__(
        self,
        source_size: int,
        target_size: int,
        *,
        width: int,
        layer: type[nn.GRU] | type[nn.LSTM],
        attention: str,
        encoder: str,
        dropout: float,
    ) -> None:
        super().__init__()
        states = 2 * width
        embedded = states if encoder == "self-attention" else width
        self.source_embedding = Embedding(source_size, embedded, PAD)
        self.target_embedding = Embedding(target_size, width, PAD)
        if encoder == "self-attention":
            self.encoder: nn.Module = SelfAttentionEncoder(states, dropout)
        else:
            self.encoder = Bidirectional(*(layer(width, width, batch_first=True) for _ in range(2)))
        self.attention = attention_of(attention, states)
        self.first_state = nn.Linear(states, states)
        self.readout = nn.Linear(2 * states + width, width)
        self.vocabulary = nn.Linear(width, target_size)
        self.dropout = nn.Dropout(dropout)

    def read(self, source: Tensor) -> Read:
        """See `Translator`."""
        lengths = lengths_of(source)
        states, ends = self.encoder(self.dropout(self.source_embedding(source)), lengths)
        states = self.dropout(states)
        keys = states[:, :0] if self.attention is None else self.attention.project(states)
        return Read(states, ends, keys, source != PAD)

    def ends(self, source: Tensor) -> Tensor:
        """See `Translator`."""
        return self.read(source).ends

    def look(self, memory: Read, queries: Tensor) -> tuple[Tensor, Tensor | None]:
        """Contexts (N, T, 2 · width) for decoder states (N, T, 2 · width), and the weights (N, T, S).

        Without attention every context is the encoder's last state.
        """
        if self.attention is None:
            return memory.ends[:, None].expand(-1, queries.shape[1], -1), None
        return self.attention(queries, memory.keys, memory.states, memory.mask)

    def logits(self, states: Tensor, contexts: Tensor, embedded: Tensor) -> Tensor:
        """Scores (N, T, V) from decoder states, contexts and the embedded last tokens."""
        hidden = torch.tanh(self.readout(torch.cat([states, contexts, embedded], dim=2)))
        return self.vocabulary(self.dropout(hidden))


class GRUTranslator(RecurrentTranslator):
    """A decoder of a GRU that looks at the source before each step (Bahdanau et al. 2015, appendix A).

    Without attention the context is the encoder's last state, at every step (Cho et al. 2014).
    """

    def __init__(self, source_size: int, target_size: int, *, width: int, **more: Any) -> None:
        super().__init__(source_size, target_size, width=width, layer=nn.GRU, **more)
        self.cell = GRUCell(3 * width, 2 * width)

    def all_at_once(self, source: Tensor, target_in: Tensor) -> Tensor:
        """See `Translator`."""
        return self._all(source, target_in)[0]

    def align(self, source: Tensor, target_in: Tensor) -> Tensor | None:
        """See `Translator`."""
        return self._all(source, target_in)[1]

    def _all(self, source: Tensor, target_in: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits (N, T, V) and weights (N, T, S)."""
        memory = self.read(source)
        embedded = self.dropout(self.target_embedding(target_in))  # (N, T, width)
        state = self.start(memory)
        states, contexts, weights = [], [], []
        for vectors in embedded.unbind(1):
            context, state, looked = self._step(memory, state, vectors)
            states.append(state)
            contexts.append(context)
            weights.append(looked)
        logits = self.logits(torch.stack(states, dim=1), torch.stack(contexts, dim=1), embedded)
        return logits, None if self.attention is None else torch.cat(weights, dim=1)

    def start(self, memory: Read) -> Tensor:
        """See `Translator`."""
        return torch.tanh(self.first_state(memory.ends))

    def write(self, memory: Read, state: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """See `Translator`."""
        embedded = self.dropout(self.target_embedding(tokens))  # (N, width)
        context, state, _ = self._step(memory, state, embedded)
        return self.logits(state[:, None], context[:, None], embedded[:, None])[:, 0], state

    def _step(self, memory: Read, state: Tensor, embedded: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """The context (N, 2 · width), the next state (N, 2 · width) and the weights (N, 1, S)."""
        contexts, weights = self.look(memory, state[:, None])
        return contexts[:, 0], self.cell(torch.cat([embedded, contexts[:, 0]], dim=1), state), weights


class LuongTranslator(RecurrentTranslator):
    """A decoder of an LSTM whose states look at the source once it has read the target (Luong et al. 2015).

    Contexts are not fed back into it, so that one call runs it over all steps. Without attention it is given the
    encoder's last state at every step.
    """

    def __init__(self, source_size: int, target_size: int, *, width: int, **more: Any) -> None:
        super().__init__(source_size, target_size, width=width, layer=nn.LSTM, **more)
        given = 0 if self.attention else 2 * width
        self.decoder = nn.LSTM(width + given, 2 * width, batch_first=True)
        self.first_memory = nn.Linear(2 * width, 2 * width)

    def all_at_once(self, source: Tensor, target_in: Tensor) -> Tensor:
        """See `Translator`."""
        memory = self.read(source)
        return self._write(memory, self.start(memory), target_in)[0]

    def start(self, memory: Read) -> State:
        """See `Translator`."""
        return torch.tanh(self.first_state(memory.ends)), self.first_memory(memory.ends)

    def write(self, memory: Read, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """See `Translator`."""
        logits, state, _ = self._write(memory, state, tokens[:, None])
        return logits[:, 0], state

    def align(self, source: Tensor, target_in: Tensor) -> Tensor | None:
        """See `Translator`."""
        memory = self.read(source)
        return self._write(memory, self.start(memory), target_in)[2]

    def _write(self, memory: Read, state: State, tokens: Tensor) -> tuple[Tensor, State, Tensor | None]:
        """Logits (N, T, V) after tokens (N, T), the state after the last, and the weights (N, T, S)."""
        embedded = self.dropout(self.target_embedding(tokens))  # (N, T, width)
        inputs = embedded
        if self.attention is None:
            inputs = torch.cat([embedded, memory.ends[:, None].expand(-1, tokens.shape[1], -1)], dim=2)
        states, after = self.decoder(inputs, tuple(each[None] for each in state))  # a leading axis of layers
        contexts, weights = self.look(memory, states)
        return self.logits(states, contexts, embedded), tuple(each[0] for each in after), weights


def attention_of(name: str, dim: int) -> DotAttention | None:
    """The attention of this name for queries and keys (…, dim)."""
    match name:
        case "additive":
            return AdditiveAttention(dim, dim, dim // 2)
        case "bilinear":
            return BilinearAttention(dim, dim)
        case "dot":
            return DotAttention()
        case _:
            return None
