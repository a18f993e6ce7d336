"""Values of one type in what JSON gave; a `ValueError` says which value is another."""

from typing import Any

LONGEST_ROW = 1_000_000


def names_in(values: dict[str, Any]) -> tuple[str, ...]:
    """The names of the classes, at least one."""
    names = tuple(list_in(values, "class_names", str))
    if not names:
        raise ValueError("no class_names")
    return names


def length_in(values: dict[str, Any], key: str) -> int:
    """The length of a row under a key."""
    length = values.get(key)
    if type(length) is not int or not 0 < length <= LONGEST_ROW:
        raise ValueError(f"{length!r} for {key}")
    return length


def text_in(values: dict[str, Any], key: str) -> str:
    """The text under a key, not an empty one."""
    text = values.get(key)
    if not isinstance(text, str) or not text:
        raise ValueError(f"{text!r} for {key}")
    return text


def list_in(values: dict[str, Any], key: str, kind: type) -> list[Any]:
    """The list under a key, all its items of one type."""
    found = values.get(key)
    if not isinstance(found, list) or not all(type(each) is kind for each in found):
        raise ValueError(f"{found!r} for {key}")
    return found
