"""Other right mathematics: softplus, norms, one pass of D over both halves, NumPy noise."""

import numpy as np
import torch
import torch.nn.functional as F
from gan_right_1 import build_dc_generator as build_dc_generator
from gan_right_2 import build_dc_classifier as build_dc_classifier
from torch import nn


def sample_noise(batch_size, dim):
    return torch.from_numpy(np.random.uniform(-1, 1, size=(batch_size, dim))).to(torch.get_default_dtype())


def discriminator():
    return nn.Sequential(nn.LazyLinear(256), nn.LeakyReLU(), nn.LazyLinear(256), nn.LeakyReLU(), nn.LazyLinear(1))


def generator(noise_dim):
    layers, width = [], noise_dim
    for _ in range(2):
        layers += [nn.Linear(width, 1024), nn.ReLU()]
        width = 1024
    return nn.Sequential(*layers, nn.Linear(width, 784), nn.Tanh())


def bce_loss(input, target):
    return (target * F.softplus(-input) + (1 - target) * F.softplus(input)).sum() / input.numel()


def discriminator_loss(logits_real, logits_fake):
    return F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()


def generator_loss(logits_fake):
    return -F.logsigmoid(logits_fake).mean()


def ls_discriminator_loss(scores_real, scores_fake):
    return ((scores_real - 1).pow(2) + scores_fake.pow(2)).mean() / 2


def ls_generator_loss(scores_fake):
    return torch.linalg.vector_norm(scores_fake - 1) ** 2 / (2 * len(scores_fake))


def get_optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.5, 0.999), weight_decay=0.0)


def train_step(D, G, D_solver, G_solver, discriminator_loss, generator_loss, real, noise_dim):
    n = len(real)
    scores = D(torch.cat([real, G(sample_noise(n, noise_dim)).detach()]))
    D_solver.zero_grad()
    discriminator_loss(scores[:n], scores[n:]).backward()
    D_solver.step()
    loss = generator_loss(D(G(sample_noise(n, noise_dim))))
    G.zero_grad()
    loss.backward()
    G_solver.step()
