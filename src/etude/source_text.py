"""A class or function of a person's as the text of a file that defines it, with all that it needs.

So that a network given in Python, from a script, a module or a notebook, can be kept with a run like one from a file.
Needs no PyTorch.
"""

import ast
import builtins
import functools
import inspect
import sys
import sysconfig
import textwrap
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from etude.errors import UsageError

PLAIN = (int, float, complex, bool, str, bytes, type(None), type(Ellipsis))
"""Types whose values are written as they are."""


def text_of(thing: Any) -> str:
    """The text of a file that defines a class or function under its own name.

    What it names of its module is written out with it: other classes and functions of a person's by their source,
    modules and what libraries define by imports, plain numbers and texts by their values. Raises a `UsageError` where
    the source is not to be had, or something it names cannot be written.
    """
    imports: dict[str, str] = {}
    definitions: dict[str, str] = {}
    _write(thing, thing.__name__, imports, definitions)
    return "\n".join([*sorted(imports.values()), "", *definitions.values()]) + "\n"


def _write(thing: Any, name: str, imports: dict[str, str], definitions: dict[str, str]) -> None:
    """Add what defines `thing` under `name`, after all that it needs."""
    if name in imports or name in definitions:
        return
    if isinstance(thing, ModuleType):
        imports[name] = f"import {thing.__name__}" if thing.__name__ == name else f"import {thing.__name__} as {name}"
    elif isinstance(thing, type) or inspect.isfunction(thing):
        _write_definition(thing, name, imports, definitions)
    elif callable(thing) and getattr(sys.modules.get(thing.__module__ or ""), thing.__name__, None) is thing:
        imports[name] = f"from {thing.__module__} import {thing.__name__} as {name}"
    else:
        definitions[name] = f"{name} = {_expression(thing, name, imports, definitions)}"


def _expression(thing: Any, name: str, imports: dict[str, str], definitions: dict[str, str]) -> str:
    """What makes a value again, once all that it needs is written: of `name`, or a part of it."""
    match thing:
        case partial():
            _write(functools, "functools", imports, definitions)
            given = [_expression(each, name, imports, definitions) for each in (thing.func, *thing.args)]
            named = [f"{k}={_expression(v, name, imports, definitions)}" for k, v in thing.keywords.items()]
            return f"functools.partial({', '.join([*given, *named])})"
        case dict():
            parts = [[_expression(each, name, imports, definitions) for each in pair] for pair in thing.items()]
            return f"{{{', '.join(f'{key}: {value}' for key, value in parts)}}}"
        case list() | tuple():
            inner = "".join(f"{_expression(each, name, imports, definitions)}, " for each in thing)
            return f"[{inner}]" if isinstance(thing, list) else f"({inner})"
        case _ if _is_plain(thing):
            return repr(thing)
        case _ if isinstance(thing, type) or inspect.isfunction(thing):
            _write(thing, thing.__name__, imports, definitions)
            return thing.__name__
        case _:
            raise UsageError(
                f"{name} is a {type(thing).__name__}, which cannot be kept with the run: put the network into a file "
                "and give FILE.py:NAME."
            )


def _write_definition(thing: Any, name: str, imports: dict[str, str], definitions: dict[str, str]) -> None:
    if not _is_own(thing):
        imports[name] = f"from {thing.__module__} import {thing.__qualname__.partition('.')[0]} as {name}"
        return
    try:
        text = textwrap.dedent(inspect.getsource(thing))
        tree = ast.parse(text)
    except (OSError, TypeError, SyntaxError) as error:
        raise UsageError(
            f"the source of {name} is not to be had: put the network into a file and give FILE.py:NAME."
        ) from error
    definitions[name] = ""  # a place, lest it be written again where it names itself
    for needed, value in _needs(thing, tree):
        if needed != name:
            _write(value, needed, imports, definitions)
    del definitions[name]
    definitions[name] = f"\n{text.rstrip()}" + ("" if thing.__name__ == name else f"\n\n{name} = {thing.__name__}")


def _needs(thing: Any, tree: ast.AST) -> list[tuple[str, Any]]:
    """The names in a definition that its module defines, with their values, each once."""
    names = dict.fromkeys(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    scope = dict(vars(sys.modules[thing.__module__])) if thing.__module__ in sys.modules else {}
    for function in (thing, *vars(thing).values()) if isinstance(thing, type) else (thing,):
        scope |= getattr(inspect.unwrap(function) if callable(function) else function, "__globals__", {})
        if inspect.isfunction(function):  # defined within another function: what it holds of that
            scope |= inspect.getclosurevars(function).nonlocals
    return [(name, scope[name]) for name in names if name in scope and not hasattr(builtins, name)]


def _is_own(thing: Any) -> bool:
    """Whether a person wrote it: its source lies outside of Python and the installed packages."""
    if thing.__module__ == "__main__":
        return True
    file = getattr(sys.modules.get(thing.__module__), "__file__", None)
    if file is None:
        return thing.__module__ not in sys.builtin_module_names
    paths = sysconfig.get_paths()
    installed = {Path(paths[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    installed.add(Path(__file__).parent.resolve())
    return not installed & set(Path(file).resolve().parents)


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, set) else type(value) in PLAIN
