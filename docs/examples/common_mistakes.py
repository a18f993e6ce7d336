"""Mistakes that many make: `etude verify CONTRACT.CHECK common_mistakes.py` names each."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def train_step(
    net: nn.Module, optimizer: torch.optim.Optimizer, criterion: nn.Module, images: Tensor, labels: Tensor
) -> None:
    """Gradients are not reset."""
    criterion(net(images), labels).backward()
    optimizer.step()


def sample_noise(batch_size: int, dim: int) -> Tensor:
    """In [0, 1]."""
    return torch.rand(batch_size, dim)


def generator_loss(logits_fake: Tensor) -> Tensor:
    """The form that saturates."""
    return torch.log(1 - torch.sigmoid(logits_fake)).mean()


def kl_loss(mean_z: Tensor, logvar_z: Tensor) -> Tensor:
    """The factor ½ is missing."""
    return -(1 + logvar_z - mean_z**2 - logvar_z.exp()).sum(1).mean()


def numerical_grad(loss_fn: Callable[[], Tensor], param: Tensor, eps: float) -> Tensor:
    """The entry is changed in a copy, and the loss never sees it."""
    gradient = torch.zeros_like(param)
    for index in range(param.numel()):
        moved = param.detach().clone()
        moved.view(-1)[index] += eps
        above = loss_fn()
        moved.view(-1)[index] -= 2 * eps
        gradient.view(-1)[index] = ((above - loss_fn()) / (2 * eps)).detach()
    return gradient
