"""One step downhill: the one place where gradients are computed and weights move."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

Networks = Mapping[str, Callable[..., Any]]
"""The networks of a learner by name, to apply to tensors."""
Losses = dict[str, Tensor]
"""Named scalars; the first is what is minimised."""


class Descent(Protocol):
    """Moves the weights of one network against the gradient of a loss; the others stay as they are."""

    def __call__(self, name: str, losses: Callable[[Networks], Losses]) -> Losses:
        """Compute `losses` of the networks, take one optimizer step on network `name`, return them detached."""
        ...


class EagerDescent:
    """Operation by operation, as PyTorch does by itself; final."""

    def __init__(self, networks: dict[str, nn.Module], optimizers: dict[str, Optimizer]) -> None:
        self.networks, self.optimizers = networks, optimizers

    def __call__(self, name: str, losses: Callable[[Networks], Losses]) -> Losses:
        """See `Descent`."""
        if len(self.networks) > 1:  # gradients of the others would be computed and thrown away
            for each, network in self.networks.items():
                network.requires_grad_(each == name)
        values = losses(self.networks)
        loss = next(iter(values.values()))
        self.optimizers[name].zero_grad()
        loss.backward()
        self.optimizers[name].step()
        return {key: value.detach() for key, value in values.items()}
