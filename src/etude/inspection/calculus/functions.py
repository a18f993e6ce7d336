"""Functions of a node: of each entry, of a matrix, with a single value; sums over samples."""

from fractions import Fraction

from etude.errors import UsageError
from etude.inspection.calculus.entries import mul, power, scale, transpose
from etude.inspection.calculus.matrices import diag, matmul, split_scalars, sum_of, unit_cut
from etude.inspection.calculus.nodes import (
    ONE,
    SCALAR,
    ZERO,
    Node,
    common_shape,
    is_sample,
    node,
    nodes_in,
    number,
    ones,
    size_of,
    zero,
)

REDUCING = {"trace", "sum", "norm", "det", "logdet", "logsumexp", "max", "min"}
ELEMENTWISE = {"exp", "log", "sigmoid", "relu", "tanh", "softplus", "abs", "sin", "cos", "tan", "sinh", "cosh",
               "step", "sign"}  # fmt: skip
_AT_ZERO = {"exp": 1, "sigmoid": Fraction(1, 2), "relu": 0, "tanh": 0, "abs": 0, "sin": 0, "cos": 1, "tan": 0,
            "sinh": 0, "cosh": 1, "step": 0, "sign": 0}  # fmt: skip


def apply(name: str, x: Node) -> Node:
    """An elementwise function, one with a single value (`REDUCING`), `inv` or `softmax`."""
    simpler = _reduced(name, x) if name in REDUCING or name in ("inv", "softmax") else _entrywise(name, x)
    if simpler is not None:
        return simpler
    shape = SCALAR if name in REDUCING else x.shape
    return node(name, (x,), shape)


def _entrywise(name: str, x: Node) -> Node | None:
    if x.kind == "transpose":
        return transpose(apply(name, x.args[0]))
    if name in _AT_ZERO and (x == ZERO or x.kind == "zero"):
        return scale(_AT_ZERO[name], ones(x.shape))
    if name == "log":
        if x.kind == "exp":
            return x.args[0]
        if x == ONE or x.kind == "ones":
            return zero(x.shape)
        if x.kind == "zero" or (x.kind == "number" and x.value <= 0):
            raise UsageError("the expression has the logarithm of a number that is not positive.")
    if name == x.kind and name in ("abs", "relu"):
        return x
    if x.kind == "number" and name in ("abs", "relu", "sign", "step"):
        value = x.value
        return number({"abs": abs(value), "relu": max(value, 0), "sign": (value > 0) - (value < 0),
                       "step": value > 0}[name])  # fmt: skip
    return None


def _reduced(name: str, x: Node) -> Node | None:
    if name == "sum":
        return sum_of(x)
    if x.is_scalar:
        if name == "softmax":
            return ONE
        if name in ("norm", "logdet"):
            return apply("abs", x) if name == "norm" else apply("log", apply("abs", x))
        return power(x, -1) if name == "inv" else x
    if name in ("trace", "inv") and x.kind == "mul":
        scalars, rest = split_scalars(x)
        if scalars:
            return mul(*(power(s, -1) for s in scalars) if name == "inv" else scalars, apply(name, rest))
    if x.kind == "transpose" and name in ("trace", "det", "logdet", "norm", "max", "min"):
        return apply(name, x.args[0])
    if name == "trace" and x.kind == "zero":
        return ZERO
    if name == "trace":
        if x.kind == "identity":
            return size_of(x.shape[0])
        if x.kind == "diag":
            return apply("sum", x.args[0])
        if x.kind == "kron" and all(part.shape[0] == part.shape[1] for part in x.args):
            return mul(*(apply("trace", part) for part in x.args))
        if x.kind == "matmul" and (cut := unit_cut(x)):
            return matmul(*x.args[cut:], *x.args[:cut])
    if name in ("inv", "det", "logdet") and x.kind == "identity":
        return {"inv": x, "det": ONE, "logdet": ZERO}[name]
    if name == "inv":
        if x.kind == "inv":
            return x.args[0]
        if x.kind == "diag":
            return diag(power(x.args[0], -1))
        if x.kind == "transpose":
            return transpose(apply("inv", x.args[0]))
    if name == "det" and x.kind == "inv":
        return power(apply("det", x.args[0]), -1)
    if name in ("inv", "det") and x.kind == "zero":
        if name == "inv":
            raise UsageError("the expression has the inverse of a matrix of zeros.")
        return ZERO
    return None


def larger(a: Node, b: Node, *, least: bool = False) -> Node:
    """The larger of two entries, or the smaller: max(0, x) is ReLU."""
    shape = common_shape(a, b)
    if a == b:
        return a
    if a.kind == b.kind == "number":
        return number((min if least else max)(a.value, b.value))
    for zero_side, other in ((a, b), (b, a)):
        if zero_side == ZERO or zero_side.kind == "zero":
            return scale(-1, apply("relu", scale(-1, other))) if least else apply("relu", other)
    return node("minimum" if least else "maximum", (a, b), shape)


def greater(a: Node, b: Node) -> Node:
    """1 where a > b, else 0."""
    return zero(common_shape(a, b)) if a == b else node("greater", (a, b), common_shape(a, b))


def sum_over(index: tuple[str, str], body: Node) -> Node:
    """Σᵢ over samples; `index` is the letter and the name of the number of samples."""
    if body.kind in ("zero",) or body == ZERO:
        return body
    if not any(is_sample(part, index[0]) for part in nodes_in(body)):
        return mul(size_of(index[1]), body)
    if body.kind == "mul":
        free = [p for p in body.args if p.is_scalar and not any(is_sample(q, index[0]) for q in nodes_in(p))]
        if free:
            rest = mul(*(part for part in body.args if part not in free))
            return mul(*free, sum_over(index, rest if rest.shape == body.shape else mul(rest, ones(body.shape))))
    return node("sum_over", (body,), body.shape, index)
