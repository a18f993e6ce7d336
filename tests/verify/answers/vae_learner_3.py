"""A first attempt: no sigmoid at the end, and the KL added with the wrong sign."""

import torch
import torch.nn.functional as F
import vae_right_1
from vae_right_1 import *


class VAE(vae_right_1.VAE):
    def decode(self, z):
        h = F.relu(self.fc_dec(z)).view(-1, 64, 7, 7)
        return self.deconv2(F.relu(self.deconv1(h)))


def kl_loss(mean_z, logvar_z):
    return 0.5 * torch.sum(1 + logvar_z - mean_z.pow(2) - logvar_z.exp(), dim=1).mean()
