"""Recurrent language models."""

import torch
from torch import Tensor, nn

from etude.models import Embedding

State = list[Tensor] | list[tuple[Tensor, Tensor]]


class RecurrentModel(nn.Module):
    """An embedding, recurrent layers with dropout between them, a linear layer to scores (Zaremba et al. 2014)."""

    def __init__(
        self,
        vocabulary_size: int,
        layer: type[nn.RNN] | type[nn.GRU] | type[nn.LSTM],
        width: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = Embedding(vocabulary_size, width)
        self.layers = nn.ModuleList([layer(width, width, batch_first=True) for _ in range(num_layers)])
        self.dropout = nn.Dropout(dropout)
        self.to_scores = nn.Linear(width, vocabulary_size)
        for each in self.layers:
            if isinstance(each, nn.LSTM):
                with torch.no_grad():  # gates that keep the memory begin open (Jozefowicz et al. 2015)
                    each.get_parameter("bias_ih_l0").view(4, width)[1].add_(1)

    def forward(self, symbols: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Symbols (N, T) and the state before them, zeros when not given, to scores (N, T, V) and the state after."""
        vectors, after = self.embedding(symbols), []
        for number, layer in enumerate(self.layers):
            vectors, each = layer(vectors, None if state is None else state[number])
            vectors = self.dropout(vectors)
            after.append(each)
        return self.to_scores(vectors), after
