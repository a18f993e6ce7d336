"""Symbols for a network that looks them up: which inputs are whole numbers, and below which number."""

import inspect
from collections.abc import Sequence, Set
from contextlib import suppress

import torch
from torch import Tensor, nn

from etude.errors import UsageError
from etude.inspection.sequences.lookups import TABLES, Lookup, Lookups
from etude.inspection.trace.twin import twin_of, undisturbed

LENGTH = 20
"""Symbols of an example where nobody says how many."""


class _Enough(BaseException):
    """Every input has been looked up, so the rest of the pass is not needed; no `except Exception` stops it."""


def looks_up(module: nn.Module) -> bool:
    """Whether any layer of a network is an embedding."""
    return any(isinstance(part, TABLES) for part in module.modules())


def inputs_of(module: nn.Module) -> list[str]:
    """The names of the inputs that a network needs, as its `forward` calls them."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(module.forward).parameters.values()
    return [each.name for each in found if each.kind in kinds and each.default is each.empty]


def with_ids(name: str, module: nn.Module, inputs: Sequence[tuple[str, Tensor]], asked: Set[int]) -> list[Tensor]:
    """The inputs, those that the network looks up replaced by random whole numbers below the size of the table.

    `inputs` are tensors by their names, an empty one for those by position; `asked` are the numbers of those that may
    be replaced. The row for padding is not drawn. Raises a `UsageError` where the table is not enough to tell: the
    network computes what it looks up.
    """
    given = [tensor for _, tensor in inputs]
    found: dict[int, Lookup] = {}
    if not asked:
        return given

    def note(lookup: Lookup, rows: Tensor) -> Tensor:
        known = found.get(lookup.number)
        if known is None or lookup.num_rows < known.num_rows:
            found[lookup.number] = lookup
        if asked <= set(found):
            raise _Enough
        return rows

    with undisturbed(), torch.no_grad(), suppress(Exception, _Enough):  # what fails here is told by the trace
        twin = twin_of(module).eval()
        own = [tensor.clone() for tensor in given]
        with Lookups(twin, own, note):
            twin(*[x for (key, _), x in zip(inputs, own, strict=True) if not key],
                 **{key: x for (key, _), x in zip(inputs, own, strict=True) if key})  # fmt: skip
    for number in sorted(asked & set(found)):
        lookup, (key, tensor) = found[number], inputs[number]
        if lookup.computed:
            which = key or (f"input {number + 1}" if len(given) > 1 else "its input")
            raise UsageError(
                f"{name} looks up numbers that it computes from {which}: give the range of these, as "
                "--input int1000:20."
            )
        given[number] = _drawn(lookup, tensor.shape)
    return given


def _drawn(lookup: Lookup, shape: torch.Size) -> Tensor:
    """Random rows of a table, the one for padding left out."""
    if lookup.padding is None or lookup.num_rows == 1:
        return torch.randint(lookup.num_rows, shape)
    drawn = torch.randint(lookup.num_rows - 1, shape)
    return drawn + (drawn >= lookup.padding % lookup.num_rows)
