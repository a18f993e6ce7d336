"""Fast kernels for a processor, which take the place of a network's layers by type.

They compute the same, but for rounding. A layer stays the same object with the same parameters, buffers, hooks and
names: only its class changes, and with it `forward`. So checkpoints, optimizers and `functional_call` need not know. A
layer of any other class than the very one that a kernel replaces, a subclass or a parametrised one say, is left alone.
"""

import torch
from torch import nn

from etude.speed.kernels import native
from etude.speed.kernels.layers import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNormOfPixelsAsTheyLie,
    Convolution,
    ConvolutionOfGrey,
    ConvolutionToGrey,
    Kernel,
    LinearFromMapsAsTheyLie,
    LinearToMapsInChannelsLast,
)
from etude.speed.kernels.transposed import TransposedByProducts

KERNELS: tuple[type[Kernel], ...] = (
    ConvolutionOfGrey,
    Convolution,
    ConvolutionToGrey,
    TransposedByProducts,
    BatchNorm1d,
    BatchNorm2d,
    BatchNormOfPixelsAsTheyLie,
    LinearFromMapsAsTheyLie,
    LinearToMapsInChannelsLast,
)
"""All of them; of several that suit a layer the first is taken."""


def use_kernels(network: nn.Module, dtype: torch.dtype, *, compiled: bool) -> None:
    """From now on kernels compute the layers of the network for which there are some; it is on a processor.

    `dtype` is what maps are computed in while training. `compiled` allows those that pay only in a compiled step, and
    that cannot be differentiated twice. Raises `OSError` where the C++ cannot be compiled.
    """
    for layer in network.modules():
        if kernel := kernel_of(layer, dtype, compiled=compiled):
            if kernel.for_compiling:
                native.load()
            layer.__class__ = kernel


def kernel_of(layer: nn.Module, dtype: torch.dtype, *, compiled: bool) -> type[Kernel] | None:
    """The kernel that would compute a layer, if any; see `use_kernels`."""
    if any(each.dtype != torch.float32 for each in layer.parameters(recurse=False)):
        return None
    usable = (each for each in KERNELS if each.replaces is type(layer) and (compiled or not each.for_compiling))
    return next((each for each in usable if each.suits(layer, dtype)), None)
