"""The exercise as its course publishes it: hand-written stable cross-entropy, `Sequential` networks."""

import torch
from torch import nn


def sample_noise(batch_size, dim):
    return torch.rand(batch_size, dim) * 2 - 1


def discriminator():
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256),
        nn.LeakyReLU(0.01),
        nn.Linear(256, 256),
        nn.LeakyReLU(0.01),
        nn.Linear(256, 1),
    )


def generator(noise_dim=96):
    return nn.Sequential(
        nn.Linear(noise_dim, 1024),
        nn.ReLU(inplace=True),
        nn.Linear(1024, 1024),
        nn.ReLU(inplace=True),
        nn.Linear(1024, 784),
        nn.Tanh(),
    )


def bce_loss(input, target):
    neg_abs = -input.abs()
    loss = input.clamp(min=0) - input * target + (1 + neg_abs.exp()).log()
    return loss.mean()


def discriminator_loss(logits_real, logits_fake):
    real = torch.ones(logits_real.size())
    fake = torch.zeros(logits_fake.size())
    return bce_loss(logits_real, real) + bce_loss(logits_fake, fake)


def generator_loss(logits_fake):
    return bce_loss(logits_fake, torch.ones(logits_fake.size()))


def ls_discriminator_loss(scores_real, scores_fake):
    return 0.5 * torch.mean((scores_real - 1) ** 2) + 0.5 * torch.mean(scores_fake**2)


def ls_generator_loss(scores_fake):
    return 0.5 * torch.mean((scores_fake - 1) ** 2)


def get_optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.5, 0.999))


def build_dc_classifier(batch_size):
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 32, 5),
        nn.LeakyReLU(0.01),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(32, 64, 5),
        nn.LeakyReLU(0.01),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(4 * 4 * 64, 4 * 4 * 64),
        nn.LeakyReLU(0.01),
        nn.Linear(4 * 4 * 64, 1),
    )


def build_dc_generator(noise_dim=96):
    return nn.Sequential(
        nn.Linear(noise_dim, 1024),
        nn.ReLU(),
        nn.BatchNorm1d(1024),
        nn.Linear(1024, 7 * 7 * 128),
        nn.ReLU(),
        nn.BatchNorm1d(7 * 7 * 128),
        nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 4, 2, 1),
        nn.ReLU(),
        nn.BatchNorm2d(64),
        nn.ConvTranspose2d(64, 1, 4, 2, 1),
        nn.Tanh(),
        nn.Flatten(),
    )


def train_step(D, G, D_solver, G_solver, discriminator_loss, generator_loss, real, noise_size):
    D_solver.zero_grad()
    logits_real = D(real)
    fake_images = G(sample_noise(len(real), noise_size)).detach()
    d_total_error = discriminator_loss(logits_real, D(fake_images))
    d_total_error.backward()
    D_solver.step()

    G_solver.zero_grad()
    g_error = generator_loss(D(G(sample_noise(len(real), noise_size))))
    g_error.backward()
    G_solver.step()
    return d_total_error.item(), g_error.item()
