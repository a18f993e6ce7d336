"""Derivatives in closed form: matrix calculus by reverse accumulation, each answer checked before it is shown.

`derive("x.T @ A @ y", "y")` gives Aᵀ x. The layout is the one in which ∂y/∂x has ∂yⱼ/∂xᵢ at row i, column j (the
denominator layout): the gradient of a scalar has the shape of what it is taken for, and ∂(A y)/∂y is Aᵀ. The answer is
evaluated in float64 at random values and compared with PyTorch's automatic differentiation of the text as typed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from etude.errors import UsageError
from etude.inspection import matrix_expression as mx
from etude.inspection.expression_text import Parsed, numeric, parse
from etude.inspection.matrix_expression import (
    Dim,
    Node,
    add,
    apply,
    identity,
    matmul,
    mul,
    number,
    ones,
    power,
    scale,
    transpose,
)

LAYOUT = "∂y/∂x has ∂yⱼ/∂xᵢ at row i, column j (denominator layout)"
TOLERANCE = 1e-9
"""Largest relative difference from autograd with which an answer is shown."""


@dataclass(frozen=True)
class Derivation:
    """A derivative, and the evidence for it."""

    expression: str
    wrt: str
    answer: str
    shape: str
    of_shape: str
    shapes: dict[str, str]
    """The shape of every name."""
    difference: float
    """From autograd, relative to the largest entry."""
    sizes: dict[str, int]
    """Sizes that the dimensions had in the check."""
    at: dict[str, Any]
    """The values of expression and derivative where `values` were given."""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "expression": self.expression,
            "wrt": self.wrt,
            "derivative": self.answer,
            "shape": self.shape,
            "layout": LAYOUT,
            "shapes": self.shapes,
            "checked": {"against": "autograd, float64", "relative_difference": self.difference, "sizes": self.sizes},
            **({"at": self.at} if self.at else {}),
            **({"notes": list(self.notes)} if self.notes else {}),
        }


def derive(
    text: str, wrt: str, *, shapes: dict[str, str] | None = None, values: dict[str, Tensor] | None = None
) -> Derivation:
    """The derivative of an expression for one of its names, verified.

    `shapes` are those that differ from the convention (lower case: column vector, upper case: matrix), as "3,4", "n,m"
    or "1" for a scalar. With `values` (rows, columns) the numbers at that point are given too. Raises a `UsageError`
    for an expression that cannot be read, or whose derivative is not a matrix.
    """
    parsed = parse(text, shapes or {})
    if wrt not in parsed.variables:
        names = ", ".join(sorted(parsed.variables)) or "no name"
        raise UsageError(f"--wrt is {wrt!r}, but the expression has {names}; take one of its names.")
    answer = derivative(parsed.node, parsed.variables[wrt])
    sizes, point = _point(parsed, values or {})
    difference = _check(text, parsed, wrt, answer, sizes, point)
    assert difference < TOLERANCE, (text, wrt, mx.text(answer), difference)
    at = {}
    if values:
        complete = {name: value.double() for name, value in values.items()}
        missing = set(parsed.variables) - set(complete)
        if missing:
            raise UsageError(f"--at lacks {', '.join(sorted(missing))}; give a value for every name, as x=0.8,0.2.")
        at = {
            "value": mx.evaluate(parsed.node, complete, sizes).tolist(),
            "derivative": mx.evaluate(answer, complete, sizes).tolist(),
        }
    return Derivation(
        text, wrt, mx.text(answer), mx.shape_of(answer), mx.shape_of(parsed.node),
        {name: mx.shape_of(node) for name, node in parsed.variables.items()}, difference,
        {str(name): size for name, size in sizes.items()}, at, parsed.notes,
    )  # fmt: skip


def derivative(node: Node, wrt: Node) -> Node:
    """∂node/∂wrt in the layout of this module."""
    if node.is_scalar:
        found = _adjoint(node, wrt, mx.ONE)
        return found if found.shape == wrt.shape else mul(found, ones(wrt.shape))
    if node.shape[0] == 1:  # a row: its derivative is that of the column
        node = transpose(node)
    if node.shape[1] != 1 or wrt.shape[1] != 1:
        raise UsageError(
            f"the derivative of a {mx.shape_of(node)} for a {mx.shape_of(wrt)} has more than two indices; take the "
            "derivative of a scalar (sum, trace, norm, a loss), or of a vector for a vector."
        )
    seed = mx.variable("∂", node.shape)
    return _matrix_of(_adjoint(node, wrt, seed), seed)


@dataclass(frozen=True)
class Expansion:
    """An expression with its logarithms taken apart, and the evidence that it is the same."""

    expression: str
    answer: str
    shape: str
    difference: float
    at: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "expression": self.expression,
            "expanded": self.answer,
            "shape": self.shape,
            "checked": {"against": "the text, float64", "relative_difference": self.difference},
            **({"at": self.at} if self.at else {}),
        }


def expand(text: str, *, shapes: dict[str, str] | None = None, values: dict[str, Tensor] | None = None) -> Expansion:
    """The expression with logarithms of products, powers and exponentials taken apart, for positive factors."""
    parsed = parse(text, shapes or {})
    answer = _expanded(parsed.node)
    sizes, _ = _point(parsed, values or {})
    generator = torch.Generator().manual_seed(0)
    point = {  # in (0.1, 0.9): as probabilities, so that every logarithm of p and 1 - p exists
        name: torch.rand([sizes[d] if isinstance(d, str) else d for d in node.shape], generator=generator).double()
        * 0.8
        + 0.1
        for name, node in parsed.variables.items()
    }
    expected = numeric(text, point)
    difference = float((mx.evaluate(answer, point, sizes) - expected).abs().max()) / max(
        float(expected.abs().max()), 1e-12
    )
    assert difference < TOLERANCE, (text, mx.text(answer), difference)
    at = {"value": numeric(text, {k: v.double() for k, v in values.items()}).tolist()} if values else {}
    return Expansion(text, mx.text(answer), mx.shape_of(answer), difference, at)


def _expanded(node: Node) -> Node:
    args = [_expanded(part) for part in node.args]
    if node.kind == "log":
        return _log(args[0])
    if node.kind in ("add", "mul", "matmul"):
        return {"add": add, "mul": mul, "matmul": matmul}[node.kind](*args)
    if node.kind == "transpose":
        return transpose(args[0])
    if node.kind == "power":
        return power(args[0], node.value)
    return apply(node.kind, *args) if args else node


def _log(x: Node) -> Node:
    if x.kind == "mul":
        return add(*(_log(part) for part in x.args))
    if x.kind == "power":
        return scale(x.value, _log(x.args[0]))
    if x.kind == "exp":
        return x.args[0]
    return number(0) if x == mx.ONE else apply("log", x)


# --- reverse accumulation -----------------------------------------------------------------------------------------


def _adjoint(root: Node, wrt: Node, seed: Node) -> Node:
    """The gradient of Σ seed ⊙ root for `wrt`: Griewank and Walther 2008, chapter 3.2, on symbols."""
    order: list[Node] = []
    _visit(root, order, set())
    adjoints: dict[Node, Node] = {root: seed}
    total = mx.Node("zero", (), wrt.shape) if not wrt.is_scalar else number(0)
    for node in reversed(order):
        if node not in adjoints:
            continue
        g = adjoints[node]
        if node == wrt:
            total = add(total, g)
        if not node.args:
            continue
        for part, contribution in zip(node.args, _pull_back(node, g), strict=True):
            if part.is_scalar and not contribution.is_scalar:
                contribution = apply("sum", contribution)
            adjoints[part] = add(adjoints[part], contribution) if part in adjoints else contribution
    return total


def _visit(node: Node, order: list[Node], seen: set[Node]) -> None:
    if node not in seen:
        seen.add(node)
        for part in node.args:
            _visit(part, order, seen)
        order.append(node)


def _pull_back(node: Node, g: Node) -> list[Node]:
    """What each operand of a node gets of its adjoint `g`."""
    args = node.args
    if node.kind == "add":
        return [g] * len(args)
    if node.kind == "mul":
        return [mul(g, *args[:i], *args[i + 1 :]) for i in range(len(args))]
    if node.kind == "matmul":
        return [
            matmul(*[transpose(a) for a in reversed(args[:i])], g, *[transpose(a) for a in reversed(args[i + 1 :])])
            for i in range(len(args))
        ]
    if node.kind == "transpose":
        return [transpose(g)]
    if node.kind == "power":
        return [mul(g, scale(node.value, power(args[0], node.value - 1)))]
    if node.kind in _RULES:
        return [_RULES[node.kind](node, args[0], g)]
    raise UsageError(
        f"{mx.text(node)} has no rule of differentiation here; write it with the functions of `etude derive`."
    )


_RULES: dict[str, Callable[[Node, Node, Node], Node]] = {
    "exp": lambda node, x, g: mul(g, node),
    "log": lambda node, x, g: mul(g, power(x, Fraction(-1))),
    "sigmoid": lambda node, x, g: mul(g, node, add(ones(x.shape), scale(-1, node))),
    "relu": lambda node, x, g: mul(g, apply("step", x)),
    "tanh": lambda node, x, g: mul(g, add(ones(x.shape), scale(-1, power(node, Fraction(2))))),
    "softplus": lambda node, x, g: mul(g, apply("sigmoid", x)),
    "abs": lambda node, x, g: mul(g, apply("sign", x)),
    "sin": lambda node, x, g: mul(g, apply("cos", x)),
    "cos": lambda node, x, g: scale(-1, mul(g, apply("sin", x))),
    "step": lambda node, x, g: mul(number(0), g),
    "sign": lambda node, x, g: mul(number(0), g),
    "sum": lambda node, x, g: mul(g, ones(x.shape)),
    "trace": lambda node, x, g: mul(g, identity(x.shape[0])),
    "norm": lambda node, x, g: mul(g, x, power(node, Fraction(-1))),
    "det": lambda node, x, g: mul(g, node, transpose(apply("inv", x))),
    "logdet": lambda node, x, g: mul(g, transpose(apply("inv", x))),
    "inv": lambda node, x, g: scale(-1, matmul(transpose(node), g, transpose(node))),
    "softmax": lambda node, x, g: add(mul(node, g), scale(-1, mul(matmul(transpose(node), g), node))),
    "logsumexp": lambda node, x, g: mul(g, apply("softmax", x)),
}


def _matrix_of(linear: Node, seed: Node) -> Node:
    """The matrix M of an expression M · seed that is linear in `seed`."""
    if linear == seed:
        return identity(seed.shape[0])
    rows, columns = linear.shape[0], seed.shape[0]
    if linear.kind in ("zero",) or not _contains(linear, seed):
        return Node("zero", (), (rows, columns))
    if linear.kind == "add":
        return add(*(_matrix_of(term, seed) for term in linear.args))
    if linear.kind == "matmul":
        *before, last = linear.args
        if _contains(last, seed) and not any(_contains(part, seed) for part in before):
            return matmul(*before, _matrix_of(last, seed))
    if linear.kind == "mul":
        carrier = next(part for part in linear.args if _contains(part, seed))
        others = [part for part in linear.args if part is not carrier]
        scalars = [part for part in others if part.is_scalar]
        matrices = [part for part in others if not part.is_scalar]
        inner = _matrix_of(carrier, seed)
        if carrier.is_scalar and matrices:  # (wᵀ seed) · v = (v wᵀ) seed
            return mul(*scalars, matmul(mul(*matrices), inner))
        if matrices:
            inner = matmul(Node("diag", (mul(*matrices),), (rows, rows)), inner)
        return mul(*scalars, inner)
    if linear.kind == "sum":
        (inner,) = linear.args
        if inner.kind == "mul":  # Σ v ⊙ w = vᵀ w
            carrier = next(part for part in inner.args if _contains(part, seed))
            others = mul(*(part for part in inner.args if part is not carrier))
            if not others.is_scalar:
                return matmul(transpose(others), _matrix_of(carrier, seed))
        return matmul(ones((1, inner.shape[0])), _matrix_of(inner, seed))
    raise UsageError(
        f"∂ is not separable in {mx.text(linear)}; take the derivative of one of its entries' sums instead."
    )


def _contains(node: Node, part: Node) -> bool:
    return node == part or any(_contains(child, part) for child in node.args)


# --- the check ----------------------------------------------------------------------------------------------------


def _point(parsed: Parsed, values: dict[str, Tensor]) -> tuple[dict[Dim, int], dict[str, Tensor]]:
    """Sizes for the named dimensions, different ones, and random values at which the expression is finite."""
    sizes: dict[Dim, int] = {}
    for name, node in parsed.variables.items():
        for d, dim in enumerate(node.shape):
            if name in values and isinstance(dim, str):
                sizes.setdefault(dim, values[name].shape[d])
    for node in parsed.variables.values():
        for dim in node.shape:
            if isinstance(dim, str) and dim not in sizes:
                sizes[dim] = 3 + len(sizes)
    generator = torch.Generator().manual_seed(0)
    for draw in (torch.randn, torch.rand):  # real numbers; where a logarithm or root forbids them, those in [0, 1)
        point = {}
        for name, node in parsed.variables.items():
            rows, columns = (sizes[d] if isinstance(d, str) else d for d in node.shape)
            point[name] = draw(rows, columns, generator=generator, dtype=torch.float64)
            if name in parsed.distributions:
                point[name] = torch.softmax(point[name], 0)
        if mx.evaluate(parsed.node, point, sizes).isfinite().all():
            break
    return sizes, point


def _check(text: str, parsed: Parsed, wrt: str, answer: Node, sizes: dict[Dim, int], point: dict[str, Tensor]) -> float:
    """The largest difference between the answer and autograd, relative to the largest entry."""
    leaf = point[wrt].clone().requires_grad_()
    out = numeric(text, {**point, wrt: leaf})
    out = out.reshape(-1)
    rows = [torch.autograd.grad(out[j], leaf, retain_graph=True, allow_unused=True)[0] for j in range(len(out))]
    found = [torch.zeros_like(leaf) if row is None else row for row in rows]
    expected = found[0] if len(found) == 1 else torch.cat([row.reshape(-1, 1) for row in found], 1)
    ours = mx.evaluate(answer, point, sizes)
    difference = float((ours - expected).abs().max())
    return difference / max(float(expected.abs().max()), 1e-12) if difference else 0.0
