"""What makes a network fast that nobody has measured, guessed from its layers.

Each rule comes from a measurement in docs/performance.md ("A network from outside"). étude's own networks have their
traits in `families`.
"""

from collections.abc import Sequence

import torch
from torch import nn

from etude.families.traits import Traits
from etude.speed.kernels import kernel_of

WIDE_LINEAR, WIDE_CONVOLUTION = 256, 32
"""From this many features or channels on, a layer's products are faster in bf16. Narrower ones lose more by the
casts."""
FULL_CONVOLUTION = 256
"""From this many channels in and out, oneDNN is so fast at convolutions that compiling gains nothing."""
LENET_PARAMETERS, LENET_STEPS = 62_000, 12_000
"""Parameters of the smallest network for which the steps that pay for compiling were measured."""
SMALL = 120_000
"""Up to this many parameters, a second thread gains nothing with few examples at a time."""

Convolution = nn.Conv2d | nn.ConvTranspose2d


def traits_of(networks: Sequence[nn.Module]) -> Traits:
    """The traits of all networks of a run together, before any step."""
    layers = [layer for network in networks for layer in network.modules()]
    convolutions = [layer for layer in layers if isinstance(layer, Convolution)]
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    num_parameters = sum(parameter.numel() for network in networks for parameter in network.parameters())
    wide = any(max(each.in_channels, each.out_channels) >= WIDE_CONVOLUTION for each in convolutions)
    if not convolutions:
        wide = any(min(each.in_features, each.out_features) >= WIDE_LINEAR for each in linear)
    full = any(
        isinstance(each, nn.Conv2d) and min(each.in_channels, each.out_channels) >= FULL_CONVOLUTION
        for each in convolutions
    )
    return Traits(
        channels_last=bool(convolutions),
        bf16=wide,
        bf16_on_a_gpu=False,  # no GPU was available to measure it
        steps_that_pay_for_compiling=None if full else steps_that_pay(num_parameters),
        # Poolings that are functions show only in a step. Convolutions are what they come with.
        own_layers=bool(convolutions) or any(kernel_of(each, torch.float32, compiled=True) for each in layers),
        slower_compiled_without_own_layers=bool(convolutions),
        largest_batch_for_one_thread=0 if num_parameters > SMALL else 4 if convolutions else 64,
    )


def steps_that_pay(num_parameters: int) -> int:
    """The number of compiled steps that pay for compiling: fewer for larger networks.

    A power of the number of parameters, fitted to what was measured for étude's own networks: 12,000 steps for 62,000
    parameters (`lenet`), 9,000 for 97,000 (`vae`), 3,500 for 2.1 million (`gan`), 1,500 for 7.7 million (`dcgan`).
    """
    return round(LENET_STEPS * (LENET_PARAMETERS / max(num_parameters, LENET_PARAMETERS)) ** 0.42)
