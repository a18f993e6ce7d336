"""From a recipe to what the loop trains: the learner of its family."""

from etude.data import Split
from etude.errors import UsageError
from etude.models import VAE
from etude.recipes import Adversarial, Classifier, Recipe, Variational
from etude.runs import Run
from etude.runs.networks import build_networks
from etude.runs.splits import Splits
from etude.runs.streams import global_stream
from etude.training.adversarial import AdversarialLearner
from etude.training.classify import ClassifierLearner
from etude.training.learner import Learner
from etude.training.variational import VariationalLearner


def require_a_step(recipe: Recipe, train: Split) -> None:
    """Raise `UsageError` when there are too few images for a single step."""
    if len(train) < recipe.images_per_step:
        largest = len(train) * recipe.batch_size // recipe.images_per_step
        raise UsageError(
            f"--batch-size {recipe.batch_size} needs {recipe.images_per_step} images a step, and there are "
            f"{len(train)} to train on: choose at most {largest}, or hold out fewer --validation-images."
        )


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
