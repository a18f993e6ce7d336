"""What a learner might hand in: two of the five functions are wrong."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sample_noise(batch_size: int, dim: int) -> Tensor:
    return torch.rand(batch_size, dim)


def bce_loss(input: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(input, target)


def discriminator_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    return bce_loss(logits_real, torch.ones_like(logits_real)) + bce_loss(logits_fake, torch.zeros_like(logits_fake))


def generator_loss(logits_fake: Tensor) -> Tensor:
    return bce_loss(logits_fake, torch.ones_like(logits_fake))


def ls_generator_loss(scores_fake: Tensor) -> Tensor:
    return ((scores_fake - 1) ** 2).mean()
