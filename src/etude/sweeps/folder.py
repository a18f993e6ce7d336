"""A sweep: a folder with the cells of a grid, each trained with the same seeds.

sweep.json            the recipe, the grid, the seeds, and how to run them
code/                 the files that define the user's own networks or family, if any
CELL-seed-K/          an ordinary run (see `etude.runs.run`)
results.csv, .md      the results; learning-curves.png, .svg
workers.log           what the training processes wrote to stderr
"""

import itertools
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from etude import recipes
from etude.compute import Compute
from etude.errors import EtudeError, RunError, UsageError
from etude.files import (
    PLAIN_NAME,
    PLAIN_NAME_RULE,
    cannot_write,
    checked_json,
    flush_folder,
    parse_checked_json,
    read_whole,
    remove_leftovers,
    temporary_path,
    write_atomically,
)
from etude.recipes import Recipe
from etude.runs import Run, RunStatus, code, default_runs_dir
from etude.runs.configuration import read_configuration
from etude.runs.folder import absent, holds, short_data_name
from etude.runs.folder import list_paths as run_paths
from etude.runs.lock import training_lock
from etude.sweeps.grid import Cell, Grid, Value, make_cells
from etude.user_code import is_spec

FORMAT = 2
"""Version of sweep.json; a reader refuses a newer one. Since 2 it has a checksum."""
KEYS: dict[str, type | tuple[type, ...]] = {
    "recipe": dict,
    "grid": dict,
    "seeds": list,
    "device": str,
    "threads": int,
    "precision": str,
    "compile": str,
    "data_dir": (str, type(None)),
    "created": str,
}
MOST_SEEDS = 10_000
MOST_RUNS = 100_000
WAITING = RunStatus(status="waiting")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One run of a sweep, trained or not yet."""

    cell: Cell
    seed: int
    path: Path

    @property
    def state(self) -> RunStatus:
        """How far the run is; waiting before it has begun; failed when its folder is damaged."""
        try:
            return Run(self.path).state if holds(self.path, "recipe.json") else WAITING
        except EtudeError as error:
            return RunStatus(status="failed", error=str(error))

    @property
    def recipe(self) -> Recipe:
        """What it trains: the cell's recipe with its seed."""
        return replace(self.cell.recipe, seed=self.seed)

    @property
    def label(self) -> str:
        """As people read it: batch_size=4 epochs=20 seed 3."""
        return f"{self.cell.label} seed {self.seed}"

    @property
    def repeat(self) -> int:
        """What tells it from the other runs of its group: the value of a field such as the fold, or else the seed."""
        values = [value for field, value in self.cell.changes.items() if field in self.cell.recipe.repeated_over]
        return int(values[0]) if values else self.seed


@dataclass(frozen=True, kw_only=True)
class Group:
    """The runs that one mean is of: those of a cell, or of the cells that differ in a field such as the fold alone."""

    cell: Cell
    """Without that field."""
    members: list[Member]


class Sweep:
    """A sweep, from its folder; final. Made by `etude.sweeps.sweep` and `etude.sweeps.load`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        content, self.recipe, self.cells = _read(path)
        self.code: list[dict[str, str]] = content["code"]
        self.grid: Grid = content["grid"]
        self.seeds: list[int] = content["seeds"]
        self.compute = Compute(**{field.name: content[field.name] for field in fields(Compute)})
        self.data_dir: Path | None = Path(content["data_dir"]) if content["data_dir"] else None
        self.created: str = content["created"]

    @property
    def data_name(self) -> str:
        """The name of the data in its runs: files other than the published ones have their path as a name."""
        for member in self.members() if "data" not in self.grid else ():
            with suppress(EtudeError):  # not started, or damaged
                return read_configuration(member.path)[0]["dataset"]["name"]
        return self.recipe.data

    def open_code(self) -> None:
        """Run the user's code that it keeps, if any; `RunError` if it was made elsewhere and is not trusted."""
        code.open_copies("sweep", self.path, [cell.recipe for cell in self.cells], self.code)
        self.recipe = recipes.opened(self.recipe)
        self.cells = [replace(cell, recipe=recipes.opened(cell.recipe)) for cell in self.cells]

    def members(self, cell: Cell | None = None) -> Iterator[Member]:
        """Every run of one cell or of all, seed by seed, so that an interrupted sweep has complete pairs."""
        for seed, each in itertools.product(self.seeds, [cell] if cell else self.cells):
            yield Member(cell=each, seed=seed, path=self.path / f"{each.name}-seed-{seed}")

    @property
    def groups(self) -> list[Group]:
        """What means are taken over, in the order of the grid."""
        found: dict[str, Group] = {}
        for cell in self.cells:
            whole = cell.without(self.recipe.repeated_over)
            found.setdefault(whole.name, Group(cell=whole, members=[])).members.extend(self.members(cell))
        return list(found.values())

    @property
    def repeats(self) -> str:
        """What the runs of a group differ in, in a word."""
        return next((f"{field}s" for field in self.grid if field in self.recipe.repeated_over), "seeds")

    def group(self, name: str) -> Group:
        """The cell with this name, batch_size-4-epochs-20 or batch_size=4,epochs=20; a `RunError` names them all."""
        wanted = re.sub(r"[=, ]+", "-", name)
        for group in self.groups:
            if group.cell.name == wanted:
                return group
        names = [group.cell.name for group in self.groups]
        near = get_close_matches(wanted, names, n=1)
        suggestion = f"did you mean {near[0]}? Choose" if near else "choose"
        raise RunError(f"sweep {self.path} has no cell {name}: {suggestion} from {', '.join(names)}.")

    def __repr__(self) -> str:
        return f"<Sweep {self.name}: {len(self.cells)} cells, {len(self.seeds)} seeds>"


