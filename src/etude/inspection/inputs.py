"""Example inputs from what a person writes: `3,32,32`, `int9:20`, `mask=20:bool`, `input_ids=int50257:128`."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from etude.errors import UsageError, unknown

TYPES: dict[str, torch.dtype] = {
    name: getattr(torch, name)
    for name in (
        "float32", "float64", "float16", "bfloat16", "complex64", "complex128", "int64", "int32", "int16", "int8",
        "uint8", "bool",
    )
}  # fmt: skip


def examples(
    texts: Sequence[str], batch_size: int, example: Callable[[str, int], Tensor]
) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """Positional and keyword inputs: `[NAME=]SIZES[:TYPE]`, where `example` makes those of plain sizes.

    Real and complex numbers are uniform in [0, 1), whole numbers without a bound are 0 and 1, truth values are both.
    Raises a `UsageError` for a name that is given twice or a type that does not exist.
    """
    positional: list[Tensor] = []
    keywords: dict[str, Any] = {}
    for text in texts:
        name, _, rest = text.rpartition("=")
        if "=" in text and not name.isidentifier():
            raise UsageError(f"--input is {text!r}; allowed: a name of the network's inputs before =, as mask=20:bool.")
        if name in keywords:
            raise UsageError(f"--input gives {name} twice; give each input once.")
        tensor = _typed(rest, batch_size, example)
        if name:
            keywords[name] = tensor
        else:
            positional.append(tensor)
    return tuple(positional), keywords


def _typed(text: str, batch_size: int, example: Callable[[str, int], Tensor]) -> Tensor:
    sizes, _, kind = text.rpartition(":")
    if not sizes or (re.fullmatch(r"int\d*", sizes) and not kind.isidentifier()):
        return example(text, batch_size)
    if kind not in TYPES:
        raise unknown("type of an input", kind, TYPES)
    dtype = TYPES[kind]
    if not (dtype.is_floating_point or dtype.is_complex) and not sizes.startswith("int"):
        sizes = f"int2:{sizes}"
    made = example(sizes, batch_size)
    return torch.complex(made, torch.rand_like(made)).to(dtype) if dtype.is_complex else made.to(dtype)
