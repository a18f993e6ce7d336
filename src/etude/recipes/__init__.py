"""The named configurations: which network, trained on which data, how; and their TOML files.

There is one class per family (see `families`) and one instance per name in `RECIPES`. Nothing here imports PyTorch, so
`etude --help` stays quick.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from etude.errors import UsageError, unknown
from etude.families import book
from etude.families.recipe import Optimizer, Recipe
from etude.families.unopened import BASIC, UnopenedRecipe
from etude.files import parse_toml, write_atomically
from etude.recipes.building import UNSET, build, table, without_none

RECIPES: dict[str, Recipe] = {recipe.name: recipe for name in book.NAMES for recipe in book.recipes_of(name)}
FAMILIES: dict[str, type[Recipe]] = book.recipe_classes()


def described() -> str:
    """The recipes, a line each."""
    width = max(map(len, RECIPES)) + 2
    return "\n".join(f"{name:<{width}}{recipe.about}" for name, recipe in RECIPES.items())


def get(name: str) -> Recipe:
    """The recipe with that name. A `UsageError` suggests the nearest.

    For a file that defines FAMILY: FILE.py is its first recipe, FILE.py:NAME any of its RECIPES.
    """
    if name.endswith(".py") or ".py:" in name:
        from etude.families.outside import load_recipe  # here, because it needs PyTorch

        return load_recipe(name)
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES, hint="`etude recipes` describes them")
    return RECIPES[name]


def require_arguments(recipe: Recipe, given: Iterable[str], others: Iterable[str], *, hint: str = "") -> None:
    """`UsageError` where a name is neither a field of the recipe nor one of the `others` that a call may hold."""
    known = [*(field.name for field in dataclasses.fields(recipe)), *others]
    for name in given:
        if name not in known:
            raise unknown("argument", name, known, hint=hint)


def change(recipe: Recipe, **changes: Any) -> Recipe:
    """The recipe with some fields changed; `UsageError` for a field it has not or a value of the wrong type."""
    if isinstance(recipe, UnopenedRecipe):
        return from_dict({**to_dict(recipe), **changes}, source=f"recipe {recipe.name}")
    values = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    return build(type(recipe), {**values, **changes}, f"recipe {recipe.name}")


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, as JSON files hold it.

    A field that is not set is left out. If the recipe of that name sets it, it is `UNSET` instead.
    """
    values = {"family": recipe.family, **dataclasses.asdict(recipe)}
    if (usual := RECIPES.get(recipe.name)) and type(usual) is type(recipe):
        values |= {name: UNSET for name, value in vars(usual).items() if value is not None and values[name] is None}
    if isinstance(recipe, UnopenedRecipe):
        values |= values.pop("values") | {name: values[name] for name in BASIC}
    elif recipe.family_file:
        from etude.families.facts import facts_of

        values["facts"] = facts_of(book.family_of(recipe), recipe)
    return without_none(values)


def from_dict(values: dict[str, Any], *, source: str) -> Recipe:
    """The recipe that `to_dict` wrote, or a person in a TOML file; `source` names the file in errors.

    A file may name a recipe and only what differs from it: missing keys are taken from the recipe of that `name`,
    nested ones too. A file with all keys may use a name of its own and states its `family`.
    """
    values = dict(values)
    if "family_file" in values:
        return _unopened(values, source)
    name, family = values.get("name"), values.pop("family", None)
    if isinstance(name, str) and name in RECIPES:
        start = to_dict(RECIPES[name])
        family = family or start.pop("family")
        values = {**start, **values, "optimizer": {**start["optimizer"], **table(values, "optimizer", source)}}
        values.pop("family", None)
    if not isinstance(family, str) or family not in FAMILIES:
        raise UsageError(
            f"{source}: needs `name`, one of {', '.join(RECIPES)}, or `family`, one of {', '.join(FAMILIES)}, "
            f"with all keys; got name {name!r}, family {family!r}."
        )
    values["optimizer"] = build(Optimizer, table(values, "optimizer", source), source)
    return build(FAMILIES[family], values, source)


def _unopened(values: dict[str, Any], source: str) -> Recipe:
    """The recipe of a person's family, as plain values: its code has not run."""
    facts = table(values, "facts", source)
    if not isinstance(values.get("family"), str) or not facts:
        raise UsageError(f"{source}: a recipe with family_file needs its family and its facts: take it from its run.")
    basic = {name: values[name] for name in BASIC if name in values}
    basic["optimizer"] = build(Optimizer, table(values, "optimizer", source), source)
    build(Recipe, basic, source)
    recipe = UnopenedRecipe(**basic, values={**values, "facts": facts})
    try:
        book.family_of(recipe)
        recipe.require_facts()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{source}: facts of the family are not whole ({error}): take them from its run.") from error
    return recipe


def opened(recipe: Recipe) -> Recipe:
    """The recipe of a person's family as an object of its own class, once its file was admitted to run; any other as it
    is.
    """
    if not isinstance(recipe, UnopenedRecipe):
        return recipe
    from etude.families.outside import class_of

    own = {key: value for key, value in recipe.values.items() if key not in ("family", "facts", *BASIC)}
    basic = {key: getattr(recipe, key) for key in BASIC}
    return build(class_of(recipe), {**basic, **own}, recipe.family_file or "")


def to_toml(recipe: Recipe) -> str:
    """The recipe as the text of a TOML file."""
    import tomli_w

    return tomli_w.dumps({name: value for name, value in to_dict(recipe).items() if name != "facts"})


def write_toml(recipe: Recipe, path: Path) -> None:
    """Save the recipe to a TOML file."""
    write_atomically(path, to_toml(recipe))


def read_toml(path: Path) -> Recipe:
    """The recipe in a TOML file; `UsageError` says what is wrong with it."""
    try:
        values = parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read recipe {path}: {(error.strerror or str(error)).lower()}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}; `etude recipes vae` prints an example.") from error
    if "family_file" in values:  # a person's family: the text says which file, as on the command line
        from etude.families.outside import load_family

        own = load_family(Path(str(values.pop("family_file")).removesuffix(":FAMILY"))).recipes
        own = next((each for each in own if each.name == values.get("name")), own[0])
        values.pop("family", None)
        optimizer = {**dataclasses.asdict(own.optimizer), **table(values, "optimizer", str(path))}
        return change(own, **{**values, "optimizer": build(Optimizer, optimizer, str(path))})
    return from_dict(values, source=str(path))
