"""A running text as networks read it: in columns, chunk by chunk, with the state that is carried between chunks.

A network maps symbols (N, T) and a state to scores (N, T, V) and the next state. A state is tensors in lists, tuples or
dictionaries; zeros, or None, are its beginning.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from etude.data import Split
from etude.families.abilities import Told

NetworkOfText = Callable[..., tuple[Tensor, Any]]

MOST_COLUMNS, WARM_UP = 32, 1_000


def columns(num_symbols: int, num_columns: int, chunk: int) -> Tensor:
    """The rows of a text that each step reads, (steps, num_columns · chunk): a chunk of each column, one by one.

    A column is one piece of the text, so that it goes on at a step where it was left at the step before. What does not
    fill a step, at the end of the text, is left out.
    """
    steps = num_symbols // (num_columns * chunk)
    rows = torch.arange(num_columns * steps * chunk).view(num_columns, steps, chunk)
    return rows.transpose(0, 1).flatten(1)


def read(network: NetworkOfText, symbols: Tensor, state: Any, *, cut_each_step: bool = False) -> tuple[Tensor, Any]:
    """Scores (N, T, V) of what follows symbols (N, T), and the state after them.

    With `cut_each_step` no gradient goes from one symbol to the one before it.
    """
    if not cut_each_step:
        return network(symbols, state)
    scores = []
    for symbol in symbols.split(1, dim=1):
        each, state = network(symbol, tree_map_only(Tensor, Tensor.detach, state))
        scores.append(each)
    return torch.cat(scores, dim=1), state


def read_on(
    network: NetworkOfText, before: Sequence[Tensor], there: Tensor, symbols: Tensor, state: Any
) -> tuple[Tensor, Any]:
    """The same with gradients that go back through the chunks `before`, (N, T) each, the oldest first.

    `there` (len(before),) is 0 for those that lie before the text begins, else 1. The state is that before the oldest
    chunk; what comes back is the one after it.
    """
    after_oldest = None
    for chunk, is_there in zip(before, there, strict=True):
        _, state = network(chunk, state)
        state = scaled(state, is_there)
        after_oldest = state if after_oldest is None else after_oldest
    scores, state = network(symbols, state)
    return scores, after_oldest


def read_chunks(network: NetworkOfText, symbols: Tensor, *, chunk: int, carry: bool, detach: str) -> tuple[Tensor, Any]:
    """The same of symbols (N, T), chunk by chunk from a state of zeros on; the scores are those of the last chunk.

    Gradients are cut at each chunk or step as `detach` says. Without `carry` each chunk begins with a state of zeros.
    """
    scores, state = torch.empty(0), None
    for part in symbols.split(chunk, dim=1):
        before = state if carry else None
        if detach == "chunk":
            before = tree_map_only(Tensor, Tensor.detach, before)
        scores, state = read(network, part, before, cut_each_step=detach == "step")
    return scores, state


def scaled(state: Any, factor: Tensor) -> Any:
    """A state times a number: 0 is the beginning of a text, 1 leaves it as it is."""
    return tree_map_only(Tensor, lambda each: each * factor, state)


def carries(state: Any) -> bool:
    """Whether there is anything in a state."""
    return any(isinstance(each, Tensor) for each in tree_leaves(state))


@torch.no_grad()
def tell(network: NetworkOfText, text: Split, *, chunk: int, carry: bool) -> Told:
    """What a network, in evaluation mode, tells after each symbol of a text that it has read up to there.

    With `carry` the text is read in one pass, chunk by chunk; a long one in up to 32 columns at once, each of which
    begins 1,000 symbols early. Without, each chunk begins with a state of zeros.
    """
    symbols, targets = text["symbols"], text["targets"]
    places, is_told = _pass(len(symbols)) if carry else _apart(len(symbols), chunk)
    places, is_told = places.to(symbols.device), is_told.to(symbols.device)
    nats, right = torch.zeros_like(symbols, dtype=torch.float64), torch.zeros_like(symbols, dtype=torch.bool)
    for some, wanted in zip(places.split(MOST_COLUMNS), is_told.split(MOST_COLUMNS), strict=True):
        state = None
        for part, mask in zip(some.split(chunk, dim=1), wanted.split(chunk, dim=1), strict=True):
            scores, state = network(symbols[part], state)
            wrong = -scores.float().log_softmax(2).gather(2, targets[part][..., None])[..., 0]
            nats[part[mask]] = wrong[mask].double()
            right[part[mask]] = (scores.argmax(2) == targets[part])[mask]
    rows = text.columns.get("answers", torch.ones_like(right)).nonzero()[:, 0]
    return Told(rows, nats[rows], right[rows])


def _pass(num_symbols: int) -> tuple[Tensor, Tensor]:
    """Rows of the text in columns (columns, T), and whether each is to be told there."""
    count = max(1, min(MOST_COLUMNS, num_symbols // (4 * WARM_UP)))
    length = -(-num_symbols // count)
    begins = torch.arange(count)[:, None] * length  # (columns, 1)
    rows = (begins - WARM_UP).clamp(min=0) + torch.arange(length + (WARM_UP if count > 1 else 0))
    is_told = (rows >= begins) & (rows < begins + length) & (rows < num_symbols)
    return rows.clamp(max=num_symbols - 1), is_told


def _apart(num_symbols: int, chunk: int) -> tuple[Tensor, Tensor]:
    """The same with a row per chunk."""
    rows = torch.arange(-(-num_symbols // chunk) * chunk).view(-1, chunk)
    return rows.clamp(max=num_symbols - 1), rows < num_symbols
