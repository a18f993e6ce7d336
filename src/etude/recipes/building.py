"""A dataclass from values that a person wrote: each of a type that its field allows."""

import dataclasses
from typing import Any, Literal, get_type_hints

from etude.errors import UsageError, unknown

UNSET = "unset"
"""What a file says of a field that is not set, where leaving it out would mean something else."""


def build(cls: type[Any], values: dict[str, Any], source: str) -> Any:
    """An instance of a dataclass from the values of its fields; `UsageError` names a field it has not, misses, or of a
    wrong type, and `source`.
    """
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if unexpected := [key for key in values if key not in fields]:
        raise unknown(f"key in {source}:", unexpected[0], fields)
    missing = [name for name, field in fields.items() if name not in values and field.default is dataclasses.MISSING]
    if missing:
        raise UsageError(f"{source}: missing {', '.join(missing)}; add {'it' if len(missing) == 1 else 'them'}.")
    values = {key: None if value == UNSET and _fits(None, hints.get(key)) else value for key, value in values.items()}
    for key, value in values.items():
        if not _fits(value, hints[key]):
            raise UsageError(f"{source}: {key} is {value!r}; allowed: {_describe(hints[key])}.")
    return cls(**values)


def _fits(value: object, hint: Any) -> bool:
    """Whether a value read from a file is of the annotated type; the few forms that recipes use."""
    arguments = getattr(hint, "__args__", ())
    if getattr(hint, "__origin__", None) is Literal:
        return value in arguments
    if arguments:
        return any(_fits(value, argument) for argument in arguments)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _describe(hint: Any) -> str:
    arguments = getattr(hint, "__args__", ())
    if getattr(hint, "__origin__", None) is Literal:
        return ", ".join(repr(argument) for argument in arguments)
    if arguments:
        return " or ".join(_describe(argument) for argument in arguments if argument is not type(None))
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}.get(
        hint, f"a table ({hint.__name__})"
    )


def table(values: dict[str, Any], key: str, source: str) -> dict[str, Any]:
    """The table of that name, empty where there is none; `UsageError` where it is something else."""
    table = values.get(key, {})
    if not isinstance(table, dict):
        raise UsageError(f"{source}: {key} is {table!r}; allowed: a table, [{key}].")
    return table


def without_none(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are set, in tables too."""
    return {k: without_none(v) if isinstance(v, dict) else v for k, v in values.items() if v is not None}
