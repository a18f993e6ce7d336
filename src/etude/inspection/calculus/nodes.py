"""The nodes of an expression, and what is asked of every one.

A `Node` is immutable, and there is one object per expression: equal nodes are identical. A vector is a column, n×1.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final
from weakref import WeakValueDictionary

from etude.errors import UsageError

Dim = str | int
Shape = tuple[Dim, Dim]
SCALAR: Shape = (1, 1)
LARGEST = Fraction(10) ** 100
"""Largest number, and one over the smallest, that an expression may hold."""
MOST_SYMBOLS = 2000
MOST_STEPS = 60_000
INDICATORS = {"step", "greater", "argmax", "argmin"}
"""Kinds whose entries are 0 or 1."""


@final
@dataclass(frozen=True, eq=False)
class Node:
    """One operation: its kind, its operands, its shape; `value` is what the kind needs to know: a name, a number."""

    kind: str
    args: tuple["Node", ...]
    shape: Shape
    value: Any = None

    @property
    def is_scalar(self) -> bool:
        """Whether it is 1×1."""
        return self.shape == SCALAR


_KNOWN: WeakValueDictionary[tuple[Any, ...], Node] = WeakValueDictionary()
_steps = [0]


def start_counting() -> None:
    """Begin a derivation: `node` refuses to be called more than `MOST_STEPS` times in one."""
    _steps[0] = 0


def node(kind: str, args: tuple[Node, ...] = (), shape: Shape = SCALAR, value: Any = None) -> Node:
    """The one node with these parts."""
    _steps[0] += 1
    if _steps[0] > MOST_STEPS:
        raise UsageError("the expression takes too many steps to differentiate; take it apart.")
    key = (kind, args, shape, value)
    found = _KNOWN.get(key)
    if found is None:
        found = _KNOWN[key] = Node(kind, args, shape, value)
    return found


def variable(name: str, shape: Shape) -> Node:
    """A matrix, vector (n, 1) or scalar (1, 1) with a name."""
    return node("variable", (), shape, name)


def number(value: Fraction | int) -> Node:
    """An exact constant."""
    value = Fraction(value)
    if value and not 1 / LARGEST <= abs(value) <= LARGEST:
        raise UsageError("the expression has a number beyond 1e100 or below 1e-100; use smaller numbers.")
    return node("number", (), SCALAR, value)


def zero(shape: Shape) -> Node:
    """A matrix of zeros."""
    return number(0) if shape == SCALAR else node("zero", (), shape)


def ones(shape: Shape) -> Node:
    """A matrix of ones."""
    return number(1) if shape == SCALAR else node("ones", (), shape)


def identity(size: Dim) -> Node:
    """The identity matrix."""
    return number(1) if size == 1 else node("identity", (), (size, size))


def size_of(dim: Dim) -> Node:
    """The number of rows or columns as a scalar."""
    return number(dim) if isinstance(dim, int) else node("size", (), SCALAR, dim)


ONE, ZERO = number(1), number(0)


def common_shape(*nodes: Node) -> Shape:
    """The shape of an elementwise operation: a scalar goes with everything."""
    return next((each.shape for each in nodes if not each.is_scalar), SCALAR)


def contains(root: Node, part: Node) -> bool:
    """Whether `part` is somewhere in `root`."""
    return part in nodes_in(root)


def nodes_in(root: Node) -> set[Node]:
    """All nodes of an expression."""
    found, waiting = {root}, [root]
    while waiting:
        new = [part for part in waiting.pop().args if part not in found]
        found.update(new)
        waiting += new
    return found


def length(root: Node) -> int:
    """How many symbols the expression has when it is written out."""
    known: dict[Node, int] = {}

    def count(each: Node) -> int:
        if each not in known:
            known[each] = 1 + sum(count(part) for part in each.args)
        return known[each]

    return count(root)


def check_length(answer: Node) -> None:
    """Refuse what nobody would read, before any work goes into it."""
    if length(answer) > MOST_SYMBOLS:
        raise UsageError(
            f"the answer has more than {MOST_SYMBOLS:,} symbols, too many to read; take the expression apart."
        )


def is_sample(part: Node, letter: str) -> bool:
    """Whether a node is a variable with a value per sample: x_i."""
    return part.kind == "variable" and str(part.value).endswith(f"_{letter}")
