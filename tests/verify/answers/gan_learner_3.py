"""A first attempt: the minimax generator loss of the paper's first page, and one noise for the whole step."""

import torch
from gan_right_2 import *
from gan_right_2 import sample_noise


def generator_loss(logits_fake):
    return torch.log(1 - torch.sigmoid(logits_fake)).mean()


def train_step(D, G, D_solver, G_solver, discriminator_loss, generator_loss, real, noise_dim):
    fake = G(sample_noise(len(real), noise_dim))
    D_solver.zero_grad()
    discriminator_loss(D(real), D(fake.detach())).backward()
    D_solver.step()
    G_solver.zero_grad()
    generator_loss(D(fake)).backward()
    G_solver.step()
