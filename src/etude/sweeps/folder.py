"""A sweep: a folder with the cells of a grid, each trained with the same seeds.

sweep.json            the recipe, the grid, the seeds, and how they are run
CELL-seed-K/          a run each, as any other (see `etude.runs.run`)
results.csv, .md      what came out; learning-curves.png, .svg
workers.log           what the training processes wrote to stderr
"""

import itertools
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from etude import recipes
from etude.errors import EtudeError, RunError, UsageError
from etude.files import PLAIN_NAME, PLAIN_NAME_RULE, cannot_write, flush_folder, write_atomically
from etude.recipes import Recipe
from etude.runs import Run, State, default_runs_dir
from etude.runs.configuration import read_configuration
from etude.runs.folder import short_data_name
from etude.sweeps.grid import Cell, Grid, make_cells

FORMAT = 1
"""Version of sweep.json; a reader refuses a newer one."""
KEYS = ("recipe", "grid", "seeds", "device", "threads", "precision", "compile", "data_dir", "created")
MOST_SEEDS = 10_000
WAITING = State(status="waiting")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One run of a sweep, trained or not yet."""

    cell: Cell
    seed: int
    path: Path

    @property
    def state(self) -> State:
        """How far the run is; waiting before it has begun; failed when its folder is damaged."""
        if not (self.path / "recipe.json").is_file():
            return WAITING
        try:
            return Run(self.path).state
        except EtudeError as error:
            return State(status="failed", error=str(error))

    @property
    def recipe(self) -> Recipe:
        """What it trains: the cell's recipe with its seed."""
        return replace(self.cell.recipe, seed=self.seed)

    @property
    def label(self) -> str:
        """As people read it: batch_size=4 epochs=20 seed 3."""
        return f"{self.cell.label} seed {self.seed}"


class Sweep:
    """A sweep, from its folder; final. Made by `etude.sweeps.sweep` and `etude.sweeps.load`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        content = _read(path / "sweep.json")
        self.recipe: Recipe = recipes.from_dict(content["recipe"], source=str(path / "sweep.json"))
        self.grid: Grid = content["grid"]
        self.seeds: list[int] = content["seeds"]
        self.device: str = content["device"]
        self.threads: int = content["threads"]
        self.precision: str = content["precision"]
        self.compile: str = content["compile"]
        self.data_dir: Path | None = Path(content["data_dir"]) if content["data_dir"] else None
        self.created: str = content["created"]

    @cached_property
    def cells(self) -> list[Cell]:
        """The grid's combinations, one where there is no grid."""
        return make_cells(self.recipe, self.grid)

    @property
    def data_name(self) -> str:
        """What its runs call their data: files other than the published ones have their path as a name."""
        for member in self.members() if "data" not in self.grid else ():
            with suppress(EtudeError):  # not begun, or damaged
                return read_configuration(member.path)["dataset"]["name"]
        return self.recipe.data

    def members(self, cell: Cell | None = None) -> Iterator[Member]:
        """Every run, of one cell or of all: seed by seed, so that an interrupted sweep has whole rows of pairs."""
        for seed, each in itertools.product(self.seeds, [cell] if cell else self.cells):
            yield Member(cell=each, seed=seed, path=self.path / f"{each.name}-seed-{seed}")

    def cell(self, name: str) -> Cell:
        """The cell of that name, batch_size-4-epochs-20 or batch_size=4,epochs=20; `RunError` names them all."""
        wanted = re.sub(r"[=, ]+", "-", name)
        for cell in self.cells:
            if cell.name == wanted:
                return cell
        names = [cell.name for cell in self.cells]
        near = get_close_matches(wanted, names, n=1)
        suggestion = f"did you mean {near[0]}? Choose" if near else "choose"
        raise RunError(f"sweep {self.path} has no cell {name}: {suggestion} from {', '.join(names)}.")

    def __repr__(self) -> str:
        return f"<Sweep {self.name}: {len(self.cells)} cells, {len(self.seeds)} seeds>"


