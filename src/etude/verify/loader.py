"""The learner's file as a dictionary of names: a module, a notebook's cells, or an adapter that maps other names.

An adapter is a TOML file:

    file = "my_gan.py"            # or a notebook; seen from the adapter's folder
    [names]
    discriminator_loss = "d_loss" # the contract's name = the learner's, which may be dotted
"""

import ast
import json
import runpy
import sys
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from etude.errors import UsageError
from etude.verify.observation import NotAllowed, Undecided, one_line

SUFFIXES = (".py", ".ipynb", ".toml")


@dataclass(frozen=True)
class Loaded:
    """What a file defines."""

    names: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    """What was skipped, one line each."""

    def missing(self, name: str, looked_for: Collection[str]) -> str:
        """The message for a name that is not there; a near miss is none of the names that are `looked_for` too."""
        others = [each for each in self.names if not each.startswith("_") and each not in looked_for]
        near = get_close_matches(name, others, n=1)
        hint = f"did you mean to rename {near[0]}?" if near else "define it."
        return f"nothing is called {name}; {hint} An adapter maps other names."


class CannotLoad(Exception):
    """The file does not run to its end; the text says why, on one line."""


def checked_path(path: Path) -> Path:
    """`path` if it is a file of a kind that `load` reads, else a `UsageError`."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file; give a module (.py), a notebook (.ipynb) or an adapter (.toml).")
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: a {path.suffix or 'nameless'} file; give .py, .ipynb or an adapter (.toml).")
    return path


def load(path: Path) -> Loaded:
    """Run the file and return the names it defines; `CannotLoad` if it does not run."""
    if path.suffix == ".toml":
        return _load_adapter(path)
    sys.path.insert(0, str(path.parent.resolve()))  # a file may import its neighbours
    return _load_notebook(path) if path.suffix == ".ipynb" else _load_module(path)


def _load_module(path: Path) -> Loaded:
    try:
        return Loaded(runpy.run_path(str(path), run_name="learner"))
    except SyntaxError as error:
        raise CannotLoad(f"{path.name} line {error.lineno}: {error.msg}") from None
    except (NotAllowed, MemoryError) as error:
        raise Undecided(str(error) or "importing it asked for more memory than verify allows") from None
    except SystemExit:
        raise CannotLoad(f"{path.name} calls exit while it is imported") from None
    except Exception as error:
        raise CannotLoad(f"{path.name} does not import: {type(error).__name__}: {one_line(str(error))}") from None


def _load_notebook(path: Path) -> Loaded:
    """Imports, definitions and assignments of all code cells; loops and calls (training, plots) are not run."""
    names: dict[str, Any] = {"__name__": "learner"}
    notes: list[str] = []
    for number, source in _code_cells(path):
        try:
            statements = ast.parse(source).body
        except SyntaxError as error:
            notes.append(f"cell {number} skipped: line {error.lineno}: {error.msg}")
            continue
        for statement in statements:
            if not isinstance(
                statement,
                ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign,
            ):
                continue
            code = compile(ast.Module([statement], []), f"cell {number}", "exec")
            try:
                exec(code, names)
            except Exception as error:
                reason = f"{type(error).__name__}: {one_line(str(error))}"
                notes.append(f"cell {number}, line {statement.lineno} skipped: {reason}")
            except SystemExit:
                notes.append(f"cell {number}, line {statement.lineno} skipped: it calls exit")
    return Loaded(names, tuple(notes))


def _code_cells(path: Path) -> list[tuple[int, str]]:
    """(number from 1, source without magics) of every code cell."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = [(number, "".join(cell["source"])) for number, cell in enumerate(cells, 1)
                   if cell["cell_type"] == "code"]  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise CannotLoad(f"{path.name} is not a notebook: {type(error).__name__}: {one_line(str(error))}") from None
    return [(number, _without_magics(source)) for number, source in sources]


def _without_magics(source: str) -> str:
    if source.lstrip().startswith("%%"):  # a cell magic owns its whole cell
        return ""
    lines = source.split("\n")
    return "\n".join("" if line.lstrip().startswith(("%", "!", "?")) or line.endswith("?") else line for line in lines)


def _load_adapter(path: Path) -> Loaded:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CannotLoad(f"{path.name} is not TOML: {one_line(str(error))}") from None
    file, names = content.get("file"), content.get("names", {})
    if not isinstance(file, str) or not isinstance(names, dict) or not all(isinstance(v, str) for v in names.values()):
        raise CannotLoad(f'{path.name} needs `file = "…"` and a table [names] of texts')
    target = path.parent / file
    if not target.is_file() or target.suffix not in (".py", ".ipynb"):
        raise CannotLoad(f"{path.name} names {file}, which is no .py or .ipynb file")
    loaded = load(target)
    mapped = dict(loaded.names)
    for name, own in names.items():
        head, *attributes = own.split(".")
        if head not in loaded.names:
            raise CannotLoad(f"{path.name} maps {name} to {own}, which {file} does not define")
        value = loaded.names[head]
        for attribute in attributes:
            if not hasattr(value, attribute):
                raise CannotLoad(f"{path.name} maps {name} to {own}, which {file} does not define")
            value = getattr(value, attribute)
        mapped[name] = value
    return Loaded(mapped, loaded.notes)
