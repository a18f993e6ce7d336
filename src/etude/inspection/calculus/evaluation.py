"""The value of an expression in float64, and the functions that take the place of unknown ones in a check."""

import math
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from etude.inspection.calculus.functions import ELEMENTWISE
from etude.inspection.calculus.nodes import Dim, Node

WORST_CONDITION = 1e8
"""Matrices nearer to singular are not inverted: the rounding errors would say nothing about a derivative."""


class SingularError(Exception):
    """A matrix that is, nearly, without inverse at these values."""


@final
class UnknownFunction:
    """A smooth function of any arguments, Σₘ aₘ sin(bₘ·args + cₘ) with random numbers, and its derivatives.

    Entry by entry each bₘ has one number per argument; with a single value one of the argument's shape.
    """

    TERMS = 3

    def __init__(self, name: str) -> None:
        self.name = name

    def _draw(self, *shape: int, salt: int = 0) -> Tensor:
        seed = sum(ord(letter) * 31**i for i, letter in enumerate(self.name)) + 7919 * salt
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed % 2**31), dtype=torch.float64)

    def _angles(self, args: list[Tensor], entrywise: bool) -> tuple[Tensor, list[Tensor]]:
        """Amplitudes × sines' angles, (terms, …), and the factors b of every argument."""
        lead = [1] * args[0].dim()
        factors = [
            self._draw(self.TERMS, *(lead if entrywise else x.shape[-2:]), salt=j + 1) for j, x in enumerate(args)
        ]
        shift = self._draw(self.TERMS, *lead, salt=99)
        if entrywise:
            return shift + sum(b * x for b, x in zip(factors, args, strict=True)), factors
        parts = [(b * x).sum((-2, -1), keepdim=True) for b, x in zip(factors, args, strict=True)]
        return shift + sum(parts[1:], parts[0]), factors

    def __call__(self, *args: Tensor, orders: tuple[int, ...] = (), entrywise: bool) -> Tensor:
        """The value, or the partial derivative of these orders."""
        angle, factors = self._angles(list(args), entrywise)
        amplitude = self._draw(self.TERMS, *[1] * args[0].dim())
        for b, order in zip(factors, orders, strict=False):
            amplitude = amplitude * b**order
        return (amplitude * torch.sin(angle + sum(orders) * math.pi / 2)).sum(0)

    def gradient(self, args: list[Tensor], j: int) -> Tensor:
        """For argument j, of its shape."""
        angle, factors = self._angles(args, False)
        return (self._draw(self.TERMS, 1, 1) * torch.cos(angle) * factors[j]).sum(0)

    def hessian(self, args: list[Tensor], j: int, k: int) -> Tensor:
        """∂²/∂xₖ∂xⱼ for columns, entry (a, b) that of xₖ's a and xⱼ's b."""
        angle, factors = self._angles(args, False)
        return (-self._draw(self.TERMS, 1, 1) * torch.sin(angle) * (factors[k] @ factors[j].mT)).sum(0)


def evaluate(root: Node, values: dict[str, Tensor], sizes: dict[Dim, int]) -> Tensor:
    """The value of a node in float64, (rows, columns); `sizes` are those of the dimensions that have names.

    Variables with a value per sample are (samples, rows, columns) within their sum. Raises `SingularError`.
    """
    return _evaluate(root, values, sizes, {})


def size(dim: Dim, sizes: dict[Dim, int]) -> int:
    """A number of rows or columns; n·m is a product."""
    if isinstance(dim, int):
        return dim
    return sizes[dim] if dim in sizes else math.prod(size(_read(part), sizes) for part in dim.split("·"))


def _read(part: str) -> Dim:
    return int(part) if part.isdigit() else part


def _evaluate(node: Node, values: dict[str, Tensor], sizes: dict[Dim, int], known: dict[Node, Tensor]) -> Tensor:
    if node in known:
        return known[node]
    if node.kind == "sum_over":
        letter, count = node.value
        found = None
        for s in range(sizes[count]):
            term = _evaluate(node.args[0], sample(values, letter, s), sizes, {})
            found = term if found is None else found + term
        assert found is not None
    else:
        parts = [_evaluate(part, values, sizes, known) for part in node.args]
        found = _value(node, parts, values, sizes)
    known[node] = found
    return found


def sample(values: dict[str, Tensor], letter: str, s: int) -> dict[str, Tensor]:
    """The values with those of one sample."""
    return {name: value[s] if name.endswith(f"_{letter}") else value for name, value in values.items()}


