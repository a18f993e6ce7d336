"""Each recipe as a person writes it from the course: the loops that étude is timed against.

A `Dataset` that makes a PIL image, a tensor and a normalised tensor of each image, a `DataLoader`, eager float32, the
optimizer as the course sets it, and the loss read every 250 iterations. The networks are étude's own, so that only the
way of training differs. `plain_sequences` has those of sequences.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from etude.data import Split
from etude.models import VAE, ConvDiscriminator, ConvGenerator, Discriminator, Generator, LeNet

NOISE_DIM = 96


class PlainImages(Dataset[tuple[Tensor, int]]):
    """Images one at a time, as torchvision gives them: PIL image → ToTensor → Normalize(0.5, 0.5) where asked for."""

    def __init__(self, split: Split, *, normalise: bool) -> None:
        self.images, self.labels, self.normalise = split.images.numpy(), split.labels.tolist(), normalise

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self.images[index]  # (C, H, W) uint8
        image = Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))
        array = np.array(image, dtype=np.uint8, copy=True)
        tensor = torch.from_numpy(array).view(image.height, image.width, -1).permute(2, 0, 1).contiguous()
        tensor = tensor.to(torch.float32).div(255)
        if self.normalise:
            tensor = (tensor - 0.5) / 0.5
        return tensor, self.labels[index]


def loader(split: Split, *, batch_size: int, normalise: bool, workers: int) -> DataLoader[tuple[Tensor, int]]:
    """Shuffled batches; a rest that fills no batch is left out, as étude does."""
    return DataLoader(
        PlainImages(split, normalise=normalise),
        batch_size=batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
    )


Step = Callable[[Tensor, Tensor], Tensor]
"""One training step on a batch of images and labels; returns a loss."""


def make_step(recipe: str, image_shape: tuple[int, int, int], seed: int = 0) -> tuple[Step, nn.Module]:
    """The step, with its networks and optimizers, and the network that it is all about: of a GAN the generator."""
    torch.manual_seed(seed)
    if recipe == "lenet":
        network = LeNet(image_shape, 10)
        return _classifier_step(network), network
    if recipe in ("vae", "cvae"):
        network = VAE(image_shape, 2, 10 if recipe == "cvae" else None)
        return _vae_step(network, conditional=recipe == "cvae"), network
    if recipe == "dcgan":
        generator = ConvGenerator(NOISE_DIM, image_shape)
        return _gan_step(ConvDiscriminator(image_shape), generator, least_squares=False), generator
    generator = Generator(NOISE_DIM, image_shape)
    return _gan_step(Discriminator(image_shape), generator, least_squares=recipe == "lsgan"), generator


def _classifier_step(network: nn.Module) -> Step:
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    criterion = nn.CrossEntropyLoss()

    def step(images: Tensor, labels: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = criterion(network(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _vae_step(network: VAE, *, conditional: bool) -> Step:
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step(images: Tensor, labels: Tensor) -> Tensor:
        optimizer.zero_grad()
        logits, mean, logvar = network(images, labels if conditional else None, noise=torch.randn(len(images), 2))
        reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
        kl = -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())
        loss = (reconstruction + kl) / len(images)
        loss.backward()
        optimizer.step()
        return loss

    return step


def _gan_step(discriminator: nn.Module, generator: nn.Module, *, least_squares: bool) -> Step:
    settings = {"lr": 1e-3, "betas": (0.5, 0.999)}
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), **settings)
    generator_optimizer = torch.optim.Adam(generator.parameters(), **settings)

    def score(scores: Tensor, target: float) -> Tensor:
        targets = torch.full_like(scores, target)
        if least_squares:
            return 0.5 * F.mse_loss(scores, targets)
        return F.binary_cross_entropy_with_logits(scores, targets)

    def step(images: Tensor, labels: Tensor) -> Tensor:
        discriminator_optimizer.zero_grad()
        fake = generator(2 * torch.rand(len(images), NOISE_DIM) - 1).detach()
        discriminator_loss = score(discriminator(images), 1.0) + score(discriminator(fake), 0.0)
        discriminator_loss.backward()
        discriminator_optimizer.step()

        generator_optimizer.zero_grad()
        fake = generator(2 * torch.rand(len(images), NOISE_DIM) - 1)
        loss = score(discriminator(fake), 1.0)
        loss.backward()
        generator_optimizer.step()
        return loss

    return step
