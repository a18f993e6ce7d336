"""A first attempt: the classes counted for MNIST only, and the loss without its KL."""

import torch.nn.functional as F
import torch
import cvae_right_1
from cvae_right_1 import *
from cvae_right_1 import reconstruction_loss


class ConditionalVAE(cvae_right_1.ConditionalVAE):
    def __init__(self, latent_size, num_classes):
        super().__init__(latent_size, 10)


def loss_function(recon_x, x, mean_z, logvar_z):
    return reconstruction_loss(recon_x, x)
