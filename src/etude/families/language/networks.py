"""The networks of a run, once its network is built."""

from torch import nn

from etude.data.kinds import RunningText
from etude.errors import UsageError
from etude.families.average import with_average
from etude.families.family import Networks
from etude.families.language.recipe import Language


def networks_of(recipe: Language, kind: RunningText, name: str, network: nn.Module) -> Networks:
    """See `with_average`. Raises `UsageError` for a loss on the answers of a text that asks nothing."""
    if recipe.loss_on == "answer" and not kind.asks:
        raise UsageError(f"--loss-on answer: {recipe.data} asks nothing; train on cue, or leave it out.")
    return with_average(recipe, name, network)
