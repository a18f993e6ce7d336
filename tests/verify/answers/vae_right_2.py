"""Linear layers, torch.distributions for sampling and divergence, the terms returned beside the sum."""

import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence


class VAE(nn.Module):
    def __init__(self, latent_size):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.Tanh(), nn.Linear(64, 2 * latent_size))
        self.decoder = nn.Sequential(
            nn.Linear(latent_size, 64), nn.Tanh(), nn.Linear(64, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))
        )

    def encode(self, x):
        return self.encoder(x).chunk(2, dim=1)

    def sample_latent(self, mean_z, logvar_z):
        return Normal(mean_z, (logvar_z / 2).exp()).rsample()

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x):
        mean_z, logvar_z = self.encode(x)
        z = self.sample_latent(mean_z, logvar_z)
        return [self.decode(z), mean_z, logvar_z]


def reconstruction_loss(recon_x, x):
    return Bernoulli(probs=recon_x, validate_args=False).log_prob(x).flatten(1).sum(1).mean().neg()


def kl_loss(mean_z, logvar_z):
    return kl_divergence(Normal(mean_z, (logvar_z / 2).exp()), Normal(0.0, 1.0)).sum(dim=-1).mean()


def loss_function(recon_x, x, mean_z, logvar_z):
    recon, kl = reconstruction_loss(recon_x, x), kl_loss(mean_z, logvar_z)
    return recon + kl, recon, kl
