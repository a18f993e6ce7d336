"""Which entries of an input pick which rows of a table: inputs followed through all that only moves their entries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from etude.inspection.trace.flops import names_in
from etude.models.embedding import Embedding

TABLES = (nn.Embedding, nn.EmbeddingBag, Embedding)
"""Layers that look rows up."""
_LOOKUPS = set(names_in("embedding embedding_bag index_select getitem one_hot"))
_MOVES = set(
    names_in("""
        T mT t transpose permute movedim swapaxes view reshape flatten unflatten squeeze unsqueeze expand expand_as
        repeat contiguous clone detach to long int type float double cpu getitem select narrow index_select gather
        take_along_dim flip roll unbind split chunk cat concat stack
    """)
)
_JOINS = {"cat", "concat", "stack"}
_COMPUTING = set(
    names_in("add radd iadd sub isub rsub mul rmul imul remainder mod clamp clamp_min clamp_max where masked_fill")
)
"""Results that have an entry for each one of the input, of another value."""


@dataclass(frozen=True, eq=False)
class Lookup:
    """Rows of a table that entries of an input picked."""

    number: int
    """Which of the inputs."""
    places: Tensor
    """For each index, the place of its entry in the flattened input, int64; -1 where it came from elsewhere."""
    num_rows: int
    padding: int | None
    """The row that stands for no symbol."""
    computed: bool
    """Whether the indices were computed from the entries, rather than the entries themselves."""


@dataclass(frozen=True, eq=False)
class _Followed:
    tensor: Tensor
    """Kept alive: an id is unique only among the living."""
    number: int
    places: Tensor
    computed: bool


class Lookups(TorchFunctionMode):
    """While it is entered, follows `inputs` in whatever `module` computes; final.

    `replace` gets every look-up with the rows, and returns what the network gets for them. Indices of real numbers are
    rounded down, so that an example of them passes where whole numbers are needed.
    """

    def __init__(
        self, module: nn.Module, inputs: Sequence[Tensor], replace: Callable[[Lookup, Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.replace = replace
        self.followed: dict[int, _Followed] = {}
        for number, given in enumerate(inputs):
            self._follow(given, number, torch.arange(given.numel()).view(given.shape), computed=False)
        self.padding = {
            id(part.weight): part.padding_idx
            for part in module.modules()
            if isinstance(part, TABLES) and isinstance(part.padding_idx, int)
        }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        mine = [self.followed[id(leaf)] for leaf in tree_flatten((args, kwargs))[0] if id(leaf) in self.followed]
        if not mine:
            return func(*args, **kwargs)
        name = getattr(func, "__name__", "").strip("_")
        name = func.__self__.__name__ if name == "get" else name  # a property such as x.T
        tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
        table = next((leaf for leaf in tensors if id(leaf) not in self.followed and leaf.is_floating_point()), None)
        if name == "one_hot" or (name in _LOOKUPS and table is not None and table.dim()):
            return self._look_up(func, name, args, kwargs, mine[0], table)
        out = func(*args, **kwargs)
        if name in _MOVES:
            moved = func(*tree_map(partial(self._places, joined=name in _JOINS), args), **kwargs)
            for leaf, places in zip(*(tree_flatten(tree)[0] for tree in (out, moved)), strict=True):
                self._follow(leaf, mine[0].number, places.long(), computed=any(each.computed for each in mine))
        elif name in _COMPUTING and isinstance(out, Tensor) and out.shape == mine[0].places.shape:
            self._follow(out, mine[0].number, mine[0].places, computed=True)
        return out

    def _look_up(self, func: Any, name: str, args: Any, kwargs: Any, index: _Followed, table: Tensor | None) -> Any:
        args, kwargs = tree_map(self._whole, (args, kwargs))
        out = func(*args, **kwargs)
        rows = out[0] if isinstance(out, tuple) else out
        computed = index.computed
        if table is None:
            num_rows, padding = rows.shape[-1], None
            computed |= len(args) < 2 and not kwargs  # then the largest index decides
        else:
            axis = (args[1] if len(args) > 1 else kwargs["dim"]) if name == "index_select" else 0
            num_rows, padding = table.shape[axis], self.padding.get(id(table))
        places = index.places
        if name == "getitem" and rows.shape[: places.dim()] != places.shape:
            return out
        rows = self.replace(Lookup(index.number, places, num_rows, padding, computed), rows)
        return (rows, *out[1:]) if isinstance(out, tuple) else rows

    def _follow(self, tensor: Tensor, number: int, places: Tensor, *, computed: bool) -> None:
        self.followed[id(tensor)] = _Followed(tensor, number, places, computed)

    def _places(self, leaf: Any, *, joined: bool) -> Any:
        """The places of what is followed; none of what is joined to it, such as a first symbol."""
        if id(leaf) in self.followed:
            return self.followed[id(leaf)].places
        return torch.full_like(leaf, -1, dtype=torch.long) if joined and isinstance(leaf, Tensor) else leaf

    def _whole(self, leaf: Any) -> Any:
        return leaf.long() if id(leaf) in self.followed and leaf.is_floating_point() else leaf
