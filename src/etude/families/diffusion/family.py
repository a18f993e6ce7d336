"""Diffusion models."""

import copy
from collections.abc import Sequence

from torch import nn

from etude.data.kinds import Images, Table
from etude.families.abilities import Denoises, Generates, Samples
from etude.families.diffusion.learner import DiffusionLearner
from etude.families.diffusion.points import PointNetwork
from etude.families.diffusion.recipe import Diffusion
from etude.families.diffusion.trained import TrainedDiffusion
from etude.families.diffusion.unet import UNet
from etude.families.family import Family, Network, Networks, Specimen, Traits, as_image
from etude.families.series import Curve, Panel, Quantity, Series


def build(recipe: Diffusion, kind: Images | Table) -> Networks:
    """The network, and the running average of its weights, which starts with the same weights."""
    num_classes = kind.num_classes if recipe.conditional else None
    if isinstance(kind, Table):
        network: nn.Module = PointNetwork(kind.num_features, recipe.width, num_classes)
    else:
        network = UNet(kind.shape, recipe.width, num_classes)
    return {"average": copy.deepcopy(network), "network": network}


def panels(recipe: Diffusion) -> Sequence[Panel]:
    """The squared error."""
    return (Panel(title="", axis=f"squared error of the {recipe.predicts}, a number", metrics=("loss",)),)


MNIST, NUM_CLASSES, WIDTH = (1, 28, 28), 10, 32
KINDS, TRAITS = (Images, Table), Traits(channels_last=True, bf16=True, bf16_to_sample=True)

FAMILY = Family(
    recipe=Diffusion,
    about="a diffusion model",
    networks={
        "denoiser": Network(build=build, kinds=KINDS, traits=TRAITS),
        "cdenoiser": Network(build=build, kinds=KINDS, conditional=True, traits=TRAITS),
    },
    learner=DiffusionLearner,
    trained=TrainedDiffusion,
    abilities=frozenset({Samples, Generates, Denoises}),
    series=Series(
        headline=("test/loss",),
        quantity=Quantity(name="loss", terms=("loss",)),
        curves=(
            Curve(metric="train/loss", title="Training", axis="squared error"),
            Curve(metric="test/loss", title="Test", axis="squared error"),
        ),
        panels=panels,
    ),
    specimens={
        "denoiser": Specimen(
            build=lambda shape: UNet(as_image(shape), WIDTH, None), image_shape=MNIST, keywords={"times": (1,)}
        ),
        "cdenoiser": Specimen(
            build=lambda shape: UNet(as_image(shape), WIDTH, NUM_CLASSES),
            image_shape=MNIST,
            keywords={"times": (1,), "classes": (1, NUM_CLASSES)},
        ),
    },
)
