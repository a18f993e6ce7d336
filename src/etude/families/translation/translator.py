"""What every network of this family does: read a sentence, then write its translation token by token."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from etude.data.text.vocabulary import PAD

EAGER = "its batches differ in length"
"""Why a step is computed operation by operation."""
Memory = Any
"""What a network keeps of the sources: tensors (N, ...), in tuples."""
State = Any
"""What its decoder carries from one token to the next: tensors (N, ...), in tuples."""


class Translator(nn.Module, ABC):
    """An encoder and a decoder; abstract. Sources (N, S) end with EOS; targets begin with BOS; PAD fills both up."""

    def forward(self, source: Tensor, target_in: Tensor, forced: Tensor | None = None) -> Tensor:
        """Logits (N, T, V) of each target token from those before it: `target_in` (N, T) is BOS and the first T − 1.

        Where `forced` (N, T) is false the decoder goes on from its own most likely token in place of the target's
        (scheduled sampling, Bengio et al. 2015, by the greedy choice). BOS is always the target's.
        """
        return self.all_at_once(source, target_in) if forced is None else self._one_by_one(source, target_in, forced)

    @abstractmethod
    def all_at_once(self, source: Tensor, target_in: Tensor) -> Tensor:
        """Logits (N, T, V) as `write` gives them token by token, but faster."""

    def _one_by_one(self, source: Tensor, target_in: Tensor, forced: Tensor) -> Tensor:
        memory = self.read(source)
        state, written = self.start(memory), []
        for t in range(target_in.shape[1]):
            tokens = target_in[:, t]
            if written:
                tokens = torch.where(forced[:, t], tokens, written[-1].argmax(1))
            logits, state = self.write(memory, state, tokens)
            written.append(logits)
        return torch.stack(written, dim=1)

    @abstractmethod
    def read(self, source: Tensor) -> Memory:
        """What the decoder needs of the sources (N, S)."""

    @abstractmethod
    def start(self, memory: Memory) -> State:
        """The decoder's state before BOS."""

    @abstractmethod
    def write(self, memory: Memory, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """Logits (N, V) of the token after the last tokens (N,), and the next state."""

    def align(self, source: Tensor, target_in: Tensor) -> Tensor | None:
        """How much the decoder looked at each source token as it wrote the next one: weights (N, T, S) with sums of 1.

        None without attention.
        """
        return None

    def ends(self, source: Tensor) -> Tensor | None:
        """The encoder's last state (N, D), which without attention is all that the decoder knows; None without one."""
        return None


def lengths_of(tokens: Tensor) -> Tensor:
    """The number (N,) of tokens of each row (N, S), without pads."""
    return (tokens != PAD).sum(1)
