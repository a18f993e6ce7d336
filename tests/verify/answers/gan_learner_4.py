"""A first attempt: one backward pass for both losses, and an optimizer of the first layer."""

import torch
from gan_right_2 import *
from gan_right_2 import sample_noise


def get_optimizer(model):
    return torch.optim.Adam(model[0].parameters(), lr=1e-3, betas=(0.5, 0.999))


def train_step(D, G, D_solver, G_solver, discriminator_loss, generator_loss, real, noise_dim):
    fake = G(sample_noise(len(real), noise_dim))
    d_loss = discriminator_loss(D(real), D(fake))
    g_loss = generator_loss(D(fake))
    D_solver.zero_grad()
    G_solver.zero_grad()
    (d_loss + g_loss).backward()
    D_solver.step()
    G_solver.step()
