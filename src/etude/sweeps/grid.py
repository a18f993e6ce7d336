"""A grid: some fields of a recipe with their values, and the cells that they span."""

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from etude import recipes
from etude.errors import UsageError, unknown
from etude.families.unopened import UnopenedRecipe
from etude.recipes import Optimizer, Recipe

Value = bool | int | float | str
Grid = Mapping[str, Sequence[Value]]

MOST_CELLS = 5_000
_WHOLE_NUMBERS = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})")
NOT_VARIED = ("family_file", "name", "about", "seed", "optimizer")
"""Fields that no grid varies: texts, the seed (use `--seeds`), the table behind `optimizer.FIELD`."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One combination of the grid's values, trained with every seed."""

    name: str
    """A safe folder name, such as batch_size-4-epochs-20; without a grid the recipe's name."""
    changes: dict[str, Value]
    recipe: Recipe

    @property
    def label(self) -> str:
        """As people read it: batch_size=4 epochs=20."""
        return " ".join(f"{field}={value}" for field, value in self.changes.items()) or self.name

    def without(self, fields: Sequence[str]) -> "Cell":
        """The cell without its changes of these fields."""
        if not set(fields) & set(self.changes):
            return self
        changes = {field: value for field, value in self.changes.items() if field not in fields}
        recipe = dataclasses.replace(self.recipe, **dict.fromkeys(fields))
        return Cell(name=_name_of(recipe, changes), changes=changes, recipe=recipe)


def parse_grid(words: Sequence[str]) -> dict[str, list[Value]]:
    """The grid in words such as `batch_size=4,16` or `fold=0..9`; `make_cells` checks its fields and values."""
    grid: dict[str, list[Value]] = {}
    for word in words:
        field, _, text = word.partition("=")
        values = [value for part in text.split(",") for value in _spread(part)]
        if not field or not all(values):
            raise UsageError(f"--grid {word} (allowed: FIELD=VALUE,VALUE,… as in --grid batch_size=4,16).")
        field = field.replace("-", "_")
        if field in grid:
            raise UsageError(f"--grid {field} is given twice: list all its values once, --grid {field}=VALUE,VALUE.")
        grid[field] = [_value(value) for value in values]
    return grid


def make_cells(recipe: Recipe, grid: Grid) -> list[Cell]:
    """All combinations of the grid's values, the last field fastest; one cell if the grid is empty.

    Raises `UsageError` for a field that the recipe lacks, a value of the wrong type or out of range, and a repeated
    value. Fields of the optimizer are named `optimizer.learning_rate`.
    """
    allowed = varied_fields(recipe)
    for field, values in grid.items():
        if field not in allowed and not isinstance(recipe, UnopenedRecipe):  # of which it was checked as it was made
            raise unknown(
                "field in --grid", field, allowed, hint="`--seeds` varies the seed" if field == "seed" else ""
            )
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise UsageError(f"--grid {field} has {values!r} (allowed: a list of values).")
        repeated = [value for index, value in enumerate(values) if value in values[:index]]
        if repeated or not values:
            problem = f"has {repeated[0]!r} twice" if repeated else "has no value"
            raise UsageError(f"--grid {field} {problem} (allowed: one value or more, each once).")
    if (num_cells := math.prod(map(len, grid.values()))) > MOST_CELLS:
        raise UsageError(f"--grid spans {num_cells:,} cells (allowed: at most {MOST_CELLS:,}).")
    cells = []
    for values in itertools.product(*grid.values()):
        changes = dict(zip(grid, values, strict=True))
        cells.append(Cell(name=_name_of(recipe, changes), changes=changes, recipe=_changed(recipe, changes)))
    names = [cell.name for cell in cells]
    if repeated := [name for index, name in enumerate(names) if name in names[:index]]:
        raise UsageError(f"--grid: two cells would both be called {repeated[0]}; rename one of the folders.")
    return cells


def varied_fields(recipe: Recipe) -> list[str]:
    """The fields that a grid may vary."""
    own = [field.name for field in dataclasses.fields(recipe) if field.name not in NOT_VARIED]
    return own + [f"optimizer.{field.name}" for field in dataclasses.fields(Optimizer)]


def _changed(recipe: Recipe, changes: dict[str, Value]) -> Recipe:
    values = recipes.to_dict(recipe)
    for field, value in changes.items():
        table, _, key = field.rpartition(".")
        (values[table] if table else values)[key] = value
    changed = recipes.from_dict(values, source="--grid")
    return changed if isinstance(recipe, UnopenedRecipe) else recipes.opened(changed)


def _spread(text: str) -> Iterator[str]:
    """Whole numbers from the first to the last of 0..9; any other text as it is."""
    ends = _WHOLE_NUMBERS.fullmatch(text)
    if ends is None:
        yield text
        return
    first, last = map(int, ends.groups())
    if not 0 <= last - first < MOST_CELLS:
        raise UsageError(f"--grid {text} (allowed: FIRST..LAST, the larger number last, as in --grid fold=0..9).")
    yield from map(str, range(first, last + 1))


def _value(text: str) -> Value:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _name_of(recipe: Recipe, changes: Mapping[str, Value]) -> str:
    return fit_for_a_folder("-".join(f"{field}-{value}" for field, value in changes.items()) or recipe.name)


def fit_for_a_folder(name: str) -> str:
    """A name without the letters that a folder's should not have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")
