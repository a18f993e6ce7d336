"""Variational autoencoders."""

from collections.abc import Sequence

from etude.data.kinds import Images, Table
from etude.families.abilities import Bounds, Encodes, Samples
from etude.families.family import Family, Network, Networks, Specimen, Traits, as_image
from etude.families.series import Curve, Panel, Quantity, Series
from etude.families.variational import own
from etude.families.variational.learner import VariationalLearner
from etude.families.variational.recipe import Variational
from etude.families.variational.trained import TrainedVariational
from etude.models import VAE, TableVAE

MNIST, LATENT_DIM = (1, 28, 28), 2


def plain(recipe: Variational, kind: Images | Table) -> Networks:
    """The convolutional autoencoder. For rows of numbers: a fully connected one."""
    if isinstance(kind, Table):
        return {"vae": TableVAE(kind.num_features, recipe.latent_dim)}
    return {"vae": VAE(kind.shape, recipe.latent_dim)}


def conditional(recipe: Variational, kind: Images | Table) -> Networks:
    """The same, given the label."""
    if isinstance(kind, Table):
        return {"cvae": TableVAE(kind.num_features, recipe.latent_dim, kind.num_classes)}
    return {"cvae": VAE(kind.shape, recipe.latent_dim, kind.num_classes)}


def panels(recipe: Variational) -> Sequence[Panel]:
    """The loss and its two terms."""
    return (
        Panel(title="Loss", axis="nats per image", metrics=("loss_nats",)),
        Panel(title="Reconstruction", axis="nats per image", metrics=("reconstruction_nats",)),
        Panel(title="KL to the prior", axis="nats per image", metrics=("kl_nats",)),
    )


TRAITS = Traits(channels_last=True, bf16=True, steps_that_pay_for_compiling=9_000, own_layers=True)

FAMILY = Family(
    recipe=Variational,
    about="a VAE",
    networks={
        "vae": Network(build=plain, kinds=(Images, Table), traits=TRAITS),
        "cvae": Network(build=conditional, kinds=(Images, Table), conditional=True, traits=TRAITS),
    },
    own=own.network,
    learner=VariationalLearner,
    trained=TrainedVariational,
    abilities=frozenset({Samples, Encodes, Bounds}),
    series=Series(
        headline=("test/loss_nats",),
        # The bound itself, not the loss: cells with another beta or free bits stay comparable.
        quantity=Quantity(name="negative_elbo_nats", terms=("reconstruction_nats", "kl_nats"), scores_pixels=True),
        curves=(
            Curve(metric="train/loss_nats", title="Training", axis="loss (nats per image)"),
            Curve(metric="test/loss_nats", title="Test", axis="loss (nats per image)"),
        ),
        panels=panels,
    ),
    specimens={
        "vae": Specimen(
            build=lambda shape: VAE(as_image(shape), LATENT_DIM), image_shape=MNIST, keywords={"noise": (1, LATENT_DIM)}
        ),
        "cvae": Specimen(
            build=lambda shape: VAE(as_image(shape), LATENT_DIM, 10),
            image_shape=MNIST,
            num_classes=10,
            keywords={"noise": (1, LATENT_DIM)},
        ),
    },
)
