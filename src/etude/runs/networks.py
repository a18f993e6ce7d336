"""The networks that a recipe names, for the shape of its images."""

from torch import Tensor, nn

from etude.models import VAE, CifarFast, ConvDiscriminator, ConvGenerator, Discriminator, Generator, LeNet
from etude.recipes import Adversarial, Classifier, Recipe, Variational


def build_networks(recipe: Recipe, *, image_shape: tuple[int, int, int], num_classes: int) -> dict[str, nn.Module]:
    """Networks by name, with initial weights from PyTorch's global generator; images are (channels, height, width)."""
    match recipe:
        case Classifier(network="lenet"):
            return {"lenet": LeNet(image_shape, num_classes)}
        case Classifier(network="cifar-fast", width=int(width)):
            return {"cifar-fast": CifarFast(image_shape, num_classes, width)}
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


def classify(recipe: Classifier, network: nn.Module, images: Tensor) -> Tensor:
    """A classifier's scores (N, classes) of images (N, C, H, W) as the recipe says to predict: in every evaluation.

    The network is given all of them at once: the caller takes a part of `IMAGES_AT_ONCE` at a time.
    """
    if recipe.test_flips:
        return (network(images) + network(images.flip(-1))) / 2
    return network(images)


def count_parameters(networks: dict[str, nn.Module]) -> dict[str, int]:
    """Trainable numbers of each network."""
    return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
