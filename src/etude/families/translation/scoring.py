"""How likely a translator finds given translations, token by token."""

import torch
from torch import Tensor

from etude.data.text.vocabulary import PAD
from etude.families.abilities import TokenScores
from etude.families.translation.translator import Translator, lengths_of

SENTENCES_AT_ONCE = 100


@torch.no_grad()
def token_scores(network: Translator, source: Tensor, target: Tensor) -> TokenScores:
    """Scores of targets (N, T) given sources (N, S), with the right tokens before each one (teacher forcing)."""
    nats = torch.zeros(len(target), target.shape[1] - 1, dtype=torch.float64, device=target.device)
    right = torch.zeros_like(nats, dtype=torch.bool)
    lengths, widths = lengths_of(source), lengths_of(target)
    for rows in widths.argsort(stable=True).split(SENTENCES_AT_ONCE):
        width = int(widths[rows].max())
        targets = target[rows, :width]
        logits = network(source[rows, : int(lengths[rows].max())], targets[:, :-1]).float()  # (n, width − 1, V)
        told = targets[:, 1:]
        nats[rows, : width - 1] = -logits.log_softmax(2).gather(2, told[..., None])[..., 0].double()
        right[rows, : width - 1] = logits.argmax(2) == told
    real = target[:, 1:] != PAD
    return TokenScores(nats * real, right, real)
