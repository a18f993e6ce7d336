"""An adapter: a TOML file that maps the names a contract looks for to those of the learner's file.

file = "my_vae.py"                # or a notebook; seen from the adapter's folder
[names]
kl_loss = "Losses.kl"             # the contract's name = the learner's, which may be dotted
VAE = "Autoencoder"
"VAE.encode" = "to_latent"        # a method of that class, or an attribute of its objects
"VAE.sample_latent" = "draw"      # a function of the file, if it has one of that name
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etude.errors import UsageError
from etude.files import parse_toml

_MISSING = object()


@dataclass(frozen=True)
class Adapter:
    """A learner's file and its names. Empty if it uses the contract's names."""

    file: Path
    names: Mapping[str, str] = field(default_factory=dict)

    def mapped(self, defined: Mapping[str, Any]) -> dict[str, Any]:
        """What the file defined, also under the contract's names. Raises `LookupError` for a name that is missing."""
        names = dict(defined)
        for name, own in sorted(self.names.items()):  # a class comes before its methods
            value = _find(defined, own)
            head, _, method = name.partition(".")
            if not method:
                if value is _MISSING:
                    raise LookupError(f"{name} is mapped to {own}, which {self.file.name} does not define")
                names[name] = value
            elif not isinstance(names.get(head), type):
                raise LookupError(f"{name} is mapped to {own}, but {self.file.name} has no class {head}")
            else:
                names[head] = _with_method(names[head], method, own.rpartition(".")[2], value)
        return names


def read_adapter(path: Path) -> Adapter:
    """The adapter at `path`. Raises `UsageError` if it is not one."""
    try:
        content = parse_toml(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path.name} is not TOML: {error}.") from None
    file, table = content.get("file"), content.get("names", {})
    names = dict(_flat({"": table}))
    if not isinstance(file, str) or not all(name and isinstance(own, str) for name, own in names.items()):
        raise UsageError(f'{path.name} needs `file = "…"` and a table [names] of texts.')
    target = path.parent / file
    if not os.path.isfile(target) or target.suffix not in (".py", ".ipynb"):
        raise UsageError(f"{path.name} names {file}, which is no .py or .ipynb file.")
    return Adapter(target, names)


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """`VAE.encode = …` without quotation marks is a table in TOML."""
    for name, value in table.items():
        full = f"{before}.{name}" if before else name
        if isinstance(value, dict):
            yield from _flat(value, full)
        else:
            yield full, value


def _find(defined: Mapping[str, Any], own: str) -> Any:
    head, *attributes = own.split(".")
    value = defined.get(head, _MISSING)
    for attribute in attributes:
        value = getattr(value, attribute, _MISSING)
    return value


def _with_method(cls: type, method: str, own: str, function: Any) -> type:
    """`cls` with one more method: the learner's `function`, or else what the object itself calls `own`."""
    is_plain = function is not _MISSING and not hasattr(cls, own)

    def call(self: Any, *arguments: Any) -> Any:
        return function(*arguments) if is_plain else getattr(self, own)(*arguments)

    return type(cls.__name__, (cls,), {method: call})
