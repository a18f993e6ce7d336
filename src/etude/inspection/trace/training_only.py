"""Parameters that take part in training alone: auxiliary heads, noise on a router, adapters merged in evaluation."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from etude.inspection.trace.failures import one_line
from etude.inspection.trace.outputs import tensors_in
from etude.inspection.trace.twin import own_copy, twin_of, undisturbed, without_elements

NUM_PASSES = 3
"""A layer that is skipped at random has that many chances to take part."""
LARGE = 10**9
"""Parameters times numbers of the input: above it, tensors without elements go first."""


def gradient_in_training(
    module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], names: list[str]
) -> tuple[set[str], str]:
    """Which of these parameters get a gradient from the outputs in training mode, and why that is not known, if so.

    Batch-norm stays in eval mode: it would refuse the single example that a report is often made of.
    """
    tensors = [leaf for leaf in tree_flatten((inputs, keywords))[0] if isinstance(leaf, Tensor)]
    large = sum(p.numel() for p in module.parameters()) * max((leaf.numel() for leaf in tensors), default=1) > LARGE
    with undisturbed():
        if large:
            with suppress(Exception), torch.device("meta"):  # shapes decide nearly every path
                return _paths(module, inputs, keywords, names, without_elements), ""
        try:
            return _paths(module, inputs, keywords, names, None), ""
        except (Exception, SystemExit) as error:
            return set(), one_line(error)


def _paths(
    module: nn.Module,
    inputs: tuple[Any, ...],
    keywords: dict[str, Any],
    names: list[str],
    make: Callable[[Tensor], Tensor] | None,
) -> set[str]:
    found: set[str] = set()
    for seed in range(NUM_PASSES):
        twin = twin_of(module, make).train()
        for part in twin.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()
        parameters = dict(twin.named_parameters(remove_duplicate=False))
        wanted = {name: parameters[name] for name in names if parameters[name].requires_grad}
        torch.manual_seed(seed)
        given, named = tree_map(lambda leaf: own_copy(leaf, make) if make else own_copy(leaf), (inputs, keywords))
        with torch.enable_grad():
            outputs = [leaf for leaf in tensors_in(twin(*given, **named)) if leaf.requires_grad]
            if outputs and wanted:  # whether a path exists matters alone: backwards from each output, whatever it is
                ones = [torch.ones_like(leaf) for leaf in outputs]
                gradients = torch.autograd.grad(outputs, list(wanted.values()), ones, allow_unused=True)
                found |= {name for name, gradient in zip(wanted, gradients, strict=True) if gradient is not None}
        if len(found) == len(wanted):
            break
    return found