def _value(node: Node, parts: list[Tensor], values: dict[str, Tensor], sizes: dict[Dim, int]) -> Tensor:
    rows, columns = (size(d, sizes) for d in node.shape)
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
        return torch.full((1, 1), float(size(node.value, sizes)), dtype=torch.float64)
    found = _NUMERIC[kind](node, parts)
    return found.reshape(1, 1) if node.is_scalar else found


def checked(matrix: Tensor) -> Tensor:
    """The matrix, unless it is nearly singular."""
    try:
        singular = not matrix.isfinite().all() or bool(torch.linalg.cond(matrix.detach()) > WORST_CONDITION)
    except RuntimeError:  # singular values that do not converge
        singular = True
    if singular:
        raise SingularError
    return matrix


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


def _blocks(parts: list[Tensor]) -> Tensor:
    """G (n p × m q) as blocks of the second factor's shape: (n, p, m, q)."""
    whole, (p, q) = parts[0], parts[1].shape
    return whole.reshape(whole.shape[0] // p, p, whole.shape[1] // q, q)


def _kron_right(parts: list[Tensor]) -> Tensor:
    whole, (n, m) = parts[0], parts[1].shape
    blocks = whole.reshape(n, whole.shape[0] // n, m, whole.shape[1] // m)
    return torch.einsum("ipjq,ij->pq", blocks, parts[1])


_NUMERIC: dict[str, Callable[[Node, list[Tensor]], Any]] = {
    "add": lambda node, parts: sum(parts[1:], parts[0]),
    "mul": lambda node, parts: _product_of(parts),
    "matmul": lambda node, parts: _chain(parts),
    "transpose": lambda node, parts: parts[0].T,
    "power": lambda node, parts: parts[0] ** float(node.value),
    "raised": lambda node, parts: parts[0] ** parts[1],
    "step": lambda node, parts: (parts[0] > 0).double(),
    "greater": lambda node, parts: (parts[0] > parts[1]).double(),
    "maximum": lambda node, parts: torch.maximum(*torch.broadcast_tensors(*parts)),
    "minimum": lambda node, parts: torch.minimum(*torch.broadcast_tensors(*parts)),
    "max": lambda node, parts: parts[0].max(),
    "min": lambda node, parts: parts[0].min(),
    "argmax": lambda node, parts: (parts[0] == parts[0].max()).double(),
    "argmin": lambda node, parts: (parts[0] == parts[0].min()).double(),
    "relu": lambda node, parts: parts[0].clamp_min(0),
    "softplus": lambda node, parts: torch.nn.functional.softplus(parts[0], threshold=1e3),
    "sum": lambda node, parts: parts[0].sum(),
    "trace": lambda node, parts: parts[0].trace(),
    "norm": lambda node, parts: parts[0].square().sum().sqrt(),
    "det": lambda node, parts: torch.det(parts[0]),
    "logdet": lambda node, parts: torch.linalg.slogdet(checked(parts[0]))[1],
    "inv": lambda node, parts: torch.linalg.inv(checked(parts[0])),
    "diag": lambda node, parts: torch.diag(parts[0].flatten()),
    "diagonal": lambda node, parts: torch.diag(parts[0]).reshape(-1, 1),
    "kron": lambda node, parts: torch.kron(*(part.contiguous() for part in parts)),
    "kron_left": lambda node, parts: torch.einsum("ipjq,pq->ij", _blocks(parts), parts[1]),
    "kron_right": lambda node, parts: _kron_right(parts),
    "softmax": lambda node, parts: torch.softmax(parts[0], 0),
    "softmax_rows": lambda node, parts: torch.softmax(parts[0], 1),
    "logsumexp": lambda node, parts: torch.logsumexp(parts[0], 0),
    "logsumexp_rows": lambda node, parts: torch.logsumexp(parts[0], 1, keepdim=True),
    "function": lambda node, parts: UnknownFunction(node.value[0])(*parts, orders=node.value[1], entrywise=True),
    "field": lambda node, parts: UnknownFunction(node.value)(*parts, entrywise=False),
    "gradient": lambda node, parts: UnknownFunction(node.value[0]).gradient(parts, node.value[1]),
    "hessian": lambda node, parts: UnknownFunction(node.value[0]).hessian(parts, *node.value[1:]),
    **{
        name: (lambda node, parts, name=name: getattr(torch, name)(parts[0]))
        for name in ELEMENTWISE - {"relu", "softplus", "step"}
    },
}  # fmt: skip
