"""Examples as networks take them, and back."""

import torch
from torch import Tensor

from etude.data.kinds import Images, Kind

EXAMPLES_AT_ONCE = 500
"""How many examples a network is given at once where nothing is learned: enough to be quick, few enough for memory."""


def scaled(kind: Kind, examples: Tensor) -> Tensor:
    """Examples of any number as float32: images, uint8 or already in [0, 1], in [0, 1]; features standardised."""
    if isinstance(kind, Images) and examples.dtype != torch.uint8:
        return examples
    return kind.scaled(examples)


def signed(kind: Kind, examples: Tensor) -> Tensor:
    """The same with images in [-1, 1], as by Normalize(mean 0.5, std 0.5)."""
    examples = scaled(kind, examples)
    return examples * 2 - 1 if isinstance(kind, Images) else examples


def unsigned(kind: Kind, examples: Tensor) -> Tensor:
    """Back from `signed`: images in [0, 1]; features in their own units."""
    return (examples + 1) / 2 if isinstance(kind, Images) else kind.unscaled(examples)
