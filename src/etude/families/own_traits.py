"""What makes a person's network fast, told by its layers and by trying it."""

from torch import Tensor, nn

from etude.families.family import Traits
from etude.families.trial import Apply, Trial

STEPS_THAT_PAY_FOR_COMPILING = 12_000
"""As lenet's: not measured on this network."""


def traits_of(module: nn.Module, trial: Trial, what: str, *inputs: Tensor, call: Apply | None = None) -> Traits:
    """The traits of one network, tried with these inputs."""
    convolves = any(isinstance(part, nn.Conv2d | nn.ConvTranspose2d) for part in module.modules())
    eager = list(trial.eager)
    if trial.draws:
        eager.insert(0, f"{trial.name} draws random numbers of its own, as dropout does")
    bf16 = convolves and trial.stands_bf16(what, *inputs, call=call)
    return Traits(
        channels_last=trial.stands_channels_last(what, *inputs, call=call),
        bf16=bf16,
        bf16_on_a_gpu=bf16,
        steps_that_pay_for_compiling=STEPS_THAT_PAY_FOR_COMPILING,
        eager=" and ".join(eager),
    )


def joined(*each: Traits) -> Traits:
    """The traits of networks that one step trains together."""
    return Traits(
        channels_last=all(one.channels_last for one in each),
        bf16=all(one.bf16 for one in each),
        bf16_on_a_gpu=all(one.bf16_on_a_gpu for one in each),
        steps_that_pay_for_compiling=STEPS_THAT_PAY_FOR_COMPILING,
        eager=" and ".join(one.eager for one in each if one.eager),
    )
