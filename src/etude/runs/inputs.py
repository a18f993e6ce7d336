"""What the networks of a run are given in place of an image: signed, grey, or binary pixels."""

import torch
from torch import Tensor

from etude.metrics.likelihood import binarize
from etude.recipes import Recipe, Variational


def network_inputs(recipe: Recipe, images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Images in [0, 1], of any shape, as the recipe's networks were trained on them.

    Those of a VAE are grey, or of 0 and 1 where it is trained on binarised pixels, drawn from `generator`; binary
    images stay as they are. A classifier's and a GAN's are scaled to [-1, 1], as by Normalize(mean 0.5, std 0.5).
    """
    if not isinstance(recipe, Variational):
        return images * 2 - 1
    return images if recipe.binarize == "none" else binarize(images, recipe.binarize, seed=generator)