def prepare(
    recipe: Recipe,
    grid: Grid,
    *,
    num_seeds: int,
    name: str | None,
    runs_dir: Path,
    data_dir: Path | None,
    device: str,
    threads: int,
    precision: str,
    compile: str,
) -> Sweep:
    """Make the sweep's folder, or find the one that holds the same plan; more seeds than it has are added to it.

    Without a `name` it is called RECIPE-DATA-sweep-NUMBER (or -seeds- where there is no grid), the first number that is
    free or holds this plan. Seeds count up from the recipe's.
    """
    if not 1 <= num_seeds <= MOST_SEEDS:
        raise UsageError(f"--seeds {num_seeds} (allowed: 1 to {MOST_SEEDS:,}).")
    if name is not None and not PLAIN_NAME.fullmatch(name):
        raise UsageError(f"--name {name!r} (allowed: {PLAIN_NAME_RULE}).")
    make_cells(recipe, grid)  # a mistake in the grid is said before anything is made
    content = {
        "format": FORMAT,
        "recipe": recipes.to_dict(recipe),
        "grid": {field: list(values) for field, values in grid.items()},
        "seeds": list(range(recipe.seed, recipe.seed + num_seeds)),
        "device": device,
        "threads": threads,
        "precision": precision,
        "compile": compile,
        "data_dir": str(data_dir.absolute()) if data_dir else None,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    kind = "sweep" if grid else "seeds"
    stem = f"{recipe.name}-{short_data_name(recipe.data)}-{kind}"
    difference = None
    for candidate in [name] if name else (f"{stem}-{number}" for number in itertools.count(1)):
        path = runs_dir / candidate
        if _create(path, content):
            return Sweep(path)
        if (path / "sweep.json").is_file() and (difference := _difference(_read(path / "sweep.json"), content)) is None:
            _add_seeds(path, content["seeds"])
            return Sweep(path)
        if name:
            break
    if not (runs_dir / str(name) / "sweep.json").is_file():
        raise RunError(f"{runs_dir / str(name)} is already there and no sweep: choose another --name.")
    raise RunError(
        f"sweep {runs_dir / str(name)} has {difference}: choose another --name, "
        f"or go on with it as it is by `etude resume {name}`."
    )


def load(sweep: str | Path, *, runs_dir: Path | None = None) -> Sweep:
    """Open a sweep by its folder or its name; `RunError` suggests the nearest name."""
    path = find(sweep, runs_dir=runs_dir)
    if path:
        return Sweep(path)
    folder = runs_dir or default_runs_dir()
    if found := [each for each in (Path(sweep), folder / sweep) if (each / "recipe.json").is_file()]:
        raise RunError(f"{found[0]} is a run and no sweep: name a single run, or sweeps alone.")
    names = [each.name for each in list_paths(folder)]
    near = get_close_matches(Path(sweep).name, names, n=1)
    suggestion = f"did you mean {near[0]!r}? " if near else ""
    raise RunError(f"no sweep {str(sweep)!r} here or in {folder}: {suggestion}`etude runs` lists {len(names)}.")


def find(sweep: str | Path, *, runs_dir: Path | None = None) -> Path | None:
    """The folder of a sweep given as a path or a name, if there is one."""
    paths = (Path(sweep), (runs_dir or default_runs_dir()) / sweep)
    return next((path for path in paths if (path / "sweep.json").is_file()), None)


def list_paths(runs_dir: Path) -> list[Path]:
    """The sweeps' folders in `runs_dir`, oldest first."""
    files = sorted(runs_dir.glob("[!.]*/sweep.json"), key=lambda file: file.stat().st_mtime)
    return [file.parent for file in files]


def _create(path: Path, content: dict[str, Any]) -> bool:
    """Make the folder, whole or not at all; False where the name is taken."""
    temporary = path.with_name(f".new-{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        write_atomically(temporary / "sweep.json", json.dumps(content, indent=1))
        try:
            temporary.rename(path)  # fails when it is there: the folder of a sweep or run is never empty
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


def _difference(there: dict[str, Any], asked: dict[str, Any]) -> str | None:
    """What a sweep on the disk has other than the one asked for, in words; None when it is the same plan."""
    if there["grid"] != asked["grid"]:
        return f"another grid ({_grid_text(there['grid'])}; asked for: {_grid_text(asked['grid'])})"
    # Through a recipe and back: a sweep from before a field existed has its default.
    known = (recipes.to_dict(recipes.from_dict(each["recipe"], source="sweep.json")) for each in (there, asked))
    old, new = ({**each, **each["optimizer"]} for each in known)
    for field in sorted({*old, *new} - {"optimizer", "seed"}):
        if old.get(field) != new.get(field):
            return f"another {field} ({old.get(field)}; asked for: {new.get(field)})"
    if there["seeds"] != asked["seeds"][: len(there["seeds"])]:
        return f"other seeds ({_seeds_text(there['seeds'])}; asked for: {_seeds_text(asked['seeds'])})"
    for field in ("device", "threads", "precision", "compile", "data_dir"):
        if there[field] != asked[field]:
            return f"another {field} ({there[field]}; asked for: {asked[field]})"
    return None


def _add_seeds(path: Path, seeds: list[int]) -> None:
    content = _read(path / "sweep.json")
    if len(seeds) > len(content["seeds"]):
        write_atomically(path / "sweep.json", json.dumps({**content, "seeds": seeds}, indent=1))


def _grid_text(grid: Grid) -> str:
    return " ".join(f"{field}={','.join(map(str, values))}" for field, values in grid.items()) or "none"


def _seeds_text(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
        version = int(content["format"])
        missing = [key for key in KEYS if key not in content]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"damaged sweep {path.parent}: sweep.json cannot be read ({error}); start it again.") from error
    if missing:
        raise RunError(f"damaged sweep {path.parent}: sweep.json has no {missing[0]}; start it again.")
    if version > FORMAT:
        raise RunError(f"sweep {path.parent} is of format {version}, newer than {FORMAT}: update étude to open it.")
    return content
