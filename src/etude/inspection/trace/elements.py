"""The whole numbers of a pass without elements, computed beside it.

Tensors on the meta device have shapes but no elements, which makes a pass of a large network quick. Indices need their
elements all the same: one that is out of range must be told, and a mask may decide which way the pass takes. They are
few, so they are computed for real, as far as they do not come from real numbers.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from etude.inspection.trace.flops import bound, names_in, operation_name

LARGEST = 2**22
"""Elements of a tensor that is followed."""

_INDEXED: dict[str, tuple[str, str, str]] = {
    "embedding": ("weight", "indices", ""),
    "_embedding_bag": ("weight", "indices", ""),
    "index_select": ("self", "index", "dim"),
    "gather": ("self", "index", "dim"),
    "scatter": ("self", "index", "dim"),
    "scatter_add": ("self", "index", "dim"),
    "index_add": ("self", "index", "dim"),
    "index_copy": ("self", "index", "dim"),
    "take": ("self", "index", "all"),
}
"""Operation: the argument that is indexed, the one that indexes, the one that holds the dimension (or 0, or all)."""
_BY_INDICES = set(names_in("index _unsafe_index index_put _index_put_impl _unsafe_index_put"))
_RANDOM = set(names_in("randint randint_like randperm random bernoulli multinomial normal uniform exponential poisson"))


class NeedsElements(Exception):
    """The pass depends on elements that it does not have."""


class Elements:
    """The real values of tensors without elements; final."""

    def __init__(self, known: Iterable[tuple[Tensor, Tensor]]) -> None:
        self.real: dict[int, Tensor] = {id(empty): real for empty, real in known if is_index(real)}

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operation on tensors without elements, and on the real ones where they are all known."""
        name = operation_name(func)
        if name == "_local_scalar_dense":
            return func(self._of(args[0]))
        self._check(name, func, args, kwargs)
        out = func(*args, **kwargs)
        outputs = [leaf for leaf in tree_flatten(out)[0] if isinstance(leaf, Tensor)]
        if not any(map(is_index, outputs)):
            return out
        tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
        small = all(leaf.numel() <= LARGEST for leaf in (*tensors, *outputs))
        if small and name not in _RANDOM and all(id(leaf) in self.real or not leaf.is_meta for leaf in tensors):
            real_args, real_kwargs = tree_map(self._real, (args, kwargs))
            real = [leaf for leaf in tree_flatten(func(*real_args, **real_kwargs))[0] if isinstance(leaf, Tensor)]
            self.real |= {id(o): r for o, r in zip(outputs, real, strict=True) if is_index(o)}
        else:
            for leaf in outputs:
                if id(leaf) in self.real:  # written in place by what is not known
                    place = self.real[id(leaf)].untyped_storage()._cdata
                    self.real = {i: r for i, r in self.real.items() if r.untyped_storage()._cdata != place}
        return out

    def index(self, tensor: Tensor) -> Tensor | None:
        """The real values of a tensor of whole numbers; None where they are not known."""
        return self.real.get(id(tensor)) if tensor.is_meta else tensor

    def _of(self, tensor: Tensor) -> Tensor:
        real = self.index(tensor)
        if real is None:
            raise NeedsElements
        return real

    def _real(self, leaf: Any) -> Any:
        if isinstance(leaf, Tensor) and leaf.is_meta:
            return self.real[id(leaf)]
        return torch.device("cpu") if isinstance(leaf, torch.device) and leaf.type == "meta" else leaf

    def _check(self, name: str, func: Any, args: Any, kwargs: Any) -> None:
        """That indices are in range, which an operation without elements does not see."""
        named = bound(func, args, kwargs)
        if name in _INDEXED:
            indexed, index, dim = _INDEXED[name]
            target = named[indexed]
            size = target.numel() if dim == "all" else target.shape[named[dim] if dim else 0]
            self._need(self._of(named[index]), 0, size)
        elif name in ("nll_loss_forward", "nll_loss2d_forward"):
            labels = self._of(named["target"])
            self._need(
                labels[labels != named["ignore_index"]], 0, named["self"].shape[1 if named["self"].dim() > 1 else 0]
            )
        elif name in _BY_INDICES:
            for dim, index in enumerate(named["indices"]):
                if index is not None and index.dtype in (torch.bool, torch.uint8):  # how many is a matter of elements
                    raise NeedsElements
                if index is not None:
                    size = named["self"].shape[dim]
                    self._need(self._of(index), -size, size)

    def _need(self, real: Tensor, low: int, high: int) -> None:
        if real.numel() and not low <= int(real.min()) <= int(real.max()) < high:
            raise NeedsElements


def is_index(tensor: Tensor) -> bool:
    """Whether it holds whole numbers or truth values."""
    return not (tensor.is_floating_point() or tensor.is_complex())
