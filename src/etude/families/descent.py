"""One step downhill: the only place where gradients are computed and weights change."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

Networks = Mapping[str, Callable[..., Any]]
"""The networks of a learner by name, as functions of tensors."""
Losses = dict[str, Tensor]
"""Named scalars. The first is minimised."""


class Descent(Protocol):
    """Moves the weights of one network against the gradient of a loss. The others stay as they are."""

    def __call__(self, name: str, losses: Callable[[Networks], Losses]) -> Losses:
        """Compute `losses` of the networks, take an optimizer step on network `name`, and return the losses,
        detached."""
        ...


class EagerDescent:
    """Operation by operation, as PyTorch computes by default; final."""

    def __init__(
        self,
        networks: dict[str, nn.Module],
        optimizers: dict[str, Optimizer],
        *,
        clip_norm: float = 0.0,
        averages: Mapping[str, str] | None = None,
    ) -> None:
        self.networks, self.optimizers = networks, optimizers
        self.clip_norm, self.averages, self.decay = clip_norm, averages or {}, 0.0

    def __call__(self, name: str, losses: Callable[[Networks], Losses]) -> Losses:
        """See `Descent`."""
        if len(self.networks) > 1:  # gradients of the others would be computed and thrown away
            for each, network in self.networks.items():
                network.requires_grad_(each == name)
        values = losses(self.networks)
        loss = next(iter(values.values()))
        self.optimizers[name].zero_grad()
        loss.backward()
        if self.clip_norm:
            clip_grad_norm_(self.networks[name].parameters(), self.clip_norm)
        self.optimizers[name].step()
        for average, of in self.averages.items():
            if of == name:
                mine, other = self.networks[name], self.networks[average]
                follow(dict(other.named_parameters()), dict(mine.named_parameters()), decay=self.decay)
                follow(dict(other.named_buffers()), dict(mine.named_buffers()), decay=None)
        return {key: value.detach() for key, value in values.items()}


@torch.no_grad()
def follow(average: Mapping[str, Tensor], tensors: Mapping[str, Tensor], *, decay: Tensor | float | None) -> None:
    """Move running averages towards the tensors with the same names: decay · average + (1 − decay) · tensor.

    Where `decay` is None, as for buffers, the tensors are copied.
    """
    for name, tensor in tensors.items():
        if decay is None:
            average[name].copy_(tensor)
        else:
            average[name].lerp_(tensor, 1 - decay)  # one pass over memory, where a product and a sum take three
