"""Answers to the exercise on VAEs: `etude verify vae answers_vae.py` judges, `python answers_vae.py` trains one."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import etude


class VAE(nn.Module):
    """Images (N, 1, 28, 28) in [0, 1]; 97,237 parameters with 2 latents."""

    def __init__(self, latent_size: int = 2) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.hidden = nn.Linear(3136, 16)
        self.mean, self.logvar = nn.Linear(16, latent_size), nn.Linear(16, latent_size)
        self.back = nn.Linear(latent_size, 3136)
        self.up1 = nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)
        self.up2 = nn.ConvTranspose2d(32, 1, 3, stride=2, padding=1, output_padding=1)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (N, latents): any real number is a fit log-variance."""
        x = F.relu(self.conv2(F.relu(self.conv1(x)))).flatten(1)
        x = F.relu(self.hidden(x))
        return self.mean(x), self.logvar(x)

    def sample_latent(self, mean_z: Tensor, logvar_z: Tensor) -> Tensor:
        """z = mean + σ ε: the noise is outside, so that gradients reach both."""
        return mean_z + (logvar_z / 2).exp() * torch.randn_like(mean_z)

    def decode(self, z: Tensor) -> Tensor:
        """Pixels in [0, 1]."""
        x = F.relu(self.back(z)).unflatten(1, (64, 7, 7))
        return self.up2(F.relu(self.up1(x))).sigmoid()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean_z, logvar_z = self.encode(x)
        return self.decode(self.sample_latent(mean_z, logvar_z)), mean_z, logvar_z


def reconstruction_loss(recon_x: Tensor, x: Tensor) -> Tensor:
    """Nats per image: cross-entropy summed over pixels, mean over the batch."""
    return F.binary_cross_entropy(recon_x, x, reduction="sum") / len(x)


def kl_loss(mean_z: Tensor, logvar_z: Tensor) -> Tensor:
    """Nats per image: KL of N(mean, σ²) from N(0, 1), summed over latents, mean over the batch."""
    return -(1 + logvar_z - mean_z**2 - logvar_z.exp()).sum(1).mean() / 2


def loss_function(recon_x: Tensor, x: Tensor, mean_z: Tensor, logvar_z: Tensor) -> Tensor:
    """−ELBO."""
    return reconstruction_loss(recon_x, x) + kl_loss(mean_z, logvar_z)


def train(vae: nn.Module, optimizer: torch.optim.Optimizer, *columns: Tensor) -> float:
    """One epoch over images, and labels for a conditional one; gives the mean loss in nats per image."""
    vae.train()
    order, total = torch.randperm(len(columns[0])), 0.0
    for rows in order.split(32):
        batch = [column[rows] for column in columns]
        recon, mean_z, logvar_z = vae(*batch)
        loss = loss_function(recon, batch[0], mean_z, logvar_z)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    return total / len(order)


@torch.no_grad()
def test(vae: nn.Module, *columns: Tensor) -> tuple[float, float]:
    """Reconstruction and KL of images that training did not see, in nats per image."""
    vae.eval()
    recon, mean_z, logvar_z = vae(*columns)
    return reconstruction_loss(recon, columns[0]).item(), kl_loss(mean_z, logvar_z).item()


def main(vae: nn.Module, *, labels: bool) -> None:
    """Train on digits, with a line per epoch."""
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3)
    digits = etude.data.load("digits")
    train_columns, test_columns = (
        [split.images / 255, split.labels][: 2 if labels else 1] for split in (digits.train, digits.test)
    )
    for epoch in range(1, 5):
        loss = train(vae, optimizer, *train_columns)
        reconstruction, kl = test(vae, *test_columns)
        print(f"epoch {epoch}: train {loss:.1f}, test {reconstruction + kl:.1f} = {reconstruction:.1f} + {kl:.2f} nats")


if __name__ == "__main__":
    torch.manual_seed(0)
    main(VAE(), labels=False)
