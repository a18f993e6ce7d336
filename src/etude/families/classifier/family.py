"""Classifiers, trained with cross-entropy."""

from collections.abc import Sequence

from torch import Tensor, nn

from etude.data.kinds import Images, Table
from etude.families.abilities import Classifies
from etude.families.classifier import own
from etude.families.classifier.learner import ClassifierLearner
from etude.families.classifier.recipe import Classifier
from etude.families.classifier.trained import TrainedClassifier
from etude.families.family import Family, Network, Networks, Specimen, Traits, as_image
from etude.families.series import Curve, Panel, Quantity, Series
from etude.models import MLP, CifarFast, LeNet

CIFAR = (3, 32, 32)


def lenet(recipe: Classifier, kind: Images) -> Networks:
    """LeNet."""
    return {"lenet": LeNet(kind.shape, kind.num_classes)}


def cifar_fast(recipe: Classifier, kind: Images) -> Networks:
    """The network of the CIFAR-10 speed runs."""
    assert recipe.width is not None
    return {"cifar-fast": CifarFast(kind.shape, kind.num_classes, recipe.width)}


def mlp(recipe: Classifier, kind: Images | Table) -> Networks:
    """Two hidden layers."""
    return {"mlp": MLP(kind.shape, kind.num_classes, recipe.width or 128)}


def whiten(networks: dict[str, nn.Module], inputs: Tensor) -> None:
    """Compute the first layer from training images."""
    (network,) = networks.values()
    assert isinstance(network, CifarFast)
    network.whiten(inputs)


def panels(recipe: Classifier) -> Sequence[Panel]:
    """Loss and accuracy."""
    return (
        Panel(title="Cross-entropy", axis="nats per image", metrics=("loss",)),
        Panel(title="Accuracy", axis="share of images", metrics=("accuracy",)),
    )


FAMILY = Family(
    recipe=Classifier,
    about="a classifier",
    networks={
        "lenet": Network(
            build=lenet,
            traits=Traits(
                channels_last=True,
                steps_that_pay_for_compiling=12_000,
                own_layers=True,
                largest_batch_for_one_thread=4,  # and too small to gain from bf16
            ),
        ),
        "cifar-fast": Network(
            build=cifar_fast,
            prepare=whiten,
            traits=Traits(channels_last=True, bf16=True, bf16_on_a_gpu=True),
        ),
        "mlp": Network(build=mlp, kinds=(Images, Table), traits=Traits(largest_batch_for_one_thread=64)),
    },
    learner=ClassifierLearner,
    trained=TrainedClassifier,
    abilities=frozenset({Classifies}),
    series=Series(
        headline=("test/accuracy", "validation/accuracy"),
        quantity=Quantity(name="accuracy", terms=("accuracy",), better="higher"),
        curves=(
            Curve(metric="train/loss", title="Training", axis="cross-entropy (nats per image)"),
            Curve(metric="validation/accuracy", title="Validation", axis="accuracy (share of images)"),
        ),
        panels=panels,
    ),
    specimens={
        "lenet": Specimen(build=lambda shape: LeNet(as_image(shape), 10), image_shape=CIFAR),
        "cifar-fast": Specimen(build=lambda shape: CifarFast(as_image(shape), 10, 32), image_shape=CIFAR),
    },
    needs_classes=True,
    own=own.network,
)
