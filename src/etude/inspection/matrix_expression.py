"""Expressions of matrices, vectors and scalars: a small normal form that prints as a person would write it.

A `Node` is immutable and compared by structure. The functions that build nodes simplify as they go: transposes move to
the leaves, scalars to the front, equal terms and equal factors are collected. A vector is a column, n×1.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

Dim = str | int
Shape = tuple[Dim, Dim]


@dataclass(frozen=True)
class Node:
    """One operation: its kind, its operands, its shape; `value` is a name or a number."""

    kind: str
    args: tuple["Node", ...]
    shape: Shape
    value: Any = None

    @property
    def is_scalar(self) -> bool:
        """Whether it is 1×1."""
        return self.shape == (1, 1)


def variable(name: str, shape: Shape) -> Node:
    """A matrix, vector (n, 1) or scalar (1, 1) with a name."""
    return Node("variable", (), shape, name)


def number(value: Fraction | int) -> Node:
    """An exact constant."""
    return Node("number", (), (1, 1), Fraction(value))


def ones(shape: Shape) -> Node:
    """A matrix of ones."""
    return number(1) if shape == (1, 1) else Node("ones", (), shape)


def identity(size: Dim) -> Node:
    """The identity matrix."""
    return number(1) if size == 1 else Node("identity", (), (size, size))


ONE, ZERO = number(1), number(0)


def add(*terms: Node) -> Node:
    """The sum; a scalar is added to every entry. Equal terms are collected."""
    shape = next((t.shape for t in terms if not t.is_scalar), (1, 1))
    collected: dict[Node, Fraction] = {}
    for term in terms:
        for part in term.args if term.kind == "add" else (term,):
            coefficient, rest = split_number(part)
            collected[rest] = collected.get(rest, Fraction(0)) + coefficient
    parts = [scale(c, rest) for rest, c in collected.items() if c]
    if not parts:
        return number(0) if shape == (1, 1) else Node("zero", (), shape)
    if len(parts) == 1 and parts[0].shape == shape:
        return parts[0]
    if len(parts) == 1:
        return mul(parts[0], ones(shape))
    return Node("add", tuple(parts), shape)


def split_number(node: Node) -> tuple[Fraction, Node]:
    """The numerical coefficient, and the rest."""
    if node.kind == "number":
        return node.value, ONE
    if node.kind == "zero":
        return Fraction(0), node
    if node.kind == "mul" and node.args[0].kind == "number":
        return node.args[0].value, _product(ONE, node.args[1:], node.shape)
    return Fraction(1), node


def scale(factor: Fraction | int, node: Node) -> Node:
    """A number times a node."""
    return mul(number(factor), node)


def mul(*factors: Node) -> Node:
    """The elementwise product, scalars included; equal factors are collected into powers."""
    shape = next((f.shape for f in factors if not f.is_scalar), (1, 1))
    coefficient, powers = Fraction(1), dict[Node, Fraction]()
    for factor in factors:
        for part in factor.args if factor.kind == "mul" else (factor,):
            if part.kind == "zero":
                return Node("zero", (), shape)
            if part.kind == "number":
                coefficient *= part.value
            elif part.kind != "ones":
                base, exponent = (part.args[0], part.value) if part.kind == "power" else (part, Fraction(1))
                powers[base] = powers.get(base, Fraction(0)) + exponent
    if not coefficient:
        return ZERO if shape == (1, 1) else Node("zero", (), shape)
    parts = [power(base, exponent) for base, exponent in powers.items() if exponent]
    parts.sort(key=lambda part: not part.is_scalar)  # scalars first
    if shape != (1, 1) and all(part.is_scalar for part in parts):
        parts.append(ones(shape))
    return _product(number(coefficient), tuple(parts), shape)


def _product(coefficient: Node, parts: tuple[Node, ...], shape: Shape) -> Node:
    if not parts:
        return coefficient if shape == (1, 1) else Node("mul", (coefficient, ones(shape)), shape)
    if len(parts) == 1 and coefficient == ONE:
        return parts[0]
    if len(parts) == 1 and parts[0].kind == "add" and coefficient.value == -1:
        return add(*(scale(-1, term) for term in parts[0].args))
    return Node("mul", parts if coefficient == ONE else (coefficient, *parts), shape)


def power(base: Node, exponent: Fraction) -> Node:
    """An elementwise power with a number as exponent."""
    if exponent == 0:
        return ones(base.shape)
    if exponent == 1:
        return base
    if base.kind == "number" and exponent.denominator == 1:
        return number(base.value ** int(exponent))
    if base.kind == "power":
        return power(base.args[0], base.value * exponent)
    return Node("power", (base,), base.shape, exponent)


def matmul(*factors: Node) -> Node:
    """The matrix product; scalars move to the front, identities vanish."""
    shape = (factors[0].shape[0], factors[-1].shape[1])
    chain: list[Node] = []
    scalars: list[Node] = []
    for factor in factors:
        parts = factor.args if factor.kind == "matmul" else (factor,)
        for part in parts:
            if part.kind == "zero":
                return Node("zero", (), shape)
            if part.kind == "mul":
                scalars += [p for p in part.args if p.is_scalar]
                matrices = [p for p in part.args if not p.is_scalar]
                inner = mul(*matrices) if matrices else None
                chain += [] if inner is None else inner.args if inner.kind == "matmul" else [inner]
            elif part.is_scalar and part.kind != "matmul":
                scalars.append(part)
            elif part.kind != "identity":
                chain.append(part)
    if not chain:
        core = identity(shape[0]) if shape[0] == shape[1] else ones(shape)
    else:
        core = chain[0] if len(chain) == 1 else Node("matmul", tuple(chain), (chain[0].shape[0], chain[-1].shape[1]))
    return mul(*scalars, core) if scalars else core


def transpose(node: Node) -> Node:
    """The transpose, moved to the leaves."""
    shape = (node.shape[1], node.shape[0])
    if node.is_scalar or node.kind == "identity":
        return node
    if node.kind == "transpose":
        return node.args[0]
    if node.kind in ("ones", "zero"):
        return Node(node.kind, (), shape)
    if node.kind == "matmul":
        return matmul(*(transpose(part) for part in reversed(node.args)))
    if node.kind in ("add", "mul"):
        return (add if node.kind == "add" else mul)(*(transpose(part) for part in node.args))
    return Node("transpose", (node,), shape)


def apply(name: str, node: Node) -> Node:
    """An elementwise function, or `trace`, `sum`, `norm`, `det`, `logdet`, `inv`, `softmax`, `logsumexp`."""
    if name in ("trace", "sum") and node.is_scalar:
        return node
    if name == "square":
        return power(node, Fraction(2))
    shape = (1, 1) if name in REDUCING else node.shape
    return Node(name, (node,), shape)


REDUCING = {"trace", "sum", "norm", "det", "logdet", "logsumexp"}
ELEMENTWISE = {"exp", "log", "sigmoid", "relu", "tanh", "softplus", "abs", "sin", "cos", "step", "sign"}


# --- printing -----------------------------------------------------------------------------------------------------

_SYMBOLS = {"sigmoid": "σ", "trace": "tr"}


def text(node: Node) -> str:
    """As in a textbook: Aᵀ x, ⊙ elementwise, 1[z > 0] for the derivative of ReLU."""
    return _print(node, 0)


def _print(node: Node, outer: int) -> str:
    """`outer`: 0 nothing around, 1 a sum, 2 a product, 3 a power, transpose or function."""
    kind = node.kind
    if kind == "variable":
        return str(node.value)
    if kind == "number":
        found = str(node.value)
        return f"({found})" if outer >= 2 and ("/" in found or node.value < 0) else found
    if kind in ("ones", "zero", "identity"):
        letter = {"ones": "1", "zero": "0", "identity": "I"}[kind]
        return f"{letter}_{node.shape[0]}" if kind == "identity" or node.shape[1] == 1 else f"{letter}_{shape_of(node)}"
    if kind == "size":
        return str(node.value[0])
    if kind == "transpose" and node.args[0].kind == "inv":
        return f"{_print(node.args[0].args[0], 3)}⁻ᵀ"
    if kind == "transpose":
        return f"{_print(node.args[0], 3)}ᵀ"
    if kind == "power":
        exponent = node.value
        if exponent == Fraction(1, 2):
            return f"√({_print(node.args[0], 0)})"
        raised = str(exponent).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
        return f"{_print(node.args[0], 3)}{raised if '/' not in raised else f'^({exponent})'}"
    if kind == "add":
        return _brackets(_print_sum(node), outer >= 2)
    if kind in ("mul", "matmul"):
        return _brackets(_print_product(node), outer >= 3 or (outer == 2 and kind == "mul"))
    if kind == "step":
        return f"1[{_print(node.args[0], 0)} > 0]"
    if kind == "norm":
        return f"‖{_print(node.args[0], 0)}‖"
    if kind == "inv":
        return f"{_print(node.args[0], 3)}⁻¹"
    if kind == "diag":
        return f"diag({_print(node.args[0], 0)})"
    return f"{_SYMBOLS.get(kind, kind)}({', '.join(_print(part, 0) for part in node.args)})"


def _print_sum(node: Node) -> str:
    parts: list[str] = []
    for term in sorted(node.args, key=lambda t: split_number(t)[0] < 0):  # what is subtracted comes last
        coefficient, rest = split_number(term)
        written = _print(scale(abs(coefficient), rest), 1)
        sign = "− " if coefficient < 0 else "+ " if parts else ""
        parts.append((sign if parts or coefficient > 0 else "−") + written)
    return " ".join(parts)


def _print_product(node: Node) -> str:
    if node.kind == "matmul":
        return " ".join(_print(part, 2) for part in node.args)
    above = [part for part in node.args if not _is_inverse(part)]
    below = [power(part.args[0], -part.value) for part in node.args if _is_inverse(part)]
    scalars = [part for part in above if part.is_scalar and part.kind != "number"]
    matrices = [part for part in above if not part.is_scalar]
    coefficient = next((part.value for part in above if part.kind == "number"), Fraction(1))
    front = "" if coefficient == 1 else "−" if coefficient == -1 else str(coefficient).replace("-", "−")
    if "/" in front:
        front = f"({front})"
    words = [_print(part, 2) for part in scalars]
    if matrices:
        inner = [part for part in matrices if len(matrices) == 1 and part.kind == "matmul"]
        words.append(_print(inner[0], 1) if inner else " ⊙ ".join(_print(part, 2) for part in matrices))
    body = " ".join(words)
    found = body if front == "" else f"{front}{body}" if front == "−" and body else f"{front} {body}".strip()
    if front == "−" and not body:
        found = "−1"
    if not below:
        return found
    under = " ⊙ ".join(_print(part, 2) for part in below)
    return f"{found or '1'} / {_brackets(under, len(below) > 1)}"


def _is_inverse(node: Node) -> bool:
    return node.kind == "power" and node.value < 0


def _brackets(written: str, needed: bool) -> str:
    return f"({written})" if needed else written


def shape_of(node: Node) -> str:
    """n×m, or "scalar"."""
    return "scalar" if node.is_scalar else f"{node.shape[0]}×{node.shape[1]}"


# --- numbers ------------------------------------------------------------------------------------------------------


def evaluate(node: Node, values: dict[str, Tensor], sizes: dict[Dim, int]) -> Tensor:
    """The value of a node in float64, (rows, columns); `sizes` are those of the dimensions that have names."""
    rows, columns = (sizes[d] if isinstance(d, str) else d for d in node.shape)
    parts = [evaluate(part, values, sizes) for part in node.args]
    kind = node.kind
    if kind == "variable":
        return values[node.value]
    if kind == "number":
        return torch.full((1, 1), float(node.value), dtype=torch.float64)
    if kind in ("ones", "zero"):
        return torch.full((rows, columns), float(kind == "ones"), dtype=torch.float64)
    if kind == "identity":
        return torch.eye(rows, dtype=torch.float64)
    if kind == "size":
        return torch.full((1, 1), float(_size(node.value[0], sizes) * _size(node.value[1], sizes)), dtype=torch.float64)
    found = _NUMERIC[kind](node, parts)
    return found.reshape(1, 1) if node.is_scalar else found


def _size(dim: Dim, sizes: dict[Dim, int]) -> int:
    return sizes[dim] if isinstance(dim, str) else dim


def _product_of(parts: list[Tensor]) -> Tensor:
    out = parts[0]
    for part in parts[1:]:
        out = out * part
    return out


def _chain(parts: list[Tensor]) -> Tensor:
    out = parts[0]
    for part in parts[1:]:
        out = out @ part
    return out


_NUMERIC: dict[str, Any] = {
    "add": lambda node, parts: sum(parts[1:], parts[0]),
    "mul": lambda node, parts: _product_of(parts),
    "matmul": lambda node, parts: _chain(parts),
    "transpose": lambda node, parts: parts[0].T,
    "power": lambda node, parts: parts[0] ** float(node.value),
    "raised": lambda node, parts: parts[0] ** parts[1],
    "step": lambda node, parts: (parts[0] > 0).double(),
    "relu": lambda node, parts: parts[0].clamp_min(0),
    "softplus": lambda node, parts: torch.nn.functional.softplus(parts[0], threshold=1e3),
    "sum": lambda node, parts: parts[0].sum(),
    "trace": lambda node, parts: parts[0].trace(),
    "norm": lambda node, parts: parts[0].square().sum().sqrt(),
    "det": lambda node, parts: torch.det(parts[0]),
    "logdet": lambda node, parts: torch.linalg.slogdet(parts[0])[1],
    "inv": lambda node, parts: torch.linalg.inv(parts[0]),
    "diag": lambda node, parts: torch.diag(parts[0].flatten()),
    "softmax": lambda node, parts: torch.softmax(parts[0], 0),
    "logsumexp": lambda node, parts: torch.logsumexp(parts[0], 0),
    **{
        name: (lambda node, parts, name=name: getattr(torch, name)(parts[0]))
        for name in ELEMENTWISE - {"relu", "softplus", "step"}
    },
}  # fmt: skip
