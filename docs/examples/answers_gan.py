"""Answers to the exercise on GANs: `etude verify gan answers_gan.py` judges, `python answers_gan.py` trains a GAN."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import etude


def sample_noise(batch_size: int, dim: int) -> Tensor:
    """Uniform in [−1, 1]."""
    return 2 * torch.rand(batch_size, dim) - 1


def discriminator() -> nn.Module:
    """784→256→256→1, LeakyReLU 0.01; 267,009 parameters."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256),
        nn.LeakyReLU(0.01),
        nn.Linear(256, 256),
        nn.LeakyReLU(0.01),
        nn.Linear(256, 1),
    )


def generator(noise_dim: int = 4) -> nn.Module:
    """noise→1024→1024→784, ReLU, tanh; 1,858,320 parameters at 4 numbers of noise."""
    return nn.Sequential(
        nn.Linear(noise_dim, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 784), nn.Tanh()
    )


def bce_loss(input: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of logits: log σ never sees a probability, so that nothing overflows."""
    return F.binary_cross_entropy_with_logits(input, target)


def discriminator_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """−E log D(x) − E log(1 − D(G(z)))."""
    return bce_loss(logits_real, torch.ones_like(logits_real)) + bce_loss(logits_fake, torch.zeros_like(logits_fake))


def generator_loss(logits_fake: Tensor) -> Tensor:
    """−E log D(G(z)), the non-saturating form."""
    return bce_loss(logits_fake, torch.ones_like(logits_fake))


def ls_discriminator_loss(scores_real: Tensor, scores_fake: Tensor) -> Tensor:
    """½ E(D(x) − 1)² + ½ E D(G(z))²."""
    return ((scores_real - 1) ** 2).mean() / 2 + (scores_fake**2).mean() / 2


def ls_generator_loss(scores_fake: Tensor) -> Tensor:
    """½ E(D(G(z)) − 1)²."""
    return ((scores_fake - 1) ** 2).mean() / 2


def get_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Adam as GANs use it: less momentum than usual."""
    return torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.5, 0.999))


def build_dc_classifier(batch_size: int = 128) -> nn.Module:
    """The convolutional discriminator; 1,102,721 parameters."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        nn.Conv2d(1, 32, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5), nn.LeakyReLU(0.01), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1024, 1024), nn.LeakyReLU(0.01), nn.Linear(1024, 1),
    )  # fmt: skip


def build_dc_generator(noise_dim: int = 4) -> nn.Module:
    """The convolutional generator; 6,580,801 parameters at 4 numbers of noise."""
    return nn.Sequential(
        nn.Linear(noise_dim, 1024), nn.ReLU(), nn.BatchNorm1d(1024),
        nn.Linear(1024, 6272), nn.ReLU(), nn.BatchNorm1d(6272), nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1), nn.ReLU(), nn.BatchNorm2d(64),
        nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1), nn.Tanh(),
    )  # fmt: skip


def train_step(D, G, D_solver, G_solver, discriminator_loss, generator_loss, real, noise_dim):
    """A step of the discriminator, which must not reach the generator, then one of the generator, on new noise."""
    D_solver.zero_grad()
    fake = G(sample_noise(len(real), noise_dim)).detach()
    loss_d = discriminator_loss(D(real), D(fake))
    loss_d.backward()
    D_solver.step()

    G_solver.zero_grad()
    loss_g = generator_loss(D(G(sample_noise(len(real), noise_dim))))
    loss_g.backward()
    G_solver.step()
    return loss_d.item(), loss_g.item()


def run_a_gan(
    D: nn.Module, G: nn.Module, images: Tensor, noise_dim: int, steps: int = 200, show_every: int = 50
) -> None:
    """The whole training, with a line of losses now and then."""
    D_solver, G_solver = get_optimizer(D), get_optimizer(G)
    for step in range(steps + 1):
        real = images[torch.randint(len(images), (64,))]
        losses = train_step(D, G, D_solver, G_solver, discriminator_loss, generator_loss, real, noise_dim)
        if step % show_every == 0:
            print(f"step {step}: D {losses[0]:.4f}, G {losses[1]:.4f}")


if __name__ == "__main__":
    torch.manual_seed(0)
    images = etude.data.load("digits").train.images.flatten(1) / 127.5 - 1
    run_a_gan(discriminator(), generator(4), images, noise_dim=4)
