"""What a learner might hand in: right on the lecture's example, wrong on large logits."""

from torch import Tensor


def softmax(logits: Tensor) -> Tensor:
    return logits.exp() / logits.exp().sum(dim=1, keepdim=True)
