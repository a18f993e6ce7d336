"""From a recipe to what the loop trains: the splits of its data and the learner of its family."""

from typing import NamedTuple

from etude.data import Dataset, Split, hold_out
from etude.errors import UsageError
from etude.models import VAE
from etude.recipes import Adversarial, Classifier, Recipe, Variational
from etude.runs import Run
from etude.runs.networks import build_networks
from etude.runs.streams import global_stream
from etude.training.adversarial import AdversarialLearner
from etude.training.classify import ClassifierLearner
from etude.training.learner import Learner
from etude.training.variational import VariationalLearner


class Splits(NamedTuple):
    """The images of a run: to train on, held out to validate on, to test on at the end."""

    train: Split
    validation: Split
    test: Split


def make_splits(recipe: Recipe, dataset: Dataset) -> Splits:
    """Hold images out of the training split as the recipe says; `UsageError` when too few are left for a step."""
    train, validation = hold_out(
        dataset.train,
        train_images=recipe.train_images,
        validation_images=recipe.validation_images,
        seed=recipe.seed,
    )
    if len(train) < recipe.images_per_step:
        largest = len(train) * recipe.batch_size // recipe.images_per_step
        raise UsageError(
            f"--batch-size {recipe.batch_size} needs {recipe.images_per_step} images a step, and there are "
            f"{len(train)} to train on: choose at most {largest}, or hold out fewer --validation-images."
        )
    return Splits(train, validation, dataset.test)


def create_learner(run: Run, splits: Splits, device: str) -> Learner:
    """The learner of the run's family, with fresh networks on the device, initialised from the run's seed."""
    recipe = run.recipe
    with global_stream(recipe.seed, "init"):
        networks = build_networks(recipe, image_shape=run.image_shape, num_classes=len(run.class_names))
    networks = {name: network.to(device) for name, network in networks.items()}
    match recipe:
        case Classifier():
            return ClassifierLearner(recipe, networks)
        case Adversarial():
            return AdversarialLearner(recipe, networks, device)
        case Variational():
            (network,) = networks.values()
            assert isinstance(network, VAE)
            return VariationalLearner(recipe, network, splits.test, device)
    raise AssertionError(f"no learner for {recipe}")
