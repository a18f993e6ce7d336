"""A first attempt: noise from rand, and the discriminator's labels the wrong way round."""

import torch
from gan_right_1 import *
from gan_right_1 import bce_loss


def sample_noise(batch_size, dim):
    return torch.rand(batch_size, dim)


def discriminator_loss(logits_real, logits_fake):
    real_loss = bce_loss(logits_real, torch.zeros_like(logits_real))
    fake_loss = bce_loss(logits_fake, torch.ones_like(logits_fake))
    return real_loss + fake_loss
