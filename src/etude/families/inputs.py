"""Examples as networks take them, and back."""

import torch
from torch import Tensor

from etude.data.kinds import Images, Kind

EXAMPLES_AT_ONCE = 500
"""How many examples a network gets at once if nothing is learned: enough to be fast, few enough for the memory."""


def scaled(kind: Kind, examples: Tensor) -> Tensor:
    """Convert examples to float32: images, uint8 or already in [0, 1], to [0, 1]; features standardised."""
    if isinstance(kind, Images) and examples.dtype != torch.uint8:
        return examples
    return kind.scaled(examples)


def signed(kind: Kind, examples: Tensor) -> Tensor:
    """The same with images in [-1, 1], like Normalize(mean 0.5, std 0.5)."""
    examples = scaled(kind, examples)
    return examples * 2 - 1 if isinstance(kind, Images) else examples


def unsigned(kind: Kind, examples: Tensor) -> Tensor:
    """The inverse of `signed`: images in [0, 1]; features in their own units."""
    return (examples + 1) / 2 if isinstance(kind, Images) else kind.unscaled(examples)