def prepare(
    recipe: Recipe,
    grid: Grid,
    *,
    seeds: int,
    name: str | None,
    runs_dir: Path,
    data_dir: Path | None,
    compute: Compute,
) -> Sweep:
    """Make the sweep's folder, or find the one with the same plan and add seeds that it lacks.

    Without a `name` it is called RECIPE-DATA-sweep-NUMBER (-seeds- without a grid), with the first number that is free
    or holds this plan. Seeds count up from the recipe's.
    """
    if not (isinstance(seeds, int) and 1 <= seeds <= MOST_SEEDS):
        raise UsageError(f"--seeds {seeds!r} (allowed: 1 to {MOST_SEEDS:,}).")
    if name is not None and not PLAIN_NAME.fullmatch(name):
        raise UsageError(f"--name {name!r} (allowed: {PLAIN_NAME_RULE}).")
    cells = make_cells(recipe, grid)
    _require_few(len(cells) * seeds)  # report a mistake before anything is made
    named = [cell.recipe for cell in cells]
    content: dict[str, Any] = {
        "format": FORMAT,
        "recipe": recipes.to_dict(code.inside(recipe)),
        "grid": {field: [_inside(value) for value in values] for field, values in grid.items()},
        "seeds": list(range(recipe.seed, recipe.seed + seeds)),
        **asdict(compute),
        "data_dir": str(data_dir.absolute()) if data_dir else None,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    kind = "sweep" if grid else "seeds"
    stem = f"{recipe.name}-{short_data_name(recipe.data)}-{kind}"
    difference = None
    for candidate in [name] if name else (f"{stem}-{number}" for number in itertools.count(1)):
        path = runs_dir / candidate
        if _create(path, content, named):
            return Sweep(path)
        if holds(path, "sweep.json") and (difference := _difference(_read(path)[0], content, named)) is None:
            _add_seeds(path, content["seeds"])
            return Sweep(path)
        if name:
            break
    if not holds(runs_dir / str(name), "sweep.json"):
        raise RunError(f"{runs_dir / str(name)} already exists and is not a sweep: choose another --name.")
    raise RunError(
        f"sweep {runs_dir / str(name)} has {difference}: choose another --name, "
        f"or continue the sweep as it is with `etude resume {name}`."
    )


def load(sweep: str | Path, *, runs_dir: Path | None = None, trust: bool = False) -> Sweep:
    """Open a sweep by its folder or its name; `RunError` suggests the nearest name.

    With `trust`, the code kept in it and in its runs is run, even if it was made elsewhere: the user has read it.
    """
    path = find(sweep, runs_dir=runs_dir)
    if path:
        if trust:
            code.trust(path)
        return Sweep(path)
    folder = runs_dir or default_runs_dir()
    if found := [each for each in (Path(sweep), folder / sweep) if holds(each, "recipe.json")]:
        raise RunError(f"{found[0]} is a run, not a sweep: name a single run, or only sweeps.")
    raise absent("sweep", sweep, folder, list_paths)


def find(sweep: str | Path, *, runs_dir: Path | None = None) -> Path | None:
    """The folder of a sweep, given as a path or a name, if it exists."""
    paths = (Path(sweep), (runs_dir or default_runs_dir()) / sweep)
    whole = (path for path in paths if holds(path, "sweep.json"))
    damaged = (path for path in paths if os.path.lexists(path / "sweep.json") and not holds(path, "recipe.json"))
    return next(whole, None) or next(damaged, None)


def list_paths(runs_dir: Path) -> list[Path]:
    """The sweeps' folders in `runs_dir`, oldest first."""
    return [path for path in run_paths(runs_dir, "sweep.json") if os.path.lexists(path / "sweep.json")]


def _inside(value: Value) -> Value:
    """A value of a grid as sweep.json has it: if it names a user's file, it names the copy instead."""
    return code.moved(value) if isinstance(value, str) and is_spec(value) else value


def _create(path: Path, content: dict[str, Any], named: Sequence[Recipe]) -> bool:
    """Make the folder, whole or not at all, with the code that recipes name; False if the name is taken."""
    temporary = temporary_path(path.with_name("new"))
    remove_leftovers(path.parent)
    try:
        temporary.mkdir(parents=True)
        if copies := code.write(temporary, *named):
            content = {**content, "code": copies}
        write_atomically(temporary / "sweep.json", checked_json(content))
        try:
            temporary.rename(path)  # fails if it exists: the folder of a sweep or run is never empty
        except OSError:
            if not path.exists():
                raise
            return False
        flush_folder(path.parent)
        return True
    except OSError as error:
        raise cannot_write(path.parent, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _difference(there: dict[str, Any], asked: dict[str, Any], named: Sequence[Recipe]) -> str | None:
    """How a sweep on the disk differs from the requested one, in words; None if the plan is the same."""
    if there["grid"] != asked["grid"]:
        return f"another grid ({_grid_text(there['grid'])}; asked for: {_grid_text(asked['grid'])})"
    # Converted to a recipe and back: a sweep older than a field has its default.
    known = (recipes.to_dict(recipes.from_dict(each["recipe"], source="sweep.json")) for each in (there, asked))
    old, new = ({**each, **each["optimizer"]} for each in known)
    for field in sorted({*old, *new} - {"optimizer", "seed"}):
        if old.get(field) != new.get(field):
            return f"another {field} ({old.get(field)}; asked for: {new.get(field)})"
    digests = {entry["file"]: entry["sha256"] for entry in there["code"]}
    sources = {path: source.sha256 for path, source in code.sources_of(named).items()}
    if other := [path for path in {**digests, **sources} if digests.get(path) != sources.get(path)]:
        return f"other code ({other[0]} has changed since)"
    if there["seeds"] != asked["seeds"][: len(there["seeds"])]:
        return f"other seeds ({_seeds_text(there['seeds'])}; asked for: {_seeds_text(asked['seeds'])})"
    for field in ("device", "threads", "precision", "compile", "data_dir"):
        if there[field] != asked[field]:
            return f"another {field} ({there[field]}; asked for: {asked[field]})"
    return None


def _add_seeds(path: Path, seeds: list[int]) -> None:
    if len(seeds) > len(_read(path)[0]["seeds"]):
        with training_lock(path):
            content, _, _ = _read(path)
            if len(seeds) > len(content["seeds"]):
                write_atomically(path / "sweep.json", checked_json({**content, "format": FORMAT, "seeds": seeds}))


def _grid_text(grid: Grid) -> str:
    return " ".join(f"{field}={','.join(map(str, values))}" for field, values in grid.items()) or "none"


def _seeds_text(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])


def _read(path: Path) -> tuple[dict[str, Any], Recipe, list[Cell]]:
    """The content of the folder's sweep.json, its recipe, the grid's cells.

    Raises `RunError` if it is damaged or from a newer étude.
    """
    try:
        content, has_checksum = parse_checked_json(read_whole(path / "sweep.json"))
        version = content["format"]
        if type(version) is not int or version < 1:
            raise ValueError(f"it has {version!r:.100} for format")
    except (OSError, ValueError, KeyError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise _damaged(path, f"cannot be read ({reason})") from error
    if version > FORMAT:
        raise RunError(f"sweep {path} is of format {version}, newer than {FORMAT}: update étude to open it.")
    if version > 1 and not has_checksum:
        raise _damaged(path, "has lost its checksum")
    for key, kind in KEYS.items():
        if key not in content:
            raise _damaged(path, f"has no {key}")
        if not isinstance(content[key], kind) or isinstance(content[key], bool):
            raise _damaged(path, f"has {content[key]!r:.100} for {key}")
    seeds, grid = content["seeds"], content["grid"]
    if not seeds or not all(type(seed) is int and 0 <= seed < 2**63 for seed in seeds) or len(set(seeds)) < len(seeds):
        raise _damaged(path, f"has {seeds!r:.100} for seeds")
    values = [value for each in grid.values() if isinstance(each, list) for value in each]
    if not all(isinstance(each, list) for each in grid.values()) or not all(isinstance(each, Value) for each in values):
        raise _damaged(path, f"has {grid!r:.100} for grid")
    try:
        content["code"] = code.check_entries(content.get("code", []))
        recipe = recipes.from_dict(content["recipe"], source=str(path / "sweep.json"))
        cells = [replace(cell, recipe=code.outside(cell.recipe, path)) for cell in make_cells(recipe, grid)]
        recipe = code.outside(recipe, path)
        _require_few(len(cells) * len(seeds))
    except (EtudeError, ValueError) as error:
        raise _damaged(path, f"holds no plan ({str(error).rstrip('.'):.300})") from error
    return content, recipe, cells


def _require_few(num_runs: int) -> None:
    if num_runs > MOST_RUNS:
        raise UsageError(f"{num_runs:,} runs (allowed: at most {MOST_RUNS:,}, cells times --seeds).")


def _damaged(path: Path, what: str) -> RunError:
    return RunError(f"damaged sweep {path}: sweep.json {what}; start it again.")
