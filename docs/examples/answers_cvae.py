"""Answers to the exercise on conditional VAEs: `etude verify cvae answers_cvae.py`, `python answers_cvae.py`.

The losses, the loop and the test are those of the VAE: the label is one more column.
"""

import torch
import torch.nn.functional as F
from answers_vae import VAE, kl_loss, loss_function, main, reconstruction_loss
from torch import Tensor, nn

__all__ = ["ConditionalVAE", "kl_loss", "loss_function", "reconstruction_loss"]


class ConditionalVAE(VAE):
    """The same network with the label, as a one-hot row, added in the first layer of each half."""

    def __init__(self, latent_size: int = 2, num_classes: int = 10) -> None:
        super().__init__(latent_size)
        self.num_classes = num_classes
        self.label_in = nn.Linear(num_classes, 32 * 14 * 14)
        self.label_back = nn.Linear(num_classes, 3136)

    def one_hot(self, labels: Tensor) -> Tensor:
        """Rows (N, classes) with a single 1."""
        return F.one_hot(labels, self.num_classes).to(self.back.weight.dtype)

    def encode(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (N, latents)."""
        label = self.label_in(self.one_hot(labels)).unflatten(1, (32, 14, 14))
        x = F.relu(self.conv2(F.relu(self.conv1(x) + label))).flatten(1)
        x = F.relu(self.hidden(x))
        return self.mean(x), self.logvar(x)

    def decode(self, z: Tensor, labels: Tensor) -> Tensor:
        """Pixels in [0, 1]."""
        x = F.relu(self.back(z) + self.label_back(self.one_hot(labels))).unflatten(1, (64, 7, 7))
        return self.up2(F.relu(self.up1(x))).sigmoid()

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean_z, logvar_z = self.encode(x, labels)
        return self.decode(self.sample_latent(mean_z, logvar_z), labels), mean_z, logvar_z


if __name__ == "__main__":
    torch.manual_seed(0)
    main(ConditionalVAE(), labels=True)
