"""From a recipe to what the loop trains: the learner of its family."""

import torch

from etude.data import Dataset
from etude.errors import UsageError
from etude.models import VAE, CifarFast
from etude.recipes import Adversarial, Classifier, Recipe, Variational
from etude.runs.inputs import scaled
from etude.runs.networks import build_networks
from etude.runs.splits import make_rows
from etude.speed.execution import Execution
from etude.streams import global_stream
from etude.training.adversarial import AdversarialLearner
from etude.training.classify import ClassifierLearner
from etude.training.learner import Learner
from etude.training.variational import VariationalLearner

FASTER_IN_CHANNELS_LAST = ("lenet", "cifar-fast", "dcgan", "vae", "cvae")
"""Networks whose convolutions gain when the channels of a pixel lie side by side (docs/performance.md)."""

WHITENING_IMAGES = 5_000
"""Of the training images, so many are enough for the covariance of their patches."""


def network_name(recipe: Recipe) -> str:
    """The recipe's network, whatever its family."""
    assert isinstance(recipe, Classifier | Adversarial | Variational)
    return recipe.network


def require_a_step(recipe: Recipe, num_images: int) -> None:
    """Raise `UsageError` when `num_images` to train on are too few for a single step."""
    if num_images < recipe.images_per_step:
        largest = num_images * recipe.batch_size // recipe.images_per_step
        raise UsageError(
            f"--batch-size {recipe.batch_size} needs {recipe.images_per_step} images a step, and there are "
            f"{num_images} to train on: choose at most {largest}, or hold out fewer --validation-images."
        )


def require_classes(recipe: Recipe, dataset: Dataset) -> None:
    """Raise `UsageError` where a network that tells classes apart, or is given them, has but one."""
    if len(dataset.class_names) < 2 and (isinstance(recipe, Classifier) or network_name(recipe) == "cvae"):
        layout = f": {dataset.layout}" if dataset.layout else ""
        raise UsageError(
            f"{network_name(recipe)} needs at least two classes, and {dataset.name} has one{layout}; put the images of "
            "each class into a folder named after it, PATH/CLASS/1.png or PATH/train/CLASS/1.png (labels in file names "
            "or tables are not read), or train a gan or vae, which need no classes."
        )


def create_learner(recipe: Recipe, dataset: Dataset, execution: Execution) -> Learner:
    """The learner of the recipe's family, with fresh networks on the device, initialised from the recipe's seed."""
    with global_stream(recipe.seed, "init"):
        networks = build_networks(recipe, image_shape=dataset.image_shape, num_classes=len(dataset.class_names))
    for network in networks.values():
        if isinstance(network, CifarFast):
            images = dataset.train.images[make_rows(recipe, dataset).train[:WHITENING_IMAGES]]
            network.whiten(scaled(recipe, images))
    layout = torch.channels_last if network_name(recipe) in FASTER_IN_CHANNELS_LAST else torch.contiguous_format
    for network in networks.values():
        network.to(execution.device).to(memory_format=layout)  # pyright: ignore[reportCallIssue]  (missing in its stubs)
    match recipe:
        case Classifier():
            return ClassifierLearner(recipe, networks, execution)
        case Adversarial():
            return AdversarialLearner(recipe, networks, execution)
        case Variational():
            (network,) = networks.values()
            assert isinstance(network, VAE)
            return VariationalLearner(recipe, network, dataset.test, execution)
    raise AssertionError(f"no learner for {recipe}")
