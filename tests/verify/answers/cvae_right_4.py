"""Flat pixels beside one-hot labels, dropout in both halves."""

import torch
from torch import nn
from vae_right_4 import kl_loss as kl_loss
from vae_right_4 import loss_function as loss_function
from vae_right_4 import reconstruction_loss as reconstruction_loss


class ConditionalVAE(nn.Module):
    def __init__(self, latent_size, num_classes):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(784 + num_classes, 64), nn.Dropout(0.1), nn.ReLU())
        self.heads = nn.ModuleList([nn.Linear(64, latent_size), nn.Linear(64, latent_size)])
        self.outer = nn.Sequential(
            nn.Linear(latent_size + num_classes, 64), nn.Dropout(0.1), nn.ReLU(), nn.Linear(64, 784), nn.Sigmoid()
        )

    def encode(self, x, y):
        h = self.inner(torch.cat([x, y], 1))
        return [head(h) for head in self.heads]

    def sample_latent(self, mean_z, logvar_z):
        return mean_z + (logvar_z / 2).exp_() * torch.randn_like(mean_z)

    def decode(self, z, y):
        return self.outer(torch.cat([z, y], 1))

    def forward(self, x, y):
        mean_z, logvar_z = self.encode(x, y)
        return self.decode(self.sample_latent(mean_z, logvar_z), y), mean_z, logvar_z
