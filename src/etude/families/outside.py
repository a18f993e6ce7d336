"""A family from a person's file: what the file must define, and which recipes it has."""

import inspect
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

from etude.errors import UsageError, unknown
from etude.families import book, own_networks
from etude.families.family import Family, Network
from etude.families.learner import Learner
from etude.families.recipe import Recipe
from etude.families.unopened import UnopenedRecipe
from etude.files import PLAIN_NAME, PLAIN_NAME_RULE, expand_home
from etude.user_code import parse_spec

_ETUDES = {recipe.name for name in book.NAMES for recipe in book.recipes_of(name)}


HINT = "give the path of a Python file that defines FAMILY"


@dataclass(frozen=True, kw_only=True)
class Outside:
    """A person's family, made known to étude; final."""

    family: Family[Any]
    recipes: tuple[Recipe, ...]
    """Those that the file names, at least one. The first is used if none is named."""


def load_family(path: Path) -> Outside:
    """Run a file and return the family that it defines. `UsageError` says what is wrong with it."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}; {HINT}.")
    found = family_in(own_networks.admit(path).names, str(path))
    file = f"{expand_home(path).absolute()}:FAMILY"
    return replace(found, recipes=tuple(replace(recipe, family_file=file) for recipe in found.recipes))


def load_recipe(text: str) -> Recipe:
    """The recipe that `FILE.py:NAME` names, or the first one of `FILE.py`. `UsageError` if there is none."""
    stem, colon, name = text.partition(".py:")
    path = Path(f"{stem}.py" if colon else text)
    found = {recipe.name: recipe for recipe in load_family(path).recipes}
    if colon and name not in found:
        raise unknown(f"recipe of {path}:", name, found)
    return found[name] if colon else next(iter(found.values()))


def class_of(recipe: UnopenedRecipe) -> type[Recipe]:
    """The class of a person's recipe, once its file was admitted to run."""
    path = parse_spec(recipe.family_file or "").path
    return family_in(own_networks.admitted(path).names, str(path)).family.recipe


def family_in(names: Mapping[str, Any], file: str) -> Outside:
    """The FAMILY that a file defines, and its RECIPES; `file` names the file in errors.

    Without RECIPES, the recipe is the recipe's class with its defaults. It may leave out `name` (then the family's),
    `about` (then the first line of the class's docstring) and `network` (then the first).
    """
    family = names.get("FAMILY")
    if not isinstance(family, Family):
        others = [name for name, value in names.items() if isinstance(value, Family)]
        given = f"is {_called(family)}" if "FAMILY" in names else "is not there"
        hint = f"call {others[0]} FAMILY" if others else "set FAMILY = Family(…), as docs/extending.md shows"
        raise UsageError(f"{file}: FAMILY {given}; {hint}.")
    _require_whole(family, file)
    given = names.get("RECIPES", ())
    if not isinstance(given, list | tuple) or not all(type(each) is family.recipe for each in given):
        raise UsageError(f"{file}: RECIPES is no list of {family.recipe.__name__}(…): make it one, or leave it out.")
    own = tuple(given) or (_from_defaults(family, file),)
    if taken := [each.name for each in own if each.name in _ETUDES]:
        raise UsageError(f"{file}: {taken[0]} is the name of a recipe of étude's own: choose another.")
    book.add(family)
    return Outside(family=family, recipes=own)


def _require_whole(family: Family[Any], file: str) -> None:
    """Raise `UsageError` for the first part of a family that is not what it must be."""
    recipe, learner = family.recipe, family.learner
    if not (isinstance(recipe, type) and issubclass(recipe, Recipe)):
        raise UsageError(f"{file}: FAMILY.recipe is {_called(recipe)}: give a class derived from Recipe.")
    if "__dataclass_params__" not in vars(recipe):
        raise UsageError(
            f"{file}: {recipe.__name__} is no dataclass: write @dataclass(frozen=True, kw_only=True) above it."
        )
    name = getattr(recipe, "family", None)
    if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name) or name in book.NAMES:
        own = f"; {', '.join(book.NAMES)} are étude's own" if name in book.NAMES else ""
        raise UsageError(f"{file}: {recipe.__name__}.family is {name!r} (allowed: {PLAIN_NAME_RULE}{own}).")
    if not (isinstance(learner, type) and issubclass(learner, Learner)) or inspect.isabstract(learner):
        lacks = " without a method `step`" if inspect.isclass(learner) and issubclass(learner, Learner) else ""
        raise UsageError(f"{file}: FAMILY.learner is {_called(learner)}{lacks}: give a class derived from Learner.")
    losses: Any = getattr(learner, "loss_names", None)
    if not isinstance(losses, tuple) or not losses or not all(isinstance(each, str) for each in losses):
        raise UsageError(f'{file}: {learner.__name__}.loss_names is {losses!r}: give the names as a tuple, ("loss",).')
    if not family.networks or not all(isinstance(each, Network) for each in family.networks.values()):
        raise UsageError(f"{file}: FAMILY.networks is no dictionary of names and Network(build=…): make it one.")


def _from_defaults(family: Family[Any], file: str) -> Recipe:
    """The recipe's class with its defaults."""
    cls = family.recipe
    text = (cls.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    given = {"name": family.name, "about": text or family.about, "network": next(iter(family.networks))}
    missing = [
        field.name
        for field in fields(cls)
        if field.default is MISSING and field.default_factory is MISSING and field.name not in given
    ]
    if missing:
        raise UsageError(
            f"{file}: {cls.__name__} has no default for {', '.join(missing)}: give each one, or make RECIPES a list of "
            f"{cls.__name__}(…)."
        )
    has = {field.name for field in fields(cls) if field.default is not MISSING}
    return cls(**{name: value for name, value in given.items() if name not in has})


def _called(thing: object) -> str:
    return getattr(thing, "__name__", type(thing).__name__)
