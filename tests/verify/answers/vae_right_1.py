"""The exercise's own network, standard formulas."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class VAE(nn.Module):
    def __init__(self, latent_size):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.fc = nn.Linear(64 * 7 * 7, 16)
        self.fc_mean = nn.Linear(16, latent_size)
        self.fc_logvar = nn.Linear(16, latent_size)
        self.fc_dec = nn.Linear(latent_size, 64 * 7 * 7)
        self.deconv1 = nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)
        self.deconv2 = nn.ConvTranspose2d(32, 1, 3, stride=2, padding=1, output_padding=1)

    def encode(self, x):
        h = F.relu(self.conv2(F.relu(self.conv1(x))))
        h = F.relu(self.fc(h.view(h.size(0), -1)))
        return self.fc_mean(h), self.fc_logvar(h)

    def sample_latent(self, mean_z, logvar_z):
        std = torch.exp(0.5 * logvar_z)
        return mean_z + std * torch.randn_like(std)

    def decode(self, z):
        h = F.relu(self.fc_dec(z)).view(-1, 64, 7, 7)
        return torch.sigmoid(self.deconv2(F.relu(self.deconv1(h))))

    def forward(self, x):
        mean_z, logvar_z = self.encode(x)
        return self.decode(self.sample_latent(mean_z, logvar_z)), mean_z, logvar_z


def reconstruction_loss(recon_x, x):
    return F.binary_cross_entropy(recon_x, x, reduction="sum") / x.shape[0]


def kl_loss(mean_z, logvar_z):
    return -0.5 * torch.sum(1 + logvar_z - mean_z.pow(2) - logvar_z.exp()) / mean_z.shape[0]


def loss_function(recon_x, x, mean_z, logvar_z):
    return reconstruction_loss(recon_x, x) + kl_loss(mean_z, logvar_z)
