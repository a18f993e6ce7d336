"""What a person gives beside an expression: shapes, values, the name to differentiate for."""

import re
from collections.abc import Mapping
from typing import Any

import torch

from etude.errors import UsageError


def check_types(expression: Any, wrt: Any, shapes: Any, at: Any) -> None:
    """Refuse what is no text, no name and no dictionary, as from Python."""
    if not isinstance(expression, str):
        raise UsageError(f"the expression is {expression!r:.40}; allowed: a text, as 'x.T @ A @ y'.")
    if not isinstance(wrt, str | None):
        raise UsageError(f"--wrt is {wrt!r:.40}; allowed: the name of a variable, as 'x'.")
    for flag, given, example in (("shapes", shapes, "{'x': 'n'}"), ("at", at, "{'x': [1, 2]}")):
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise UsageError(f"--{flag} is {given!r:.40}; allowed: a dictionary, as {example}.")
        if stray := [name for name in given if not isinstance(name, str)]:
            raise UsageError(f"--{flag} has the name {stray[0]!r:.40}; allowed: texts, as {example}.")


def shape_as_text(name: str, shape: Any) -> str:
    """A shape as typed for `--shapes`: "n,m" of ("n", "m")."""
    if isinstance(shape, str):
        return shape
    parts = shape if isinstance(shape, tuple | list) else (shape,)
    if any(isinstance(part, bool) or not (isinstance(part, str) or hasattr(part, "__index__")) for part in parts):
        raise UsageError(
            f"--shapes has {name}={shape!r:.40}; allowed: 1 (scalar), n or 3 (vector), n,m or 3,4 (matrix)."
        )
    return ",".join(map(str, parts))


def smaller_shape(shape: str, most: int) -> str:
    """Sizes too large to check, and only those, become small ones; most that differ stay different."""
    parts = [part.strip() for part in re.split("[,×]", shape)]
    large = [bool(re.fullmatch("[0-9]{1,10}", part)) and int(part) > most for part in parts]
    return ",".join(
        str(2 + most // 3 + int(part) % (most // 2)) if big else part for part, big in zip(parts, large, strict=True)
    )


def tensor(name: str, value: Any) -> torch.Tensor:
    """A column for a list, (1, 1) for a number."""
    try:
        found = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"--at has {name}={value!r:.40}; allowed: a number, a list, rows of a matrix.") from error
    if found.dim() > 2 or not found.numel() or found.numel() > 10_000:
        raise UsageError(f"--at has {name} with shape {tuple(found.shape)}; allowed: up to 10,000 numbers, 2 axes.")
    if not found.isfinite().all():
        raise UsageError(f"--at has {name} with a value that is not finite; allowed: numbers.")
    return found.reshape(-1, 1) if found.dim() < 2 else found
