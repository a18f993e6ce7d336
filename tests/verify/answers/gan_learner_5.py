"""A first attempt: noise from the wrong interval inside the step, and D's gradients never reset."""

import torch
from gan_right_1 import *


def train_step(D, G, D_solver, G_solver, discriminator_loss, generator_loss, real, noise_dim):
    fake = G(torch.rand(len(real), noise_dim)).detach()
    discriminator_loss(D(real), D(fake)).backward()
    D_solver.step()
    G_solver.zero_grad()
    generator_loss(D(G(torch.rand(len(real), noise_dim)))).backward()
    G_solver.step()
