"""Trained networks that can only take examples. A family's own class starts from it."""

from typing import Any

import torch
from torch import Tensor, nn

from etude.data.kinds import Kind
from etude.families.inputs import scaled
from etude.families.recipe import Recipe


class TrainedNetworks:
    """`Trained`, with examples as the data's kind scales them: images in [0, 1], features standardised."""

    conditional = False

    def __init__(self, recipe: Any, networks: dict[str, nn.Module], kind: Kind) -> None:
        self.recipe: Recipe = recipe
        self.networks, self.kind = networks, kind

    def inputs(self, examples: Tensor, *, generator: torch.Generator) -> Tensor:
        """See `Trained`."""
        return scaled(self.kind, examples)
