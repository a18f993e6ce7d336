"""Classifiers of sentences."""

from collections.abc import Sequence

from etude.data.kinds import Tokens
from etude.families.abilities import Classifies, Explains
from etude.families.average import with_average
from etude.families.family import Family, Network, Networks, Specimen, Traits
from etude.families.series import Curve, Panel, Quantity, Series
from etude.families.text import own
from etude.families.text.learner import EAGER, TextLearner
from etude.families.text.recipe import TextClassification
from etude.families.text.trained import TrainedTextClassifier
from etude.models.text_classifiers import TextClassifier


def build(recipe: TextClassification, kind: Tokens) -> Networks:
    """The network with the reader that the recipe names."""
    network = TextClassifier(
        len(kind.vocabulary),
        kind.num_classes,
        reader=recipe.network,
        input=recipe.input,
        **recipe.sizes,
    )
    return with_average(recipe, recipe.network, network)


def panels(recipe: TextClassification) -> Sequence[Panel]:
    """Loss and accuracy."""
    return (
        Panel(title="Cross-entropy", axis="nats per sentence", metrics=("loss",)),
        Panel(title="Accuracy", axis="share of sentences", metrics=("accuracy",)),
    )


WORDS = 8_900
"""As many as rt-polarity's sentences have, those that occur once left out."""
TRAITS = Traits(bf16=True, largest_batch_for_one_thread=64, eager=EAGER)

FAMILY = Family(
    recipe=TextClassification,
    about="a classifier of sentences",
    networks={
        name: Network(build=build, kinds=(Tokens,), draws=True, traits=TRAITS) for name in TextClassification.networks
    },
    learner=TextLearner,
    trained=TrainedTextClassifier,
    abilities=frozenset({Classifies, Explains}),
    series=Series(
        headline=("test/accuracy", "validation/accuracy"),
        quantity=Quantity(name="accuracy", terms=("accuracy",), better="higher"),
        curves=(
            Curve(metric="train/loss", title="Training", axis="cross-entropy (nats per sentence)"),
            Curve(metric="validation/accuracy", title="Validation", axis="accuracy (share of sentences)"),
        ),
        panels=panels,
    ),
    specimens={
        f"sentiment-{name}": Specimen(
            build=lambda shape, name=name: TextClassifier(WORDS, 2, reader=name, embedding_dim=128), inputs=("20",)
        )
        for name in TextClassification.networks
    },
    needs_classes=True,
    own=own.network,
)
