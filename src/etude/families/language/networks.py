"""The networks of a run, once its network is built."""

import copy

from torch import nn

from etude.data.kinds import RunningText
from etude.errors import UsageError
from etude.families.family import Networks
from etude.families.language.recipe import Language


def networks_of(recipe: Language, kind: RunningText, name: str, network: nn.Module) -> Networks:
    """The network under its name, and before it the running average of its weights, if the recipe wants one.

    Raises `UsageError` for a loss on the answers of a text that asks nothing.
    """
    if recipe.loss_on == "answer" and not kind.asks:
        raise UsageError(f"--loss-on answer: {recipe.data} asks nothing; train on cue, or leave it out.")
    average = {"average": copy.deepcopy(network)} if recipe.optimizer.average else {}
    return {**average, name: network}
