"""The first word of `etude train`, `sweep` and `latents`, a recipe, and the flags that its fields make."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from etude import recipes
from etude.cli.parse import parse
from etude.errors import UsageError
from etude.recipes import Recipe

Options = TypeVar("Options")


def start_recipe(word: str, *, command: str) -> Recipe:
    """A recipe by name or from a TOML file, the first word after a command."""
    if word.startswith("-"):
        raise UsageError(f"the recipe comes first: `etude {command} RECIPE {word} …`; `etude recipes` lists them.")
    if not word.endswith(".toml"):
        return recipes.get(word)
    return recipes.read_toml(Path(word))


def parse_recipe(
    arguments: Sequence[str], options: Options, *, command: str, description: str
) -> tuple[Recipe, Options]:
    """The recipe that the first word names, changed by its flags, and the options of the command.

    `description` says what the command does, with {name} and {about} of the recipe.
    """
    start, flat = start_recipe(arguments[0], command=command), tyro.conf.arg(name="")
    # The types depend on the recipe, so that a checker cannot follow them.
    target: Any = tuple[Annotated[type(start), flat], tyro.conf.FlagCreatePairsOff[Annotated[type(options), flat]]]
    return parse(
        target,
        prog=f"etude {command} {arguments[0]}",
        arguments=arguments[1:],
        default=(start, options),
        description=description.format(name=start.name, about=start.about),
    )
