"""A teacher's own contract: `softmax(logits)` over the classes of each row."""

import torch
from torch import Tensor

from etude.verify import Check, Contract, mistake
from etude.verify.inputs import batches


def softmax(logits: Tensor, *, dim: int = 1, shifted: bool = True, exponential: bool = True) -> Tensor:
    """e^lᵢ / Σⱼ e^lⱼ over the classes j of each row of logits (batch, classes)."""
    if shifted:
        logits = logits - logits.max(dim, keepdim=True).values  # the same quotient, and e^0 at most
    weights = logits.exp() if exponential else logits
    return weights / weights.sum(dim, keepdim=True)


overflow = mistake("overflows on large logits", "e^1000 = ∞", "e^(l − max l)", shifted=False)

CONTRACT = Contract(
    "softmax",
    "the softmax of a batch of logits",
    (
        Check(
            name="softmax",
            call="softmax(logits) → probabilities (batch, classes)",
            right=softmax,
            mistakes=(
                mistake("over the batch instead of the classes", "Σ over dim 0", "Σ over dim 1", dim=0),
                mistake("exponential forgotten", "lᵢ / Σ lⱼ", "e^lᵢ / Σ e^lⱼ", shifted=False, exponential=False),
                overflow,
            ),
            inputs=batches({"logits": (-5.0, 5.0)}, width=3),
            extremes=({"logits": torch.tensor([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, -999.0]])},),
            overflow=overflow,
        ),
    ),
)
