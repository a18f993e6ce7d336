"""What a person's network allows of what makes networks fast, found out by trying it."""

from torch import Tensor

from etude.families.traits import Traits
from etude.families.trial import Apply, Trial

DRAWS = "{name} draws random numbers of its own, as dropout does"
"""Why the steps of a network that draws are computed operation by operation."""


def stands(trial: Trial, what: str, *inputs: Tensor, call: Apply | None = None) -> Traits:
    """What one network allows, tried with these inputs."""
    eager = list(trial.eager)
    if trial.draws:
        eager.insert(0, DRAWS.format(name=trial.name))
    return Traits(
        channels_last=trial.stands_channels_last(what, *inputs, call=call),
        bf16=trial.stands_bf16(what, *inputs, call=call),
        eager=" and ".join(eager),
    )


def joined(*each: Traits) -> Traits:
    """What all networks allow that one step trains together."""
    return Traits(
        channels_last=all(one.channels_last for one in each),
        bf16=all(one.bf16 for one in each),
        eager=" and ".join(one.eager for one in each if one.eager),
    )
