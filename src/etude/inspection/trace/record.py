"""What a trace holds: the values, the calls of modules and functions, and the operations that they ran."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_flatten

from etude.inspection.trace.flops import Cost, operation_name


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the trace: what the report needs of it, without its elements."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    kind: str
    """input, parameter, buffer, constant (made inside the forward pass) or computed."""
    name: str = ""
    """The input's number, the parameter's or buffer's path; empty for the others."""
    strides: tuple[int, ...] = ()
    """Of its memory, which only `as_strided` cares about; empty for a tensor without any (a sparse one)."""
    offset: int = 0


@dataclass(eq=False)
class Call:
    """One call of one module."""

    path: str
    """As `named_modules` names it; a module under several names is named in the order of its calls."""
    module: nn.Module
    """The traced copy, not the module that was given."""
    parent: "Call | None"
    registered: bool
    order: int
    children: int = 0
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    saved_bytes: int = 0


@dataclass(eq=False)
class Function:
    """One call of a function of `torch` outside any module of `torch.nn` (`F.relu`, `x + y`), and what it ran."""

    name: str
    order: int
    saved_bytes: int = 0
    outputs: list[Value] = field(default_factory=list)
    """The tensors it returned, or the one it wrote into."""


@dataclass(eq=False)
class Operation:
    """One operation at the dispatcher, with the costs of its backward operations gathered."""

    func: torch._ops.OpOverload
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    """Arguments as the operation got them, every tensor as its `Value`."""
    outputs: list[Value]
    cost: Cost | None
    call: Call
    function: Function | None
    order: int
    backward: list[tuple[str, Cost | None]] = field(default_factory=list)
    indices: dict[Value, torch.Tensor] = field(default_factory=dict)
    """Whole numbers among the arguments that do not depend on the input: which elements an index picks."""

    @property
    def name(self) -> str:
        return operation_name(self.func)

    @property
    def inputs(self) -> list[Value]:
        return [leaf for leaf in tree_flatten((self.args, dict(self.kwargs)))[0] if isinstance(leaf, Value)]


@dataclass(eq=False)
class Trace:
    """All that happened in one forward and one backward pass."""

    calls: list[Call]
    operations: list[Operation]
    inputs: list[Value]
    outputs: list[Value]
    parameters: dict[str, Value]
    """Every parameter once, by its first name; `aliases` has all names of those that have several."""
    frozen: frozenset[str]
    aliases: dict[str, list[str]]
    foreign_parameters: list[Value]
    """Leaves that need a gradient and took part, but are not parameters of the module."""
    backward_error: str | None
    """Why the backward pass could not be recorded; None when it was."""
    buffer_bytes: int


def is_library(module: nn.Module) -> bool:
    """Whether the module's forward pass is PyTorch's own, or that of a layer of PyTorch written by étude."""
    forward = getattr(type(module), "forward", None)  # a scripted module has none, and that of a graph no module
    libraries = ("torch.nn.modules", "etude.models.maps", "etude.models.embedding", "etude.models.recurrent")
    return (getattr(forward, "__module__", None) or "").startswith(libraries)


def depends_on_input(arguments: Any) -> bool:
    """Whether any argument depends on an input of the trace."""
    return any(
        isinstance(leaf, Value) and leaf.kind in ("input", "computed", "parameter")
        for leaf in tree_flatten(arguments)[0]
    )


def shape_text(shape: tuple[int, ...]) -> str:
    """(1, 3, 32, 32) -> 1×3×32×32; a scalar is "scalar"."""
    return "×".join(str(size) for size in shape) or "scalar"
