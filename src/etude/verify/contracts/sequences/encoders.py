"""Encoders of whole sentences, of any architecture: each row is its own sentence's, and pads do not matter."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from etude.verify.contract import Check, mistake
from etude.verify.contracts.sequences.calling import made_module
from etude.verify.contracts.sequences.properties import ALONE, ORDER, PADS, same
from etude.verify.contracts.sequences.states import bidirectional_state, last_layer_state
from etude.verify.inputs import generator
from etude.verify.observation import Observation, Refused, call, tensor_result
from etude.verify.sampling import fact

_PAD, _VOCABULARY = 0, 12


class Encoder(nn.Module):
    """Embedding, then a bidirectional GRU over packed sentences: (batch, 2 · hidden)."""

    def __init__(
        self,
        vocabulary_size: int,
        pad_index: int,
        *,
        packed: bool = True,
        restored: bool = True,
        along_batch: bool = False,
        viewed: bool = False,
        normalised: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, 5, padding_idx=pad_index)
        self.gru = nn.GRU(5, 4, batch_first=not along_batch, bidirectional=not along_batch)
        self.packed, self.restored, self.viewed, self.normalised = packed, restored, viewed, normalised

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        rows = torch.arange(len(tokens))
        if not self.gru.batch_first:  # wrong: goes from sentence to sentence
            return self.gru(self.embedding(tokens))[0][rows, lengths - 1]
        if not self.packed:  # wrong: the backward direction starts in the pads
            return bidirectional_state(self.gru(self.embedding(tokens))[0], lengths)
        order = torch.argsort(lengths, descending=True, stable=True)
        words = pack_padded_sequence(self.embedding(tokens[order]), lengths[order], batch_first=True)
        h_n = self.gru(words)[1]  # (2, batch, hidden)
        states = h_n.reshape(len(tokens), -1) if self.viewed else last_layer_state(h_n)
        states = states[torch.argsort(order)] if self.restored else states
        return (states - states.mean(0)) if self.normalised else states


def _observe_encoder(candidate: Any, case: Mapping[str, Any], seen: Observation | None) -> Observation:
    """Nothing is asked of the architecture: only which words each sentence's row depends on."""
    module = made_module(candidate, _VOCABULARY, pad=_PAD)
    random = generator(case["seed"])
    lengths = torch.tensor([3, 5, 2, 4])[torch.randperm(4, generator=random)]
    rows = range(len(lengths))
    tokens = torch.randint(1, _VOCABULARY, (len(lengths), 5), generator=random)
    other_words = tokens % (_VOCABULARY - 1) + 1
    padded = tokens.masked_fill(torch.arange(5) >= lengths[:, None], _PAD)
    whole = torch.full_like(lengths, 5)
    order = torch.tensor([2, 0, 3, 1])

    result = _encoded(module, padded, lengths)
    each_alone = [_encoded(module, tokens[row : row + 1, : lengths[row]], lengths[row : row + 1])[0] for row in rows]
    ordered = _encoded(module, padded[order], lengths[order])
    more_pads = _encoded(module, torch.cat([padded, torch.full_like(padded, _PAD)], 1), lengths)
    full = _encoded(module, tokens, whole)
    # One sentence after the other gets other words: whose rows change?
    changed = [
        _encoded(module, torch.where(torch.arange(len(rows))[:, None] == row, other_words, tokens), whole)
        for row in rows
    ]
    depends = [[not same(each[row], full[row]) for each in changed] for row in rows]
    return Observation(
        {
            "a row depends on its own sentence": fact(all(depends[row][row] for row in rows)),
            PADS: fact(same(more_pads, result)),
            ALONE: fact(all(map(same, each_alone, result))),
            ORDER: fact(same(ordered, result[order])),
            "each row is that of some sentence alone": fact(
                all(any(same(one, row) for one in each_alone) for row in result)
            ),
            "which row depends on which sentence": torch.tensor(depends).float(),
        }
    )


def _encoded(module: nn.Module, tokens: Tensor, lengths: Tensor) -> Tensor:
    """One row per sentence; of several results the first that is such."""
    try:
        result = call(module, tokens, lengths.clone(), name="its forward")
    except Refused as error:
        if error.kind != "signature":
            raise
        result = call(module, tokens, name="its forward")  # it counts the pads itself
    several = result if isinstance(result, tuple | list) and result else (result,)
    found = [tensor_result(each, "its forward") for each in several if isinstance(each, Tensor)]
    fits = [each for each in found if each.ndim == 2 and len(each) == len(tokens)]
    if not fits:
        first = tensor_result(several[0], "its forward")
        raise Refused("shape", f"its forward has shape {tuple(first.shape)}; expected ({len(tokens)}, features)")
    return fits[0].detach()


CHECKS = (
    Check(
        name="encoder",
        call="encoder(vocabulary_size, pad_index) → module of (tokens (batch, length), lengths), or of tokens, to one "
        "row per sentence; any architecture",
        right=Encoder,
        mistakes=(
            mistake("pads are read as words",
                    "the last state is taken at a pad, or the backward direction starts there",
                    "state at lengths − 1; pack, or turn each sentence by its own length", packed=False),
            mistake("packed order not restored", "rows sorted by length", "rows in the order given", restored=False),
            mistake("batch_first on one side only", "the network goes from sentence to sentence",
                    "batch_first=True for (batch, length, …)", along_batch=True),
            mistake("view mixes sentences", "h_n.view(batch, −1)", "cat(h_n[−2], h_n[−1])", viewed=True),
            mistake("normalised over the batch", "state − mean over the batch", "the state itself", normalised=True),
        ),
        seeded=lambda first: ({"seed": first + 1}, {"seed": first + 2}),
        observe=_observe_encoder,
        points=2,
    ),
)  # fmt: skip
