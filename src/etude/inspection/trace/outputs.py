"""The tensors in whatever a network returns: tuples, dicts, dataclasses, model outputs, distributions."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

_ENDS = (str, bytes, int, float, complex, type, nn.Module)


def tensors_in(result: Any) -> list[Tensor]:
    """All tensors that can be reached from `result` through containers and attributes, in their order there."""
    found: list[Tensor] = []
    seen: set[int] = set()

    def visit(value: Any) -> None:
        if isinstance(value, Tensor):
            found.append(value)
        elif id(value) not in seen:
            seen.add(id(value))
            for child in _children(value):
                visit(child)

    visit(result)
    return found


def _children(value: Any) -> Iterable[Any]:
    if value is None or isinstance(value, _ENDS) or callable(value):
        return ()
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if is_dataclass(value):
        return [getattr(value, field.name, None) for field in fields(value)]
    return list(getattr(value, "__dict__", {}).values())
