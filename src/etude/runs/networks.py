"""The networks that a recipe names, for the shape of its images."""

from torch import nn

from etude.models import VAE, ConvDiscriminator, ConvGenerator, Discriminator, Generator, LeNet
from etude.recipes import Adversarial, Classifier, Recipe, Variational

IMAGES_AT_ONCE = 500
"""How many images a network is given at once where nothing is learned: enough to be quick, few enough for memory."""


def build_networks(recipe: Recipe, *, image_shape: tuple[int, int, int], num_classes: int) -> dict[str, nn.Module]:
    """Networks by name, with initial weights from PyTorch's global generator; images are (channels, height, width)."""
    match recipe:
        case Classifier(network="lenet"):
            return {"lenet": LeNet(image_shape, num_classes)}
        case Adversarial(network="gan"):
            return {"discriminator": Discriminator(image_shape), "generator": Generator(recipe.noise_dim, image_shape)}
        case Adversarial(network="dcgan"):
            return {
                "discriminator": ConvDiscriminator(image_shape),
                "generator": ConvGenerator(recipe.noise_dim, image_shape),
            }
        case Variational(network="vae"):
            return {"vae": VAE(image_shape, recipe.latent_dim)}
        case Variational(network="cvae"):
            return {"cvae": VAE(image_shape, recipe.latent_dim, num_classes)}
    raise AssertionError(f"no network for {recipe}")


def count_parameters(networks: dict[str, nn.Module]) -> dict[str, int]:
    """Trainable numbers of each network."""
    return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
