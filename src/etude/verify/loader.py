"""The learner's file as a dictionary of names: a module, or a notebook's cells."""

import ast
import os
import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from etude.errors import UsageError
from etude.files import parse_json
from etude.user_code import run_file
from etude.verify.adapter import Adapter
from etude.verify.observation import OUT_OF_MEMORY, NotAllowed, Undecided, is_out_of_memory, one_line

SUFFIXES = (".py", ".ipynb", ".toml")


@dataclass(frozen=True)
class Loaded:
    """What a file defines."""

    names: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    """What was skipped, one line each."""

    def named(self, name: str) -> Any:
        """What the file calls `name`, or its own class of that name in CamelCase (GRUCell for gru_cell), or None."""
        if name in self.names:
            return self.names[name]
        letters = name.replace("_", "").casefold()
        classes = {key.casefold(): value for key, value in self.names.items() if isinstance(value, type)}
        found = classes.get(letters)
        return None if found is None or found.__module__.startswith("torch.") else found

    def missing(self, name: str, looked_for: Collection[str]) -> str:
        """The message for a name that is missing. Names that are `looked_for` too are never suggested."""
        others = [each for each in self.names if not each.startswith("_") and each not in looked_for]
        near = get_close_matches(name, others, n=1)
        hint = f"did you mean to rename {near[0]}?" if near else "define it."
        return f"nothing is called {name}; {hint} An adapter maps other names."


class CannotLoad(Exception):
    """The file does not run to its end. The text says why, on one line."""


def checked_path(path: Path) -> Path:
    """`path` if it is a file of a kind that `load` reads, else a `UsageError`."""
    if not os.path.isfile(path):
        raise UsageError(f"{path}: no such file; give a module (.py), a notebook (.ipynb) or an adapter (.toml).")
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path}: a {path.suffix or 'nameless'} file; give .py, .ipynb or an adapter (.toml).")
    return path


def load(adapter: Adapter) -> Loaded:
    """Run the adapter's file and return the names it defines; `CannotLoad` if it does not run."""
    path = adapter.file
    sys.path.insert(0, str(path.parent.resolve()))  # a file may import its neighbours
    sys.argv = [str(path)]  # and read its arguments: there are none
    loaded = _load_notebook(path) if path.suffix == ".ipynb" else _load_module(path)
    try:
        return Loaded(adapter.mapped(loaded.names), loaded.notes)
    except LookupError as error:
        raise CannotLoad(error.args[0]) from None


def _load_module(path: Path) -> Loaded:
    try:
        return Loaded(run_file(path))
    except UsageError as error:
        if isinstance(error.__cause__, NotAllowed):
            raise Undecided(str(error.__cause__)) from None
        if error.__cause__ and is_out_of_memory(error.__cause__):
            raise Undecided(f"importing it {OUT_OF_MEMORY}") from None
        raise CannotLoad(str(error).replace(str(path), path.name, 1).rstrip(".")) from None


def _load_notebook(path: Path) -> Loaded:
    """Imports, definitions and assignments of all code cells. Loops and calls (training, plots) are not run."""
    names: dict[str, Any] = {"__name__": "learner"}
    notes: list[str] = []
    for number, source in _code_cells(path):
        try:
            statements = _parsed(source)
        except SyntaxError as error:
            notes.append(f"cell {number} skipped: line {error.lineno}: {error.msg}")
            continue
        for statement in _definitions(statements):
            try:
                exec(compile(ast.Module([statement], []), f"cell {number}", "exec"), names)
            except Exception as error:
                reason = f"{type(error).__name__}: {one_line(str(error))}"
                notes.append(f"cell {number}, line {statement.lineno} skipped: {reason}")
            except SystemExit:
                notes.append(f"cell {number}, line {statement.lineno} skipped: it calls exit")
    return Loaded(names, tuple(notes))


_DEFINITIONS = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign,
    ast.AugAssign,
)  # fmt: skip


def _definitions(statements: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that define names, including those inside `if`, `try` and `with`."""
    kept: list[ast.stmt] = []
    for statement in statements:
        if isinstance(statement, ast.If | ast.Try | ast.With):
            blocks = [statement, *(statement.handlers if isinstance(statement, ast.Try) else ())]
            for block in blocks:
                block.body = _definitions(block.body) or [ast.copy_location(ast.Pass(), block)]
            if isinstance(statement, ast.If | ast.Try):
                statement.orelse = _definitions(statement.orelse)
            if isinstance(statement, ast.Try):
                statement.finalbody = _definitions(statement.finalbody)
            kept.append(statement)
        elif isinstance(statement, _DEFINITIONS):
            kept.append(statement)
    return kept


def _code_cells(path: Path) -> list[tuple[int, str]]:
    """(number from 1, source) of every code cell."""
    try:
        cells = parse_json(path.read_text(encoding="utf-8"))["cells"]
        return [(number, "".join(cell["source"])) for number, cell in enumerate(cells, 1)
                if cell["cell_type"] == "code"]  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise CannotLoad(f"{path.name} is not a notebook: {type(error).__name__}: {one_line(str(error))}") from None


_CELL_MAGIC = re.compile(r"\s*%%(\w+).*\n?")
_PYTHON_CELLS = {"time", "timeit", "capture", "prun"}
"""The magics whose cell is Python. With any other magic, the whole cell is not Python."""
_COMMAND = re.compile(r"^([ \t]*)(?:[%!?](?:.*\\\n)*.*|[\w.]+\?\??)$", re.MULTILINE)
_COMMAND_RESULT = re.compile(r"^([ \t]*[\w., \t]+=[ \t]*)[%!](?:.*\\\n)*.*$", re.MULTILINE)


def _parsed(source: str) -> list[ast.stmt]:
    """The cell as Python; lines for IPython do nothing, and what a command would return is None."""
    if magic := _CELL_MAGIC.match(source):
        source = "\n" + source[magic.end() :] if magic[1] in _PYTHON_CELLS else ""
    try:
        return _tree(source)
    except SyntaxError:
        return _tree(_COMMAND.sub(r"\1pass", _COMMAND_RESULT.sub(r"\1None", source)))


def _tree(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except (ValueError, RecursionError, MemoryError) as error:  # half a character, NUL; nested too deeply
        raise SyntaxError(f"Python cannot read it: {one_line(str(error)) or type(error).__name__}") from None
