"""Turn the words of a command line into a call, by tyro. A mistake in them becomes one of étude's one-line errors."""

import contextlib
import dataclasses
import functools
import io
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructTypeInfo,
)

from etude.errors import UsageError
from etude.families.ranges import ranges_of

Parsed = TypeVar("Parsed")

CONFIG = (
    tyro.conf.HelptextFromCommentsOff,
    tyro.conf.PositionalMetavarFromFieldName,
)

REGISTRY = ConstructorRegistry()
NARROWEST = 40
"""Least columns of a help page: with one or two, tyro takes minutes."""


@REGISTRY.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Read `T | None` as T: None means that the flag was not given; nobody types or chooses it."""
    others = [each for each in get_args(info.type) if each is not NoneType]
    if NoneType not in get_args(info.type) or len(others) != 1:
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(others[0], info.markers))
    assert isinstance(spec, PrimitiveConstructorSpec), spec
    return dataclasses.replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: ["unset"] if value is None else spec.str_from_instance(value),
    )


@REGISTRY.primitive_rule
def _path(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Refuse an empty path, which Python takes for the current folder."""
    if info.type is not Path:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda words: _named(words[0]),
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda value: [str(value)],
    )


@REGISTRY.primitive_rule
def _numbers(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Read several numbers from one word, such as 8,16,32."""
    if get_origin(info.type) is not tuple or get_args(info.type)[1:] != (...,):
        return None
    number = get_args(info.type)[0]
    if number not in (int, float):
        return None
    what = "whole numbers" if number is int else "numbers"

    def read(words: list[str]) -> tuple[Any, ...]:
        try:
            return tuple(number(part) for part in words[0].split(","))
        except ValueError:
            raise ValueError(f"{words[0]!r} (allowed: {what} separated by commas, such as 8,16,32)") from None

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="NUMBER,NUMBER",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, tuple) and all(isinstance(each, int | float) for each in value),
        str_from_instance=lambda value: [",".join(map(str, value))],
    )


def _named(word: str) -> Path:
    if not word:
        raise ValueError("'' is no path (allowed: a name, or . for this folder)")
    return Path(word)


_RANGES_SHOWN = object()
"""A marker of dataclasses whose fields show their ranges already."""


@REGISTRY.struct_rule
def _ranged(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Show the range of a field in its help, beside the default."""
    ranges = ranges_of(info.type) if dataclasses.is_dataclass(info.type) else {}
    if not ranges or _RANGES_SHOWN in info.markers:
        return None
    marked = dataclasses.replace(info, markers=(*info.markers, _RANGES_SHOWN))  # this rule leaves it to tyro's own
    spec = ConstructorRegistry.get_struct_spec(marked)
    assert isinstance(spec, StructConstructorSpec), spec
    hints = {name: tyro.conf.arg(help_behavior_hint=f"({each}; default: {{}})".format) for name, each in ranges.items()}
    fields = [
        dataclasses.replace(field, type=Annotated[field.type, hints[field.name]]) if field.name in hints else field
        for field in spec.fields
    ]
    return dataclasses.replace(spec, fields=tuple(fields))


Values = tyro.conf.UseAppendAction[list[list[str]]]
"""A flag that takes several values and may be given several times. `flat` lists them all."""


def flat(values: Values) -> list[str]:
    """The values of a repeatable flag in the order they were given."""
    return [value for group in values for value in group]


def parse_call(command: Callable[..., object], *, prog: str, arguments: Sequence[str]) -> Callable[[], object]:
    """The command bound to its arguments, ready to be called; `--help` prints its page and exits."""

    @functools.wraps(command)
    def bind(*args: Any, **kwargs: Any) -> Callable[[], object]:
        return functools.partial(command, *args, **kwargs)

    return parse(tyro.conf.FlagCreatePairsOff[bind], prog=prog, arguments=arguments)


def parse(
    target: Callable[..., Parsed],
    *,
    prog: str,
    arguments: Sequence[str],
    default: Any = tyro.MISSING_NONPROP,
    description: str | None = None,
) -> Parsed:
    """`tyro.cli`, with a `UsageError` for a mistake in the words."""
    if shutil.get_terminal_size().columns < NARROWEST:
        os.environ["COLUMNS"] = str(NARROWEST)
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return tyro.cli(
                target,
                prog=prog,
                args=arguments,
                default=default,
                description=description,
                config=CONFIG,
                registry=REGISTRY,
            )
    except SystemExit as stop:
        if not stop.code:  # --help
            raise
        raise UsageError(_one_line(box.getvalue(), prog)) from None


def _one_line(box: str, prog: str) -> str:
    """Tyro's framed message on one line. It has rows under a title, and parts divided by rules of `─` or `-`."""
    rows = [row.strip("│ ") for row in box.splitlines()[1:]]
    parts = [" ".join(part.split()) for part in re.split(r"^[─╰╯-]{4,}$", "\n".join(rows), flags=re.MULTILINE)]
    problem, *rest = filter(None, parts)
    near = re.search(r"Perhaps you meant: (--[^\s,]+(?:, --[^\s,]+)*)", " ".join(rest))
    suggestion = f"; did you mean {near[1]}?" if near else ";"
    problem = problem.replace("Unrecognized options: ", "unknown flag or word: ").rstrip(".")
    return f"{problem}{suggestion} `{prog} --help` lists what is allowed."
