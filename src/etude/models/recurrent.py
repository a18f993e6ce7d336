"""Recurrent networks: cells written out in tensors, a layer that runs one over time, and both directions of a sequence.

A cell's parameters have the names and layout of PyTorch's, so that weights can be copied either way.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.models.sizes import check_count

State = Any
"""A cell's state: h (N, hidden_size), or for an LSTM the pair of h and its memory c, each of this shape."""


class Cell(nn.Module, ABC):
    """One step of a recurrent network; abstract. Each parameter has `gates` blocks of `hidden_size` rows."""

    gates: int

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = check_count("input_size", input_size)
        self.hidden_size = check_count("hidden_size", hidden_size)
        rows, bound = self.gates * hidden_size, hidden_size**-0.5
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size).uniform_(-bound, bound))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size).uniform_(-bound, bound))
        self.bias_ih = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))
        self.bias_hh = nn.Parameter(torch.empty(rows).uniform_(-bound, bound))

    def forward(self, inputs: Tensor, state: State = None) -> State:
        """Inputs (N, input_size) and a state, zeros when not given, to the next state."""
        projected = self.project(inputs)
        return self.advance(projected, self.start(projected) if state is None else state)

    def project(self, inputs: Tensor) -> Tensor:
        """W x + b (..., gates · hidden_size) of inputs (..., input_size): a layer computes it for all steps at once."""
        return F.linear(inputs, self.weight_ih, self.bias_ih)

    def recur(self, hidden: Tensor) -> Tensor:
        """U h + c (N, gates · hidden_size) of the hidden state h (N, hidden_size)."""
        return F.linear(hidden, self.weight_hh, self.bias_hh)

    @abstractmethod
    def advance(self, projected: Tensor, state: State) -> State:
        """The next state, from projected inputs (N, gates · hidden_size)."""

    def start(self, projected: Tensor) -> State:
        """The state of zeros before the first step, for projected inputs (N, gates · hidden_size)."""
        return projected.new_zeros(len(projected), self.hidden_size)

    @staticmethod
    def output(state: State) -> Tensor:
        """What a state shows to the rest of the network: h (N, hidden_size)."""
        return state


class RNNCell(Cell):
    """h' = tanh(W x + b + U h + c), equal to `nn.RNNCell` (Elman 1990)."""

    gates = 1

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """See `Cell`."""
        return torch.tanh(projected + self.recur(state))


class GRUCell(Cell):
    """A gated recurrent unit, equal to `nn.GRUCell` (Cho et al. 2014); the blocks are reset, update, candidate.

    As in PyTorch, the reset gate is applied after the product with U, not before it as in the paper.
    """

    gates = 3

    def advance(self, projected: Tensor, state: Tensor) -> Tensor:
        """See `Cell`."""
        input_reset, input_update, input_candidate = projected.chunk(3, dim=1)
        state_reset, state_update, state_candidate = self.recur(state).chunk(3, dim=1)
        reset = torch.sigmoid(input_reset + state_reset)
        update = torch.sigmoid(input_update + state_update)
        candidate = torch.tanh(input_candidate + reset * state_candidate)
        return (1 - update) * candidate + update * state


class LSTMCell(Cell):
    """A long short-term memory, equal to `nn.LSTMCell`; the blocks are input gate, forget gate, candidate, output gate.

    Sources: Hochreiter and Schmidhuber 1997; Gers et al. 2000 for the forget gate.
    """

    gates = 4

    def advance(self, projected: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """See `Cell`."""
        hidden, memory = state
        enter, keep, candidate, show = (projected + self.recur(hidden)).chunk(4, dim=1)
        memory = torch.sigmoid(keep) * memory + torch.sigmoid(enter) * torch.tanh(candidate)
        return torch.sigmoid(show) * torch.tanh(memory), memory

    def start(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """See `Cell`."""
        return super().start(projected), super().start(projected)

    @staticmethod
    def output(state: tuple[Tensor, Tensor]) -> Tensor:
        """See `Cell`."""
        return state[0]


class Recurrent(nn.Module):
    """A cell run over time, called like `nn.LSTM(batch_first=True)`; its states have no axis of layers.

    The inputs of all steps are projected in one product, so that only the state's product is left to each step.
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, inputs: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Inputs (N, T, input_size), T at least 1, to outputs (N, T, hidden_size) and the state after the last."""
        steps = self.cell.project(inputs).unbind(1)  # T times (N, gates · hidden_size)
        state = self.cell.start(steps[0]) if state is None else state
        outputs = []
        for projected in steps:
            state = self.cell.advance(projected, state)
            outputs.append(self.cell.output(state))
        return torch.stack(outputs, dim=1), state


CELLS: dict[str, type[Cell]] = {"rnn": RNNCell, "gru": GRUCell, "lstm": LSTMCell}
"""The cells by name."""
FUSED: dict[str, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
"""PyTorch's layers of them. On a CPU only `nn.LSTM` on a plain padded tensor is one fused kernel."""


class Bidirectional(nn.Module):
    """Two recurrent layers, one of which reads each sequence from its end; pads after a sequence change nothing.

    Both are layers that are called like `nn.LSTM(batch_first=True)`, such as `Recurrent`. Instead of packing, the
    second reads each sequence reversed within its length (Schuster and Paliwal 1997).
    """

    def __init__(self, forwards: nn.Module, backwards: nn.Module) -> None:
        super().__init__()
        self.forwards, self.backwards = forwards, backwards

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (N, T, D) and lengths (N,) to outputs (N, T, 2H), of no meaning at pads, and both last states (N, 2H).

        The last state of the second layer is the one after the sequence's first element.
        """
        forwards, _ = self.forwards(inputs)  # (N, T, H)
        backwards, _ = self.backwards(reversed_within(inputs, lengths))  # (N, T, H)
        ends = torch.cat([last_within(forwards, lengths), last_within(backwards, lengths)], dim=1)
        return torch.cat([forwards, reversed_within(backwards, lengths)], dim=2), ends


def last_within(outputs: Tensor, lengths: Tensor) -> Tensor:
    """The output (N, H) at each sequence's last element, of outputs (N, T, H) and lengths (N,).

    A sequence of length 0 gives its first output.
    """
    last = (lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, outputs.shape[2])
    return outputs.gather(1, last)[:, 0]


def reversed_within(sequences: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence of (N, T, ...) from its end to its start within its length (N,); pads stay where they are."""
    steps = torch.arange(sequences.shape[1], device=sequences.device)  # (T,)
    order = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)  # (N, T)
    return sequences.gather(1, order.view(*order.shape, *[1] * (sequences.dim() - 2)).expand_as(sequences))
