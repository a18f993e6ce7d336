"""What holds for any sequence network, whatever its architecture."""

from collections.abc import Callable

import torch
from torch import Tensor

from etude.verify.sampling import fact

ALONE = "a sentence's output does not change with its batch-mates"
PADS = "pads change nothing"
ORDER = "the order of the sentences changes nothing"
KEY_ORDER = "the order of the keys changes nothing"
FUTURE = "nothing comes from the future"


def same(one: Tensor, other: Tensor) -> bool:
    """Equal to rounding; a dimension of one element may be missing."""
    if one.numel() != other.numel():
        return False
    near = 1e-8 if one.dtype == torch.float64 else 1e-4
    return torch.allclose(one.reshape(other.shape), other, rtol=100 * near, atol=near, equal_nan=True)


def alone(run: Callable[..., Tensor], result: Tensor, *batched: Tensor) -> Tensor:
    """Whether each row of the result is what its own inputs give in a batch of one."""
    rows = range(len(batched[0]))
    return fact(all(same(run(*(each[row : row + 1] for each in batched)), result[row : row + 1]) for row in rows))
