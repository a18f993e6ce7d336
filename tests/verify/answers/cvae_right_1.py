"""The label as one-hot rows added in the first layer of each half, integer labels."""

import torch
import torch.nn.functional as F
from torch import nn
from vae_right_1 import kl_loss as kl_loss
from vae_right_1 import loss_function as loss_function
from vae_right_1 import reconstruction_loss as reconstruction_loss


class ConditionalVAE(nn.Module):
    def __init__(self, latent_size, num_classes):
        super().__init__()
        self.num_classes = num_classes
        self.conv1 = nn.Conv2d(1, 32, 3, stride=2, padding=1)
        self.label_enc = nn.Linear(num_classes, 32 * 14 * 14)
        self.conv2 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.fc = nn.Linear(64 * 7 * 7, 16)
        self.fc_mean = nn.Linear(16, latent_size)
        self.fc_logvar = nn.Linear(16, latent_size)
        self.fc_dec = nn.Linear(latent_size, 64 * 7 * 7)
        self.label_dec = nn.Linear(num_classes, 64 * 7 * 7)
        self.deconv1 = nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)
        self.deconv2 = nn.ConvTranspose2d(32, 1, 3, stride=2, padding=1, output_padding=1)

    def one_hot(self, y):
        return F.one_hot(y, self.num_classes).type(torch.get_default_dtype())

    def encode(self, x, y):
        h = self.conv1(x) + self.label_enc(self.one_hot(y)).view(-1, 32, 14, 14)
        h = F.relu(self.conv2(F.relu(h)))
        h = F.relu(self.fc(h.flatten(1)))
        return self.fc_mean(h), self.fc_logvar(h)

    def sample_latent(self, mean_z, logvar_z):
        return mean_z + torch.exp(0.5 * logvar_z) * torch.randn_like(mean_z)

    def decode(self, z, y):
        h = F.relu(self.fc_dec(z) + self.label_dec(self.one_hot(y))).view(-1, 64, 7, 7)
        return torch.sigmoid(self.deconv2(F.relu(self.deconv1(h))))

    def forward(self, x, y):
        mean_z, logvar_z = self.encode(x, y)
        return self.decode(self.sample_latent(mean_z, logvar_z), y), mean_z, logvar_z
