"""Generative adversarial networks."""

from collections.abc import Sequence
from functools import partial
from math import log

from etude.data.kinds import Images, Table
from etude.families.abilities import Generates, Judges, Samples
from etude.families.adversarial import own
from etude.families.adversarial.learner import AdversarialLearner
from etude.families.adversarial.recipe import Adversarial
from etude.families.adversarial.trained import TrainedAdversarial
from etude.families.family import Family, Network, Networks, Specimen, Traits, as_image
from etude.families.series import Curve, Panel, Quantity, Reference, Series
from etude.models import MLP, ConvDiscriminator, ConvGenerator, Discriminator, Generator, PointGenerator

MNIST, NOISE_DIM = (1, 28, 28), 96


def fully_connected(recipe: Adversarial, kind: Images | Table) -> Networks:
    """The networks of the original paper. For rows of numbers: smaller ones without a final tanh."""
    if isinstance(kind, Table):
        (num_features,) = kind.shape
        return {
            "discriminator": MLP(kind.shape, 1, leaky=True),
            "generator": PointGenerator(recipe.noise_dim, num_features),
        }
    return {"discriminator": Discriminator(kind.shape), "generator": Generator(recipe.noise_dim, kind.shape)}


def convolutional(recipe: Adversarial, kind: Images) -> Networks:
    """The networks of DCGAN."""
    return {"discriminator": ConvDiscriminator(kind.shape), "generator": ConvGenerator(recipe.noise_dim, kind.shape)}


# Each loss if the discriminator can no longer tell: D = ½ everywhere, as (text, value), the discriminator's first.
EQUILIBRIUM = {
    "nonsaturating": (("log 4 at D = ½", log(4)), ("log 2 at D = ½", log(2))),
    "minimax": (("log 4 at D = ½", log(4)), ("−log 2 at D = ½", -log(2))),
    "least_squares": (("¼ at D = ½", 1 / 4), ("⅛ at D = ½", 1 / 8)),
}
UNITS = {
    "nonsaturating": "non-saturating loss (nats)",
    "minimax": "minimax loss (nats)",
    "least_squares": "least-squares loss",
    "wasserstein": "Wasserstein loss (score)",
    "hinge": "hinge loss (score)",
}


def panels(recipe: Adversarial) -> Sequence[Panel]:
    """Both networks' losses, and their values if the discriminator could not tell real from generated."""
    metrics = AdversarialLearner.loss_names
    references = tuple(
        Reference(metric=metric, text=text, value=value)
        for metric, (text, value) in zip(metrics, EQUILIBRIUM.get(recipe.loss, ()), strict=False)
    )
    return (Panel(title="", axis=UNITS[recipe.loss], metrics=metrics, references=references),)


PAIRS: dict[str, Network[Adversarial]] = {
    "gan": Network(
        build=fully_connected, kinds=(Images, Table), traits=Traits(bf16=True, steps_that_pay_for_compiling=3_500)
    ),
    "dcgan": Network(
        build=convolutional,
        traits=Traits(
            channels_last=True,
            bf16=True,
            steps_that_pay_for_compiling=1_500,
            own_layers=True,
            slower_compiled_without_own_layers=True,
        ),
    ),
}

FAMILY = Family(
    recipe=Adversarial,
    about="a GAN",
    networks=PAIRS,
    own=partial(own.network, PAIRS),
    learner=AdversarialLearner,
    trained=TrainedAdversarial,
    abilities=frozenset({Samples, Generates, Judges}),
    series=Series(
        headline=("train/generator_loss",),
        quantity=Quantity(
            name="generator_loss",
            terms=("generator_loss",),
            split="train",
            when="training images, last epoch",
            note="A GAN's loss does not say how good its images are, so it chooses no cell; "
            "`etude measure SWEEP` measures them.",
        ),
        curves=(
            Curve(metric="train/discriminator_loss", title="Discriminator, training", axis="loss"),
            Curve(metric="train/generator_loss", title="Generator, training", axis="loss"),
        ),
        panels=panels,
    ),
    specimens={
        "gan-discriminator": Specimen(build=lambda shape: Discriminator(as_image(shape)), image_shape=MNIST),
        "gan-generator": Specimen(
            build=lambda shape: Generator(NOISE_DIM, as_image(shape)), image_shape=MNIST, input_shape=(NOISE_DIM,)
        ),
        "dcgan-discriminator": Specimen(build=lambda shape: ConvDiscriminator(as_image(shape)), image_shape=MNIST),
        "dcgan-generator": Specimen(
            build=lambda shape: ConvGenerator(NOISE_DIM, as_image(shape)), image_shape=MNIST, input_shape=(NOISE_DIM,)
        ),
    },
)
