"""The exact command that trains a run or a sweep again, and what differs from the recipe's defaults."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from etude.compute import Compute
from etude.data.names import GIVEN_PREFIX, parse_own
from etude.recipes import RECIPES, Recipe, to_dict, to_toml
from etude.recipes.building import UNSET
from etude.reports.places import data_told
from etude.runs import Run, code
from etude.sweeps import Sweep
from etude.user_code import is_spec

_NAMES = ("family", "name", "about", "facts", "family_file")
"""What a recipe is called, rather than a setting of it."""

WIDTH = 86
"""Characters of a line of a command."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """How to train something again."""

    text: str
    """What to type, in a shell or, where only Python can say it, in Python."""
    notes: tuple[str, ...] = ()
    toml: str = ""
    """The recipe's file, if the command needs one."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting of a recipe. A value that is None is not set."""

    name: str
    value: Any
    default: Any
    known: bool
    """Whether there is a default: a recipe of a person's own has none."""

    @property
    def is_changed(self) -> bool:
        """Whether it differs from the recipe's default."""
        return self.known and self.value != self.default


def settings(recipe: Recipe) -> list[Setting]:
    """Every setting of a recipe, those that differ from its defaults first. Paths on this machine are left out."""
    own = flat(recipe)
    start = RECIPES.get(recipe.name)
    known = start is not None and type(start) is type(recipe)
    defaults = flat(start) if start and known else {}
    if known:  # None is a value too
        names = [name for name in _field_names(recipe) if name not in _NAMES]
        own, defaults = ({name: each.get(name) for name in names} for each in (own, defaults))
    found = [
        Setting(name=name, value=value, default=defaults.get(name), known=known and name in defaults)
        for name, value in own.items()
    ]
    return sorted(found, key=lambda each: not each.is_changed)


def flat(recipe: Recipe) -> dict[str, Any]:
    """The settings by name, the optimizer's as `optimizer.learning_rate`; those that are not set are left out."""
    values = {name: value for name, value in to_dict(_inside(recipe)).items() if value != UNSET}
    optimizer = values.pop("optimizer")
    rest = {name: value for name, value in values.items() if name not in _NAMES}
    return rest | {f"optimizer.{name}": value for name, value in optimizer.items()}


def text_of(value: Any) -> str:
    """A setting's value as a person types it."""
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def value_told(value: Any) -> str:
    """A value of a grid as a person types it, without a path of this machine."""
    if isinstance(value, str):
        return code.moved(value) if is_spec(value) else data_told(value)
    return _value(value)


def run_command(run: Run) -> Command:
    """The command that trains the run again, with the same bits on the same machine and versions."""
    execution = run.configuration["execution"]
    how = {
        "device": execution["device"],
        "threads": execution["threads"],
        "precision": execution["precision"],
        "compile": "on" if execution["compiled"] else "off",
    }
    return _command("train", run.recipe, how)


def sweep_command(sweep: Sweep) -> Command:
    """The command that trains the sweep again."""
    compute = {field.name: getattr(sweep.compute, field.name) for field in fields(Compute)}
    how = {name: value for name, value in compute.items() if value not in (None, "auto")}
    grid = {name: [value_told(each) for each in values] for name, values in sweep.grid.items()}
    return _command("sweep", sweep.recipe, how, grid=grid, seeds=len(sweep.seeds))


def _command(
    verb: str, recipe: Recipe, how: Mapping[str, Any], *, grid: Mapping[str, list[str]] | None = None, seeds: int = 0
) -> Command:
    """`seeds` are 0 for a single run."""
    changed = [each for each in settings(recipe) if each.is_changed or not each.known]
    notes = []
    if parse_own(recipe.data):
        notes.append(f"The path of the data is left out: write it in full in place of {data_told(recipe.data)}.")
    if recipe.code:
        notes.append("Run it in the folder of the run, where code/ has the files that it names.")
    flags = [word for name, value in how.items() for word in _flag(name, value)]
    if recipe.data.startswith(GIVEN_PREFIX):
        return Command(text=_python(recipe, changed, how), notes=tuple(notes))
    words = [word for name, values in (grid or {}).items() for word in ("--grid", f"{name}={','.join(values)}")]
    words += ["--seeds", str(seeds)] if seeds else []
    if recipe.family_file:
        first = f"{_inside(recipe).family_file}".removesuffix(":FAMILY") + f":{recipe.name}"
    elif recipe.name in RECIPES and all(each.value is not None for each in changed):  # no flag unsets a field
        first = recipe.name
    else:
        notes.append(f"Save the recipe below as {recipe.name}.toml first.")
        return Command(
            text=_typed([f"etude {verb} {recipe.name}.toml", *words, *flags]), notes=tuple(notes), toml=_toml(recipe)
        )
    own = [word for each in changed for word in _flag(each.name, each.value)]
    return Command(text=_typed(["etude", verb, first, *own, *words, *flags]), notes=tuple(notes))


def _flag(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        table, _, last = flag.removeprefix("--").rpartition(".")
        no = f"--{f'{table}.' if table else ''}no-{last}"
        return [flag if value else no]
    text = _value(value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _typed(words: Sequence[str]) -> str:
    """Words as a shell takes them, on lines of at most 88 characters that end between flags."""
    pieces: list[str] = []
    for place, word in enumerate(words):
        quoted = word if place == 0 else shlex.quote(word)
        if pieces and not word.startswith("--"):
            pieces[-1] += f" {quoted}"
        else:
            pieces.append(quoted)
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + len(piece) < WIDTH:
            lines[-1] += f" {piece}"
        else:
            lines.append(f"    {piece}")
    return " \\\n".join(lines)


def _python(recipe: Recipe, changed: Sequence[Setting], how: Mapping[str, Any]) -> str:
    """The call for a run on a data set that was given in Python."""
    rest = {each.name: each.value for each in changed if each.name != "data" and each.name.isidentifier()}
    optimizer = {each.name.partition(".")[2]: each.value for each in changed if each.name.startswith("optimizer.")}
    words = [repr(recipe.name)]
    words += [f"{name}={value!r}" for name, value in rest.items()]
    if optimizer:
        start = f"etude.recipes.get({recipe.name!r}).optimizer"
        words.append(f"optimizer=replace({start}, {', '.join(f'{name}={each!r}' for name, each in optimizer.items())})")
    words += [f"{name}={value!r}" for name, value in how.items()]
    lines = [f"    {word}," for word in words]
    lines.insert(1, "    data=dataset,  # the data set that was given in Python")
    imports = "from dataclasses import replace\n" if optimizer else ""
    return "\n".join([f"{imports}import etude\n\netude.train(", *lines, ")"])


def _toml(recipe: Recipe) -> str:
    return to_toml(_inside(recipe))


def _inside(recipe: Recipe) -> Recipe:
    """The recipe without paths of this machine."""
    return replace(code.inside(recipe), data=_data(recipe.data))


def _data(name: str) -> str:
    return name if name.startswith(GIVEN_PREFIX) else data_told(name)


def _field_names(recipe: Recipe) -> list[str]:
    names = [field.name for field in fields(recipe) if field.name != "optimizer"]
    return names + [f"optimizer.{field.name}" for field in fields(recipe.optimizer)]
