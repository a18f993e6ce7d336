"""What is known of a person's family without its code. recipe.json keeps it, so looking at a run runs nothing."""

from dataclasses import asdict
from typing import Any

from etude.families.abilities import ABILITIES
from etude.families.family import Family, Network
from etude.families.learner import Learner
from etude.families.recipe import Recipe
from etude.families.series import Curve, Panel, Quantity, Reference, Series
from etude.families.unopened import UnopenedRecipe


def facts_of(family: Family[Any], recipe: Recipe) -> dict[str, Any]:
    """What tables and figures need to know of a recipe's family, as plain values, which are stored with the recipe."""
    series = family.series
    return {
        "about": family.about,
        "abilities": sorted(ability.__name__ for ability in family.abilities),
        "conditional": family.network_of(recipe).conditional,
        "examples_per_step": recipe.examples_per_step,
        "num_latents": recipe.num_latents,
        "headline": list(series.headline),
        "quantity": asdict(series.quantity),
        "curves": [asdict(curve) for curve in series.curves],
        "panels": [asdict(panel) for panel in series.panels(recipe)],
    }


def stand_in(recipe: UnopenedRecipe) -> Family[Any]:
    """A family that knows what `facts_of` says, and can do nothing. `ValueError` if the facts are incomplete."""
    facts = recipe.values["facts"]
    panels = tuple(_panel(each) for each in facts["panels"])
    return Family(
        recipe=UnopenedRecipe,
        about=facts["about"],
        networks={recipe.network: Network(build=_not_opened, conditional=facts["conditional"])},
        learner=Learner,
        abilities=frozenset(ABILITIES[name] for name in facts["abilities"]),
        series=Series(
            headline=tuple(facts["headline"]),
            quantity=Quantity(**{"better": None, **facts["quantity"], "terms": tuple(facts["quantity"]["terms"])}),
            curves=tuple(Curve(**each) for each in facts["curves"]),
            panels=lambda recipe: panels,
        ),
    )


def _panel(values: dict[str, Any]) -> Panel:
    references = tuple(Reference(**each) for each in values["references"])
    return Panel(**{**values, "metrics": tuple(values["metrics"]), "references": references})


def _not_opened(recipe: Recipe, kind: Any) -> Any:
    raise AssertionError("the family's code has not run")
