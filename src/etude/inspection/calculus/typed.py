"""The expression as PyTorch computes it from the text itself: what an answer is checked against."""

import ast
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from etude.inspection.calculus.evaluation import UnknownFunction, checked, sample
from etude.inspection.calculus.reading import Parsed

_F = torch.nn.functional


def _diag(x: Tensor) -> Tensor:
    return torch.diag(x.reshape(-1)) if 1 in x.shape else torch.diag(x).reshape(-1, 1)


def _along(x: Tensor) -> int:
    """A column's entries, otherwise those of each row."""
    return 0 if x.shape[1] == 1 else 1


def _cross_entropy(z: Tensor, y: Tensor) -> Tensor:
    total = -(y * torch.log_softmax(z, _along(z))).sum()
    return total if _along(z) == 0 else total / z.shape[0]


def _norm(x: Tensor, p: Tensor | None = None) -> Tensor:
    return torch.linalg.vector_norm(x, 2 if p is None else float(p))


def _largest(combine: Any, reduce: Any) -> Callable[..., Tensor]:
    return lambda x, y=None: reduce(x) if y is None else combine(*torch.broadcast_tensors(x, y))


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    **{name: getattr(torch, name) for name in ("exp", "log", "sqrt", "square", "abs", "sin", "cos", "tan", "sinh")},
    **{name: getattr(torch, name) for name in ("cosh", "sign", "sigmoid", "tanh", "relu", "trace", "det")},
    "sum": torch.sum, "mean": torch.mean, "ln": torch.log, "sigma": torch.sigmoid,
    "softplus": lambda x: _F.softplus(x, threshold=1e3), "tr": torch.trace, "norm": _norm,
    "inv": lambda x: torch.linalg.inv(checked(x)), "logdet": lambda x: torch.linalg.slogdet(checked(x))[1],
    "softmax": lambda x: torch.softmax(x, _along(x)), "log_softmax": lambda x: torch.log_softmax(x, _along(x)),
    "logsumexp": lambda x: torch.logsumexp(x, _along(x), keepdim=True),
    "cross_entropy": _cross_entropy, "mse": _F.mse_loss,
    "bce": lambda z, y: _F.binary_cross_entropy_with_logits(z, y, reduction="sum"),
    "diag": _diag, "outer": lambda x, y: torch.outer(x.flatten(), y.flatten()),
    "dot": lambda x, y: torch.dot(x.flatten(), y.flatten()),
    "kron": lambda a, b: torch.kron(a.contiguous(), b.contiguous()),
    "max": _largest(torch.maximum, torch.amax), "min": _largest(torch.minimum, torch.amin),
    "maximum": _largest(torch.maximum, torch.amax), "minimum": _largest(torch.minimum, torch.amin),
}  # fmt: skip


def numeric(parsed: Parsed, values: dict[str, Tensor]) -> Tensor:
    """The value (rows, columns) by PyTorch's own functions; differentiable."""
    return _matrix(_Typed(parsed).read(parsed.tree, values))


def _matrix(x: Tensor) -> Tensor:
    return x if x.dim() == 2 else x.reshape(1, 1)


class _Typed:
    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed

    def read(self, tree: ast.expr, values: dict[str, Tensor]) -> Tensor:
        if isinstance(tree, ast.Constant):
            return torch.full((1, 1), float(tree.value), dtype=torch.float64)  # type: ignore[arg-type]
        if isinstance(tree, ast.Name):
            return values[tree.id]
        if isinstance(tree, ast.UnaryOp):
            found = self.read(tree.operand, values)
            return -found if isinstance(tree.op, ast.USub) else found
        if isinstance(tree, ast.Attribute):
            return self.read(tree.value, values).T
        if isinstance(tree, ast.BinOp):
            a, b = self.read(tree.left, values), self.read(tree.right, values)
            return self._binary(tree, *self._together(a, b, tree))
        assert isinstance(tree, ast.Call), ast.dump(tree)
        assert isinstance(tree.func, ast.Name), ast.dump(tree)
        return _matrix(self._call(tree.func.id, tree, values))

    def _together(self, a: Tensor, b: Tensor, tree: ast.expr) -> tuple[Tensor, Tensor]:
        """A bias, as PyTorch adds one with a single axis, where the text adds it to the rows."""
        if self.parsed.spread.get(id(tree)) != "rows":
            return a, b
        return (a.reshape(1, -1), b) if 1 in a.shape and a.numel() == b.shape[1] else (a, b.reshape(1, -1))

    def _binary(self, tree: ast.BinOp, a: Tensor, b: Tensor) -> Tensor:
        match tree.op:
            case ast.MatMult():
                return a @ b
            case ast.Pow():
                return a**b
            case ast.Add():
                return a + b
            case ast.Sub():
                return a - b
            case ast.Mult():
                return a * b
            case _:
                return a / b

    def _call(self, name: str, tree: ast.Call, values: dict[str, Tensor]) -> Tensor:
        if name in ("sum", "mean") and len(tree.args) == 2:
            return self._partial(name, tree, values)
        args = [self.read(arg, values) for arg in tree.args]
        if name in self.parsed.functions:
            scalar = all(x.shape == (1, 1) for x in args)
            return UnknownFunction(name)(*args, entrywise=scalar or self.parsed.functions[name])
        if len(args) == 2:
            args = list(self._together(args[0], args[1], tree))
        return _FUNCTIONS[name](*args)

    def _partial(self, name: str, tree: ast.Call, values: dict[str, Tensor]) -> Tensor:
        body, over = tree.args
        if isinstance(over, ast.Constant):
            reduce = torch.sum if name == "sum" else torch.mean
            return reduce(self.read(body, values), int(over.value), keepdim=True)  # type: ignore[arg-type]
        assert isinstance(over, ast.Name)
        count = next(len(value) for key, value in values.items() if key.endswith(f"_{over.id}"))
        terms = torch.stack([self.read(body, sample(values, over.id, s)) for s in range(count)])
        return terms.sum(0) if name == "sum" else terms.mean(0)
