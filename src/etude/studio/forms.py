"""What the forms of the page offer: recipes with their fields, studies with what they found."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from etude import recipes
from etude.errors import EtudeError, unknown
from etude.families.ranges import ranges_of
from etude.files import parse_checked_json
from etude.studies import book
from etude.studio.shelf import read_inside

NOT_ASKED = ("name", "about", "family_file", "skip_broken")


def recipe_names() -> list[dict[str, str]]:
    """Every recipe with its line."""
    return [{"name": recipe.name, "about": recipe.about} for recipe in recipes.RECIPES.values()]


def form(name: str) -> dict[str, Any]:
    """The fields of a recipe: name, value, what is allowed."""
    recipe = recipes.get(name) if name in recipes.RECIPES else None
    if recipe is None:
        raise unknown("recipe", name, recipes.RECIPES)
    return {"recipe": name, "about": recipe.about, "fields": [*_fields(recipe)]}


def _fields(settings: Any, prefix: str = "") -> Iterator[dict[str, Any]]:
    """What a person may change; those of the optimizer as `optimizer.learning_rate`."""
    ranges, hints = ranges_of(type(settings)), get_type_hints(type(settings))
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            yield from _fields(value, f"{field.name}.")
        elif prefix or field.name not in NOT_ASKED:
            hint = hints[field.name]
            choices = [False, True] if hint is bool else get_args(hint) if get_origin(hint) is Literal else []
            allowed = str(ranges[field.name]) if field.name in ranges else ""
            yield {"name": prefix + field.name, "value": value, "allowed": allowed, "choices": list(choices)}


def studies(runs_dir: Path) -> list[dict[str, Any]]:
    """Every study by topic, with its verdict where it was settled."""
    found = []
    for study in book.all_studies():
        settled = _settled(runs_dir, study.name)
        found.append(
            {
                "name": study.name,
                "topic": study.topic,
                "question": study.question,
                "verdict": settled["verdict"] if settled else None,
            }
        )
    return found


def study(runs_dir: Path, name: str) -> dict[str, Any]:
    """One study: its question and claim, and what it found where it was settled."""
    found = book.find(known_study(name))
    return {
        "name": name,
        "topic": found.topic,
        "question": found.question,
        "claim": found.claim,
        "held_fixed": found.held_fixed,
        "quick_cannot": found.quick_cannot,
        "settled": _settled(runs_dir, name),
    }


def known_study(name: str) -> str:
    """The name, if there is such a study."""
    names = [each for _, each in book.listed()]
    if name not in names:
        raise unknown("study", name, names)
    return name


def _settled(runs_dir: Path, name: str) -> dict[str, Any] | None:
    try:
        return parse_checked_json(read_inside(runs_dir, "studies", name, "study.json"))[0]
    except (EtudeError, ValueError):
        return None
