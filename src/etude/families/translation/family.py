"""Translators."""

from collections.abc import Sequence
from typing import Any

from etude.data.kinds import TokenPairs
from etude.families.abilities import Translates
from etude.families.average import with_average
from etude.families.family import Family, Network, Networks, Specimen, Traits
from etude.families.series import Curve, Panel, Quantity, Series
from etude.families.translation import own
from etude.families.translation.learner import TranslationLearner
from etude.families.translation.recipe import TRANSLATE_GRU, TRANSLATE_LUONG, Translation
from etude.families.translation.recurrent import GRUTranslator, LuongTranslator
from etude.families.translation.trained import TrainedTranslator
from etude.families.translation.transformer import Transformer
from etude.families.translation.translator import EAGER


def gru(recipe: Translation, kind: TokenPairs) -> Networks:
    """A GRU that looks before each step."""
    return with_average(recipe, "gru", GRUTranslator(*sizes(kind), **_recurrent(recipe, "additive")))


def luong(recipe: Translation, kind: TokenPairs) -> Networks:
    """An LSTM that looks after all steps."""
    return with_average(recipe, "luong", LuongTranslator(*sizes(kind), **_recurrent(recipe, "dot")))


def _recurrent(recipe: Translation, attention: str) -> dict[str, Any]:
    return {
        "width": recipe.width,
        "attention": recipe.attention or attention,
        "encoder": recipe.encoder or "recurrent",
        "dropout": recipe.dropout,
    }


def transformer(recipe: Translation, kind: TokenPairs) -> Networks:
    """A transformer, with one embedding where the languages have one vocabulary."""
    network = Transformer(
        *sizes(kind),
        width=recipe.width,
        num_layers=recipe.layers or 3,
        num_heads=recipe.heads or 4,
        dropout=recipe.dropout,
        joint=kind.joint,
    )
    return with_average(recipe, "transformer", network)


def sizes(kind: TokenPairs) -> tuple[int, int]:
    """The tokens of both vocabularies."""
    return len(kind.source_vocabulary), len(kind.target_vocabulary)


def panels(recipe: Translation) -> Sequence[Panel]:
    """Loss and BLEU."""
    smoothed = " (training: with label smoothing)" if recipe.label_smoothing else ""
    return (
        Panel(title=f"Cross-entropy{smoothed}", axis="nats per token", metrics=("loss",)),
        Panel(title="BLEU", axis="sacreBLEU, 0 to 100", metrics=("bleu",)),
    )


KINDS, TRAITS = (TokenPairs,), Traits(bf16=True, eager=EAGER)

WORDS = 8_208, 6_285
"""Of Multi30k's German and English, those that occur once left out."""
SUBWORDS = 6_000
INPUTS = ("20", "15")
"""German and English tokens."""

FAMILY = Family(
    recipe=Translation,
    about="a translator",
    networks={
        "gru": Network(build=gru, kinds=KINDS, traits=TRAITS),
        "luong": Network(build=luong, kinds=KINDS, traits=TRAITS),
        "transformer": Network(build=transformer, kinds=KINDS, traits=TRAITS),
    },
    learner=TranslationLearner,
    trained=TrainedTranslator,
    abilities=frozenset({Translates}),
    series=Series(
        headline=("test/bleu", "validation/bleu"),
        quantity=Quantity(name="bleu", terms=("bleu",), better="higher"),
        curves=(
            Curve(metric="train/loss", title="Training", axis="cross-entropy (nats per token)"),
            Curve(metric="validation/bleu", title="Validation", axis="BLEU"),
        ),
        panels=panels,
    ),
    own=own.network,
    specimens={
        "translate-gru": Specimen(
            build=lambda _: GRUTranslator(*WORDS, **_recurrent(TRANSLATE_GRU, "additive")), inputs=INPUTS
        ),
        "translate-luong": Specimen(
            build=lambda _: LuongTranslator(*WORDS, **_recurrent(TRANSLATE_LUONG, "dot")), inputs=INPUTS
        ),
        "translate-transformer": Specimen(
            build=lambda _: Transformer(
                SUBWORDS, SUBWORDS, width=256, num_layers=3, num_heads=4, dropout=0.2, joint=True
            ),
            inputs=INPUTS,
        ),
    },
)
