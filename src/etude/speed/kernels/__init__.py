"""Fast kernels for a processor, which replace a network's layers by type. They compute the same, except for rounding.

A layer stays the same object with the same parameters, buffers, hooks and names. Only its class changes, and with it
`forward`. So checkpoints, optimizers and `functional_call` need not know. A kernel replaces layers of one exact class.
Subclasses and parametrised layers are left alone.
"""

import torch
from torch import nn

from etude.speed.kernels import native
from etude.speed.kernels.dropout import Dropout
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
from etude.speed.kernels.recurrent import LSTMInFloat32
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
    Dropout,
    LSTMInFloat32,
)
"""All of them. If several fit a layer, the first is used."""


def use_kernels(network: nn.Module, dtype: torch.dtype, *, compiled: bool, eager: bool = False) -> None:
    """Let kernels compute the layers of the network, which is on a processor, wherever there is one.

    `dtype` is the type of the maps while training. `compiled` also allows kernels that are faster only in a compiled
    step, and that cannot be differentiated twice; `eager` those for steps computed operation by operation. Raises
    `OSError` if the C++ cannot be compiled.
    """
    for layer in network.modules():
        if kernel := kernel_of(layer, dtype, compiled=compiled, eager=eager):
            if kernel.for_compiling:
                native.load()
            layer.__class__ = kernel


def kernel_of(layer: nn.Module, dtype: torch.dtype, *, compiled: bool, eager: bool = False) -> type[Kernel] | None:
    """The kernel that would compute a layer, or None. See `use_kernels`."""
    if any(each.dtype != torch.float32 for each in layer.parameters(recurse=False)):
        return None
    for kernel in KERNELS:
        usable = (compiled or not kernel.for_compiling) and (eager or not kernel.for_eager_steps_only)
        if usable and kernel.replaces is type(layer) and kernel.suits(layer, dtype):
            return kernel
    return None
