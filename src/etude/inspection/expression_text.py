"""Reads an expression as typed in Python, `x.T @ A @ y`, and finds the shape of every name in it."""

import ast
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from etude.errors import UsageError, unknown
from etude.inspection import matrix_expression as mx
from etude.inspection.matrix_expression import (
    ELEMENTWISE,
    Dim,
    Node,
    Shape,
    add,
    apply,
    matmul,
    mul,
    number,
    power,
    scale,
    transpose,
)

SCALARS = {"alpha", "beta", "gamma", "lam", "eps", "eta"}
"""Names that stand for scalars when no shape is given."""

FUNCTIONS = {
    "exp", "log", "sqrt", "square", "abs", "sin", "cos", "sigmoid", "relu", "tanh", "softplus", "sum", "mean",
    "trace", "tr",
    "norm", "det", "logdet", "inv", "softmax", "logsumexp", "cross_entropy", "bce", "mse",
}  # fmt: skip


@dataclass(frozen=True)
class Parsed:
    """An expression with all shapes known."""

    node: Node
    variables: dict[str, Node]
    distributions: set[str]
    """Names that stand for probabilities that sum to 1: the labels of a cross-entropy."""
    notes: tuple[str, ...]


def parse(text: str, shapes: dict[str, str]) -> Parsed:
    """The expression as a `Node`; raises a `UsageError` for what cannot be read or does not fit together."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise UsageError(
            f"{text!r} cannot be read: {error.msg}; write Python, for example x.T @ A @ y or sum(sigmoid(W @ x))."
        ) from error
    names = sorted({n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - FUNCTIONS)
    if stray := set(shapes) - set(names):
        raise unknown("name in --shapes:", sorted(stray)[0], names)
    reader = _Reader({name: _shape(name, shapes.get(name)) for name in names})
    reader.read(tree)  # the first time to learn which dimensions are equal
    reader.settle()
    node = reader.read(tree)
    variables = {name: mx.variable(name, reader.resolved(shape)) for name, shape in reader.shapes.items()}
    notes = (f"{', '.join(sorted(reader.distributions))} sums to 1",) if reader.distributions else ()
    return Parsed(node, variables, reader.distributions, notes)


def _shape(name: str, given: str | None) -> Shape:
    if given is None:
        if name in SCALARS:
            return (1, 1)
        return (f"{name}:rows", f"{name}:columns") if name[0].isupper() else (f"{name}:rows", 1)
    parts = [part.strip() for part in given.split(",")]
    if not 1 <= len(parts) <= 2 or not all(p.isidentifier() or (p.isdigit() and int(p)) for p in parts):
        raise UsageError(f"--shapes has {name}={given}; allowed: 1 (scalar), n or 3 (vector), n,m or 3,4 (matrix).")
    dims = [int(part) if part.isdigit() else part for part in parts]
    return (dims[0], dims[1] if len(dims) == 2 else 1)


class _Reader:
    def __init__(self, shapes: dict[str, Shape]) -> None:
        self.shapes = shapes
        self.same: dict[Dim, Dim] = {}
        self.names: dict[Dim, Dim] = {}
        self.distributions: set[str] = set()

    # --- dimensions -----------------------------------------------------------------------------------------------

    def root(self, dim: Dim) -> Dim:
        while dim in self.same:
            dim = self.same[dim]
        return dim

    def resolved(self, shape: Shape) -> Shape:
        rows, columns = (self.names.get(self.root(d), self.root(d)) for d in shape)
        return (rows, columns)

    def equal(self, a: Dim, b: Dim, where: str) -> None:
        a, b = self.root(a), self.root(b)
        if a == b:
            return
        if isinstance(a, int) and isinstance(b, int):
            raise UsageError(
                f"{where} does not fit: {a} against {b}; `@` multiplies matrices, `*` entries, `.T` transposes."
            )
        if isinstance(a, int) or (isinstance(b, str) and ":" in b):  # numbers and given names win
            a, b = b, a
        self.same[a] = b

    def settle(self) -> None:
        """Short names for the dimensions that nobody named."""
        letters = iter("nmkpqrstuvw")
        taken = {str(d) for shape in self.shapes.values() for d in shape}
        for shape in self.shapes.values():
            for dim in shape:
                root = self.root(dim)
                if isinstance(root, str) and ":" in root and root not in self.names:
                    self.names[root] = next(letter for letter in letters if letter not in taken)

    # --- the tree -------------------------------------------------------------------------------------------------

    def read(self, tree: ast.AST) -> Node:
        if isinstance(tree, ast.Constant) and isinstance(tree.value, int | float):
            return number(Fraction(str(tree.value)))
        if isinstance(tree, ast.Name):
            if tree.id not in self.shapes:
                raise UsageError(f"{tree.id} is a function; write {tree.id}(…).")
            return mx.variable(tree.id, self.resolved(self.shapes[tree.id]))
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub | ast.UAdd):
            return scale(-1 if isinstance(tree.op, ast.USub) else 1, self.read(tree.operand))
        if isinstance(tree, ast.Attribute) and tree.attr == "T":
            return transpose(self.read(tree.value))
        if isinstance(tree, ast.BinOp):
            return self._binary(tree)
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            return self._call(tree.func.id, [self.read(a) for a in tree.args], ast.unparse(tree))
        raise UsageError(f"{ast.unparse(tree)!r} is not understood; allowed: + - * / ** @ .T and functions.")

    def _binary(self, tree: ast.BinOp) -> Node:
        a, b, where = self.read(tree.left), self.read(tree.right), ast.unparse(tree)
        if isinstance(tree.op, ast.MatMult):
            if a.is_scalar or b.is_scalar:
                return mul(a, b)
            self.equal(a.shape[1], b.shape[0], where)
            return matmul(a, b)
        if isinstance(tree.op, ast.Pow):
            coefficient, rest = mx.split_number(b)
            if rest == mx.ONE:
                return power(a, coefficient)
            return apply("exp", mul(b, apply("log", a)))  # a > 0
        if not a.is_scalar and not b.is_scalar:
            for p, q in zip(a.shape, b.shape, strict=True):
                self.equal(p, q, where)
        if isinstance(tree.op, ast.Add | ast.Sub):
            return add(a, b if isinstance(tree.op, ast.Add) else scale(-1, b))
        if isinstance(tree.op, ast.Mult | ast.Div):
            return mul(a, b if isinstance(tree.op, ast.Mult) else power(b, Fraction(-1)))
        raise UsageError(f"{where!r} is not understood; allowed: + - * / ** @ .T and functions.")

    def _call(self, name: str, args: list[Node], where: str) -> Node:
        if name not in FUNCTIONS:
            raise unknown("function", name, FUNCTIONS)
        wanted = 2 if name in ("cross_entropy", "bce", "mse") else 1
        if len(args) != wanted:
            raise UsageError(f"{where} needs {wanted} argument{'s' if wanted > 1 else ''}, not {len(args)}.")
        if wanted == 2:
            for p, q in zip(args[0].shape, args[1].shape, strict=True):
                self.equal(p, q, where)
            return self._loss(name, *args)
        (x,) = args
        if name in ("trace", "tr", "det", "logdet", "inv"):
            self.equal(x.shape[0], x.shape[1], where)
        if name in ("softmax", "logsumexp"):
            self.equal(x.shape[1], 1, where)
        if name == "sqrt":
            return power(x, Fraction(1, 2))
        if name == "mean":
            return mul(apply("sum", x), power(self._count(x), Fraction(-1)))
        assert name in ELEMENTWISE | mx.REDUCING | {"square", "inv", "softmax", "tr"}, name
        return apply("trace" if name == "tr" else name, x)

    def _loss(self, name: str, a: Node, y: Node) -> Node:
        difference = add(a, scale(-1, y))
        if name == "mse":
            return mul(apply("sum", power(difference, Fraction(2))), power(self._count(a), Fraction(-1)))
        if name == "bce":  # −y log σ(z) − (1 − y) log(1 − σ(z)), from the logits z
            return apply("sum", add(apply("softplus", a), scale(-1, mul(y, a))))
        if y.kind == "variable":
            self.distributions.add(str(y.value))
            total = mx.ONE
        else:
            total = apply("sum", y)
        return add(mul(total, apply("logsumexp", a)), scale(-1, matmul(transpose(y), a)))

    def _count(self, x: Node) -> Node:
        sizes = [number(d) if isinstance(d, int) else Node("size", (), (1, 1), (d, 1)) for d in self.resolved(x.shape)]
        return mul(*sizes)


def numeric(text: str, values: dict[str, Tensor]) -> Tensor:
    """The expression as PyTorch computes it from the text itself, not from our reading of it."""
    F = torch.nn.functional
    functions: dict[str, Any] = {
        **{name: getattr(torch, name) for name in ("exp", "log", "sqrt", "square", "abs", "sin", "cos", "sigmoid")},
        **{name: getattr(torch, name) for name in ("tanh", "relu", "sum", "mean", "trace", "det")},
        "softplus": F.softplus, "tr": torch.trace, "norm": torch.linalg.norm, "inv": torch.linalg.inv,
        "logdet": lambda x: torch.linalg.slogdet(x)[1],
        "softmax": lambda x: torch.softmax(x, 0), "logsumexp": lambda x: torch.logsumexp(x, 0),
        "cross_entropy": lambda z, y: -(y * torch.log_softmax(z, 0)).sum(),
        "bce": lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="sum"),
        "mse": F.mse_loss,
    }  # fmt: skip
    # `parse` has let through nothing but arithmetic, names and these functions.
    return eval(compile(text.strip(), "expression", "eval"), {"__builtins__": {}}, {**functions, **values})
