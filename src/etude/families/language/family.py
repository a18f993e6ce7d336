"""Language models."""

from collections.abc import Sequence
from typing import Any

from etude.data.kinds import RunningText
from etude.families.abilities import Predicts
from etude.families.family import Family, Network, Networks, Specimen, Traits
from etude.families.language import own
from etude.families.language.learner import LanguageLearner
from etude.families.language.networks import networks_of
from etude.families.language.recipe import Language
from etude.families.language.recurrent import RecurrentModel
from etude.families.language.trained import TrainedLanguageModel
from etude.families.language.transformer import TransformerModel
from etude.families.series import Curve, Panel, Quantity, Series
from etude.models.recurrent import FUSED


def recurrent(recipe: Language, kind: RunningText) -> Networks:
    """Recurrent layers, as PyTorch computes them: all steps of a chunk at once."""
    layer = FUSED[recipe.network]
    model = RecurrentModel(len(kind.vocabulary), layer, recipe.width or 256, recipe.layers or 2, recipe.dropout)
    return networks_of(recipe, kind, recipe.network, model)


def transformer(recipe: Language, kind: RunningText) -> Networks:
    """Layers of self-attention."""
    model = TransformerModel(
        len(kind.vocabulary),
        width=recipe.width or 128,
        num_layers=recipe.layers or 4,
        num_heads=recipe.heads or 4,
        context=recipe.context or recipe.bptt,
        dropout=recipe.dropout,
    )
    return networks_of(recipe, kind, recipe.network, model)


def panels(recipe: Language) -> Sequence[Panel]:
    """Loss and accuracy."""
    return (
        Panel(title="Cross-entropy", axis="nats per symbol", metrics=("loss",)),
        Panel(title="Accuracy", axis="share of symbols", metrics=("accuracy",)),
    )


def drops(recipe: Language) -> bool:
    """Whether dropout draws random numbers."""
    return recipe.dropout > 0


CHARACTERS = 65
"""Of tiny shakespeare."""
SYMBOLS = ("100",)
"""Of each text."""

SAME: dict[str, Any] = {"kinds": (RunningText,), "draws": drops, "traits": Traits(bf16=True)}

FAMILY = Family(
    recipe=Language,
    about="a language model",
    networks={
        "lstm": Network(build=recurrent, **SAME),
        "gru": Network(build=recurrent, **SAME),
        "rnn": Network(build=recurrent, **SAME),
        "transformer": Network(build=transformer, **SAME),
    },
    learner=LanguageLearner,
    trained=TrainedLanguageModel,
    abilities=frozenset({Predicts}),
    series=Series(
        headline=("test/nats_per_character", "validation/nats_per_character"),
        quantity=Quantity(name="nats_per_character", terms=("nats_per_character",)),
        curves=(
            Curve(metric="train/loss", title="Training", axis="nats per symbol"),
            Curve(metric="validation/nats_per_character", title="Validation", axis="nats per character"),
        ),
        panels=panels,
    ),
    specimens={
        **{
            f"char-{name}": Specimen(
                build=lambda _, name=name: RecurrentModel(CHARACTERS, FUSED[name], 256, 2, 0.2), inputs=SYMBOLS
            )
            for name in ("lstm", "gru")
        },
        "char-transformer": Specimen(
            build=lambda _: TransformerModel(
                CHARACTERS, width=128, num_layers=4, num_heads=4, context=100, dropout=0.0
            ),
            inputs=SYMBOLS,
        ),
    },
    own=own.network,
)
