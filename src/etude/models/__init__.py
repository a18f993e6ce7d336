"""Networks as plain modules, as textbooks have them: they map tensors to tensors and know nothing of training or runs.

Initial weights come from PyTorch's global generator, so the caller seeds (and forks) it; a forward never uses it.
"""

from etude.models.cifar_fast import CifarFast
from etude.models.dcgan import ConvDiscriminator, ConvGenerator
from etude.models.embedding import Embedding
from etude.models.gan import Discriminator, Generator, uniform_noise
from etude.models.lenet import LeNet
from etude.models.mlp import MLP, PointGenerator, TableVAE
from etude.models.vae import VAE

__all__ = [
    "MLP",
    "VAE",
    "CifarFast",
    "ConvDiscriminator",
    "ConvGenerator",
    "Discriminator",
    "Embedding",
    "Generator",
    "LeNet",
    "PointGenerator",
    "TableVAE",
    "uniform_noise",
]
