"""Flat pixels throughout, dropout and batch-norm in the encoder, noise in train mode only, ε = 1e-6, work in place."""

import torch
from torch import nn


class VAE(nn.Module):
    def __init__(self, latent_size):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(784, 64), nn.BatchNorm1d(64), nn.ReLU(inplace=True), nn.Dropout(0.2))
        self.to_mean, self.to_logvar = nn.Linear(64, latent_size), nn.Linear(64, latent_size)
        self.outer = nn.Sequential(nn.Linear(latent_size, 64), nn.ReLU(), nn.Linear(64, 784), nn.Sigmoid())

    def encode(self, x):
        h = self.inner(x)
        return self.to_mean(h), self.to_logvar(h)

    def sample_latent(self, mean_z, logvar_z):
        if not self.training:
            return mean_z
        std = logvar_z.mul_(0.5).exp_()
        return std.mul(torch.randn_like(std)).add_(mean_z)

    def decode(self, z):
        return self.outer(z)

    def forward(self, x):
        mean_z, logvar_z = self.encode(x)
        return self.decode(self.sample_latent(mean_z, logvar_z.clone())), mean_z, logvar_z


def reconstruction_loss(recon_x, x):
    recon_x.clamp_(1e-6, 1 - 1e-6)
    # (batch, 784): of images (batch, 1, 28, 28) this would be the mean over all but the channel
    return -(x * torch.log(recon_x + 1e-6) + (1 - x) * torch.log(1 - recon_x + 1e-6)).sum(1).mean()


def kl_loss(mean_z, logvar_z):
    mean_z.pow_(2)
    return (mean_z + logvar_z.exp() - 1 - logvar_z).sum(1).mean() / 2


def loss_function(recon_x, x, mean_z, logvar_z):
    return reconstruction_loss(recon_x, x) + kl_loss(mean_z, logvar_z)
