"""Making, finding and listing run folders."""

import itertools
import os
import re
import shlex
import shutil
import stat
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from etude import recipes
from etude.data import Dataset
from etude.data.names import short_name
from etude.errors import RunError, UsageError
from etude.files import (
    PLAIN_NAME,
    PLAIN_NAME_RULE,
    cannot_write,
    checked_json,
    flush_folder,
    remove_leftovers,
    temporary_path,
    write_atomically,
)
from etude.recipes import Recipe
from etude.runs import code
from etude.runs.configuration import FORMAT
from etude.runs.run import Run


def default_runs_dir() -> Path:
    """Where runs are kept: the folder in `ETUDE_RUNS`, else `runs` in the current folder."""
    return Path(os.environ.get("ETUDE_RUNS") or "runs")


def create_run(
    recipe: Recipe,
    *,
    name: str | None,
    runs_dir: Path,
    configuration: dict[str, Any],
    files: Mapping[str, str] | None = None,
) -> Run:
    """Make a new run folder, whole or not at all, and never one that another process also makes.

    Without a `name` the run is called RECIPE-DATA-NUMBER, the first number that is free. `configuration` goes into
    recipe.json beside the recipe, and `files`, texts by name, beside recipe.json.
    """
    if name is not None and not PLAIN_NAME.fullmatch(name):
        raise UsageError(f"--name {name!r} (allowed: {PLAIN_NAME_RULE}).")
    content = {
        "format": FORMAT,
        "recipe": recipes.to_dict(code.inside(recipe)),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **configuration,
    }
    temporary = temporary_path(runs_dir / "new")
    remove_leftovers(runs_dir)
    try:
        temporary.mkdir(parents=True)
        if recipe.code:
            content["code"] = code.write(temporary, recipe)
        for file, text in (files or {}).items():
            write_atomically(temporary / file, text)
        write_atomically(temporary / "recipe.json", checked_json(content))
        stem = f"{recipe.name}-{short_data_name(recipe.data)}"
        names = [name] if name else (f"{stem}-{number}" for number in itertools.count(1))
        for candidate in names:
            try:
                temporary.rename(runs_dir / candidate)  # fails when it is there: a run folder is never empty
            except OSError:
                if not (runs_dir / candidate).exists():
                    raise
            else:
                flush_folder(runs_dir)
                return Run(runs_dir / candidate)
    except OSError as error:
        raise cannot_write(runs_dir, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    raise RunError(f"run {name} is already in {runs_dir}: choose another --name, or go on with `etude resume {name}`.")


def short_data_name(data: str) -> str:
    """A data set's short name, fit for the name of a folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", short_name(data)).strip("-.")


def load(
    run: str | Path,
    *,
    runs_dir: Path | None = None,
    checkpoint: int | str = "last",
    data: str | Dataset | None = None,
    trust: bool = False,
) -> Run:
    """Open a run by its folder, or by its name in `runs_dir`.

    With `trust` code of the run's own is run even where the run was not made here: its user has read it.

    `checkpoint` chooses the weights: "last", "best" (by the validation split) or the step of one that is kept. `data`
    is where its data set is now, `folder:PATH` say, if it has moved since the run began: the same images.
    """
    return Run(find(run, runs_dir=runs_dir), checkpoint=checkpoint, data=data, trust=trust)


def find(run: str | Path, *, runs_dir: Path | None = None) -> Path:
    """The folder of a run given as a path or a name; `RunError` suggests the nearest name."""
    if not isinstance(run, str | os.PathLike):
        raise UsageError(f"no run: {type(run).__name__}; give its name or its folder.")
    folder = runs_dir or default_runs_dir()
    paths = (Path(run), folder / run)
    for path in paths:
        if holds(path, "recipe.json"):
            return path
        if holds(path, "sweep.json"):
            raise RunError(f"{path} is a sweep: name one of the runs in it, {path}/CELL-seed-NUMBER.")
    for path in paths:
        if os.path.lexists(path / "recipe.json"):  # and is no file: a damaged run, as `etude runs` lists it
            return path
    raise absent("run", run, folder, list_paths)


def absent(kind: str, given: str | Path, runs_dir: Path, listed: Callable[[Path], list[Path]]) -> RunError:
    """The error for a run or sweep that is neither here nor in `runs_dir`; names the nearest that are `listed`."""
    path, home, command = Path(given), runs_dir, "etude runs"
    if path.name != str(path):  # a path: what counts is the folder it leads to
        homes = (path.parent, runs_dir / path.parent)
        home = next((each for each in homes if os.path.isdir(each)), path.parent)
    if home != runs_dir:
        command = f"etude runs --runs-dir {shlex.quote(str(home))}"
    names = [each.name for each in listed(home)] if os.path.isdir(home) else []
    near = get_close_matches(path.name, names, n=1)
    meant = near[0] if near and home == runs_dir else str(home / near[0]) if near else ""
    suggestion = f"did you mean {meant!r}? " if near else ""
    return RunError(f"no {kind} {str(given)!r} here or in {runs_dir}: {suggestion}`{command}` lists {len(names)}.")


def holds(folder: Path, name: str) -> bool:
    """Whether a folder has a file of that name; `RunError` where one may not look."""
    try:
        return stat.S_ISREG(os.stat(folder / name).st_mode)
    except PermissionError as error:
        raise RunError(f"cannot read {folder}: {(error.strerror or str(error)).lower()}.") from error
    except (OSError, ValueError):  # not there, or a name that no folder can have
        return False


def list_paths(runs_dir: Path, file: str = "recipe.json") -> list[Path]:
    """The run folders in `runs_dir`, oldest first: those with a `file`, and those one may not look into."""
    found: list[tuple[float, Path]] = []
    try:
        with os.scandir(runs_dir) as entries:
            folders = [Path(entry.path) for entry in entries if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RunError(f"cannot read {runs_dir}: {(error.strerror or str(error)).lower()}.") from error
    for folder in sorted(folders):
        try:
            found.append((os.lstat(folder / file).st_mtime, folder))
        except PermissionError:
            found.append((0.0, folder))
        except OSError:
            continue
    return [folder for _, folder in sorted(found, key=lambda each: each[0])]
