"""Families: everything that makes a classifier, a GAN or a VAE what it is, one folder per family.

A folder holds the family's recipe (`recipe`, without PyTorch), its way to train (`learner`), what its trained networks
can do (`trained`), and the object that names them all (`family.FAMILY`).

Import the parts of your own family from here: `from etude.families import Family, Learner, Network, Recipe`. They load
when first used, because recipes need no PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etude.families.abilities import Bounds, Classifies, Encodes, Predicts, Samples, Told
    from etude.families.descent import Descent, Losses, Networks
    from etude.families.family import Family, Network, Traits
    from etude.families.learner import Batch, Learner
    from etude.families.preview import ImageGrid
    from etude.families.ranges import Range
    from etude.families.recipe import Optimizer, Recipe
    from etude.families.series import Curve, Panel, Quantity, Series
    from etude.families.trained import TrainedNetworks

_HOMES = {
    "abilities": ("Bounds", "Classifies", "Encodes", "Predicts", "Samples", "Told"),
    "descent": ("Descent", "Losses", "Networks"),
    "family": ("Family", "Network", "Traits"),
    "learner": ("Batch", "Learner"),
    "preview": ("ImageGrid",),
    "ranges": ("Range",),
    "recipe": ("Optimizer", "Recipe"),
    "series": ("Curve", "Panel", "Quantity", "Series"),
    "trained": ("TrainedNetworks",),
}

__all__ = [
    "Batch",
    "Bounds",
    "Classifies",
    "Curve",
    "Descent",
    "Encodes",
    "Family",
    "ImageGrid",
    "Learner",
    "Losses",
    "Network",
    "Networks",
    "Optimizer",
    "Panel",
    "Predicts",
    "Quantity",
    "Range",
    "Recipe",
    "Samples",
    "Series",
    "Told",
    "TrainedNetworks",
    "Traits",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"etude.families.{module}"), name)
    raise AttributeError(f"module 'etude.families' has no attribute {name!r}")
