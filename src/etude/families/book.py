"""Which families there are."""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from etude.families.recipe import Recipe
from etude.families.unopened import UnopenedRecipe

if TYPE_CHECKING:
    from etude.families.family import Family, Specimen

NAMES = ("classifier", "text", "adversarial", "variational", "diffusion", "translation", "language")
"""The folders beside this file. A new family adds its name here; nothing else outside its folder names it."""


def recipe_classes() -> dict[str, type[Recipe]]:
    """The recipe class of every family, by the family's name. Needs no PyTorch."""
    return {name: type(recipes_of(name)[0]) for name in NAMES}


def recipes_of(name: str) -> tuple[Recipe, ...]:
    """The named recipes of a family. Needs no PyTorch."""
    return import_module(f"etude.families.{name}.recipe").RECIPES


@cache
def family_named(name: str) -> "Family[Any]":
    """The family of étude that has this name."""
    return import_module(f"etude.families.{name}.family").FAMILY


def specimens() -> dict[str, "Specimen"]:
    """The networks of all families by name, for `etude inspect`."""
    return {name: each for family in NAMES for name, each in family_named(family).specimens.items()}


def family_of(recipe: Recipe) -> "Family[Any]":
    """The family of a recipe. If the code of a person's family has not run, what is known of it."""
    if isinstance(recipe, UnopenedRecipe):
        from etude.families.facts import stand_in

        return stand_in(recipe)
    return _OUTSIDE.get(type(recipe)) or family_named(recipe.family)


def add(family: "Family[Any]") -> None:
    """Register a person's family under the class of its recipes."""
    _OUTSIDE[family.recipe] = family


_OUTSIDE: "dict[type[Recipe], Family[Any]]" = {}
"""The families that were read from files. A file that is read twice has two classes, each with its own family."""
