"""What the networks of a run are given in place of an image: signed, grey, or binary pixels."""

import torch
from torch import Tensor

from etude.metrics.likelihood import binarize
from etude.recipes import Recipe, Variational

IMAGES_AT_ONCE = 500
"""How many images a network is given at once where nothing is learned: enough to be quick, few enough for memory."""


def scaled(recipe: Recipe, images: Tensor) -> Tensor:
    """Images, uint8 or float32 in [0, 1], of any shape, in the range of the recipe's networks, float32.

    A VAE's stay in [0, 1]; a classifier's and a GAN's go to [-1, 1], as by Normalize(mean 0.5, std 0.5).
    """
    if images.dtype == torch.uint8:
        images = images.float() / 255
    return images if isinstance(recipe, Variational) else images * 2 - 1


def network_inputs(recipe: Recipe, images: Tensor, *, generator: torch.Generator) -> Tensor:
    """Images, uint8 or float32 in [0, 1], of any shape, as the recipe's networks were trained on them.

    They are `scaled`, and of 0 and 1 where a VAE is trained on binarised pixels, drawn from `generator`; binary images
    stay as they are.
    """
    images = scaled(recipe, images)
    if not isinstance(recipe, Variational) or recipe.binarize == "none":
        return images
    return binarize(images, recipe.binarize, seed=generator)
