"""Which tokens moved a decision: gradient times input, and occlusion.

Both are of the log-odds of a class, log p / (1 − p): its logit minus the log-sum-exp of the others, in nats.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from etude.data.text.vocabulary import UNK
from etude.errors import UsageError
from etude.families.inputs import EXAMPLES_AT_ONCE
from etude.models.text_classifiers import PAD, OneHot

TABLES = (nn.Embedding, OneHot)


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """log p / (1 − p) (N,) of classes (N,), by logits (N, classes), two at least."""
    of_class = torch.nn.functional.one_hot(labels, logits.shape[1]).bool()
    others = logits.masked_fill(of_class, -torch.inf).logsumexp(dim=1)
    return logits[of_class] - others


@torch.enable_grad()
def gradient_times_input(network: nn.Module, tokens: Tensor, labels: Tensor) -> Tensor:
    """The gradient of the log-odds by each token's vector, times that vector: (N, L), 0 at pads.

    It is what the tokens add to a network that is linear in their vectors; else a tangent (Simonyan et al. 2014,
    "Deep inside convolutional networks"; Denil et al. 2014). The vectors are the outputs of layers of type
    `nn.Embedding` that are given the tokens as they are; `UsageError` where there is none.
    """
    vectors: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if not (isinstance(inputs[0], Tensor) and torch.equal(inputs[0], tokens)):
            return None
        vectors.append(output.detach().requires_grad_())  # a running average of weights asks for no gradient
        return vectors[-1]

    handles = [each.register_forward_hook(keep) for each in network.modules() if isinstance(each, TABLES)]
    try:
        odds = log_odds(network(tokens), labels)
    finally:
        for handle in handles:
            handle.remove()
    if not vectors:
        raise UsageError(
            f"{type(network).__name__} has no nn.Embedding that gets its tokens (N, L) as they are, so there is no "
            "gradient of a word: take --by occlusion."
        )
    gradients = torch.autograd.grad(odds.sum(), vectors, allow_unused=True)
    found = [(g * v).sum(dim=2) for g, v in zip(gradients, vectors, strict=True) if g is not None]  # (N, L) each
    return sum(found, torch.zeros(tokens.shape)).detach() * (tokens != PAD)


@torch.no_grad()
def occlusion(logits: Callable[[Tensor], Tensor], tokens: Tensor, labels: Tensor) -> Tensor:
    """By how much the log-odds fall when <unk> takes the place of a token: (N, L), 0 at pads (Li et al. 2016).

    `logits` gives those of tokens (M, L). A token that is unknown anyway gets 0.
    """
    rows, places = (tokens != PAD).nonzero(as_tuple=True)  # (M,) each
    without = tokens[rows]
    without[torch.arange(len(rows)), places] = UNK
    changed = torch.cat([logits(part) for part in without.split(EXAMPLES_AT_ONCE)])
    falls = log_odds(logits(tokens), labels)[rows] - log_odds(changed, labels[rows])  # (M,)
    return falls.new_zeros(tokens.shape).index_put((rows, places), falls)
