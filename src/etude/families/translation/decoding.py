"""Writing translations: the most likely next token each time, or a beam of the best unfinished sentences."""

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from etude.data.text.vocabulary import BOS, EOS, PAD, UNK
from etude.families.translation.translator import Translator, lengths_of

NEVER = (PAD, UNK, BOS)
"""What is never written."""
SENTENCES_AT_ONCE = 250
MOST_EXTRA = 10
"""A translation has at most twice the tokens of its source and this many more."""


@torch.no_grad()
def translated(network: Translator, source: Tensor, *, beam: int = 1) -> list[list[int]]:
    """The tokens of each translation, without BOS and EOS, of sources (N, S).

    Sources of like lengths are translated together. With a beam of 1 each token is the most likely one.
    """
    lengths = lengths_of(source)
    order = lengths.argsort(stable=True)
    found: list[list[int]] = [[] for _ in range(len(source))]
    for rows in order.split(max(1, SENTENCES_AT_ONCE // beam)):
        longest = int(lengths[rows].max())
        written = search(network, source[rows, :longest], beam=beam, room=2 * lengths[rows] + MOST_EXTRA)
        for row, tokens in zip(rows.tolist(), written.tolist(), strict=True):
            found[row] = tokens[: tokens.index(EOS)] if EOS in tokens else [each for each in tokens if each != PAD]
    return found


def search(network: Translator, source: Tensor, *, beam: int, room: Tensor) -> Tensor:
    """Beam search: the best translation of each source (N, S), int64 (N, T), EOS and PAD after it.

    Of all that could be written next, the `beam` most likely sentences are kept. One that ends is a candidate, by the
    mean log-probability of its tokens. A source is done once it has `beam` candidates, or as many tokens are written as
    it has room for (N,); if none has ended by then, the most likely one is cut there.
    """
    num, device = len(source), source.device
    memory = tree_map(lambda tensor: tensor.repeat_interleave(beam, dim=0), network.read(source))
    state = network.start(memory)
    last = torch.full((num * beam,), BOS, device=device)
    scores = torch.full((num, beam), -torch.inf, device=device)
    scores[:, 0] = 0  # the others are its equals: at the first step they would give the same sentences again
    sentences = torch.zeros(num, beam, 0, dtype=torch.int64, device=device)
    best = torch.full((num, int(room.max())), PAD, device=device)
    best_score, num_ended = torch.full((num,), -torch.inf, device=device), torch.zeros(num, device=device)
    first_row = beam * torch.arange(num, device=device)[:, None]

    for length in range(1, best.shape[1] + 1):
        logits, state = network.write(memory, state, last)
        allowed = logits.float().log_softmax(-1).index_fill(1, torch.tensor(NEVER, device=device), -torch.inf)
        totals = (scores[:, :, None] + allowed.view(num, beam, -1)).flatten(1)  # (N, beam · V)
        # Twice as many as are kept: if all sentences of the beam end, as many go on.
        scores, choice = totals.topk(2 * beam)
        parent, token = choice // allowed.shape[1], choice % allowed.shape[1]  # (N, 2 · beam)
        grown = torch.cat([sentences.gather(1, parent[..., None].expand(-1, -1, length - 1)), token[..., None]], dim=2)

        # Those among the best that end, by the mean log-probability of their tokens.
        ends = (token[:, :beam] == EOS) & (scores[:, :beam] > -torch.inf)
        means = torch.where(ends, scores[:, :beam] / length, -torch.inf)
        mean, which = means.max(1)
        better = (mean > best_score) & (num_ended < beam)
        best[better, :length] = grown[better, which[better]]
        best_score = torch.where(better, mean, best_score)
        num_ended += ends.sum(1)

        # The best of those that go on.
        scores, kept = torch.where(token == EOS, -torch.inf, scores).topk(beam)
        sentences = grown.gather(1, kept[..., None].expand(-1, -1, length))
        cut = (length == room) & (best_score == -torch.inf)
        best[cut, :length] = sentences[cut, 0]
        if ((num_ended >= beam) | (length >= room)).all():
            break
        num_ended[length >= room] = beam
        last = token.gather(1, kept).flatten()
        rows = (first_row + parent.gather(1, kept)).flatten()
        state = tree_map(lambda tensor, rows=rows: tensor[rows], state)
    return best
