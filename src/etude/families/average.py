"""The running average of a network's weights, if the recipe asks for one: what is then evaluated and measured."""

import copy

from torch import nn

from etude.families.family import Networks
from etude.families.recipe import Recipe


def with_average(recipe: Recipe, name: str, network: nn.Module) -> Networks:
    """The network by its name, after the running average of its weights, which begins at the same weights."""
    average = {"average": copy.deepcopy(network)} if recipe.optimizer.average else {}
    return {**average, name: network}
