"""Reverse accumulation on symbols (Griewank and Walther 2008, chapter 3.2), and the Jacobian of a vector."""

from collections.abc import Callable
from typing import final

from etude.errors import UsageError
from etude.inspection.calculus.entries import add, mul, power, scale, subtract, transpose
from etude.inspection.calculus.functions import apply, greater, sum_over
from etude.inspection.calculus.matrices import diag, kron, matmul
from etude.inspection.calculus.nodes import (
    ONE,
    Dim,
    Node,
    check_length,
    contains,
    identity,
    is_sample,
    node,
    ones,
    size_of,
    variable,
    zero,
)
from etude.inspection.calculus.printing import text, with_article


def derivative(root: Node, wrt: Node) -> Node:
    """∂root/∂wrt, entry ∂rootⱼ/∂wrtᵢ at row i, column j; of the shape of `wrt` for a scalar."""
    if root.is_scalar:
        found = _adjoint(root, wrt, ONE)
        return found if found.shape == wrt.shape else mul(found, ones(wrt.shape))
    if root.shape[0] == 1:  # a row: its derivative is that of the column
        root = transpose(root)
    if root.shape[1] != 1 or 1 not in wrt.shape:
        raise UsageError(
            f"the derivative of {with_article(root.shape)} for {with_article(wrt.shape)} has more than two indices; "
            "take the derivative of a scalar (sum, trace, norm, a loss), or of a vector for a vector."
        )
    seed = variable("∂", root.shape)
    found = _adjoint(root, wrt, seed)
    check_length(found)
    return jacobian(found if wrt.shape[1] == 1 else transpose(found), seed)


def _adjoint(root: Node, wrt: Node, seed: Node) -> Node:
    """The gradient of Σ seed ⊙ root for `wrt`."""
    order: list[Node] = []
    depends: dict[Node, bool] = {}
    _visit(root, wrt, order, depends)
    adjoints: dict[Node, Node] = {root: seed}
    total = zero(wrt.shape)
    for each in reversed(order):
        if each not in adjoints:
            continue
        g = adjoints[each]
        if each == wrt:
            total = add(total, g)
        if each.kind == "sum_over":
            inner = _adjoint(each.args[0], wrt, g)
            total = add(total, inner if is_sample(wrt, each.value[0]) else sum_over(each.value, inner))
            continue
        for i, part in enumerate(each.args):
            if not depends[part]:
                continue
            contribution = _pull_back(each, i, g)
            if part.is_scalar and not contribution.is_scalar:
                contribution = apply("sum", contribution)
            adjoints[part] = add(adjoints[part], contribution) if part in adjoints else contribution
    return total


def _visit(root: Node, wrt: Node, order: list[Node], depends: dict[Node, bool]) -> bool:
    """What depends on `wrt`, operands first; sums over samples stay closed."""
    if root not in depends:
        if root.kind == "sum_over":
            depends[root] = contains(root, wrt)
        else:
            parts = [_visit(part, wrt, order, depends) for part in root.args]  # all of them
            depends[root] = root == wrt or any(parts)
        if depends[root]:
            order.append(root)
    return depends[root]


def _pull_back(root: Node, i: int, g: Node) -> Node:
    """What operand i of a node gets of its adjoint `g`."""
    args = root.args
    if root.kind in RULES:
        return RULES[root.kind](root, args[0], g)
    if root.kind in _RULES_OF_MANY:
        return _RULES_OF_MANY[root.kind](root, i, g)
    raise UsageError(f"{text(root)} has no rule of differentiation; take its derivative apart by hand.")


RULES: dict[str, Callable[[Node, Node, Node], Node]] = {
    "transpose": lambda f, x, g: transpose(g),
    "power": lambda f, x, g: mul(g, scale(f.value, power(x, f.value - 1))),
    "exp": lambda f, x, g: mul(g, f),
    "log": lambda f, x, g: mul(g, power(x, -1)),
    "sigmoid": lambda f, x, g: mul(g, f, subtract(ones(x.shape), f)),
    "relu": lambda f, x, g: mul(g, apply("step", x)),
    "tanh": lambda f, x, g: mul(g, subtract(ones(x.shape), power(f, 2))),
    "softplus": lambda f, x, g: mul(g, apply("sigmoid", x)),
    "abs": lambda f, x, g: mul(g, apply("sign", x)),
    "sin": lambda f, x, g: mul(g, apply("cos", x)),
    "cos": lambda f, x, g: scale(-1, mul(g, apply("sin", x))),
    "tan": lambda f, x, g: mul(g, add(ones(x.shape), power(f, 2))),
    "sinh": lambda f, x, g: mul(g, apply("cosh", x)),
    "cosh": lambda f, x, g: mul(g, apply("sinh", x)),
    "step": lambda f, x, g: zero(x.shape),
    "sign": lambda f, x, g: zero(x.shape),
    "argmax": lambda f, x, g: zero(x.shape),
    "argmin": lambda f, x, g: zero(x.shape),
    "max": lambda f, x, g: mul(g, node("argmax", (x,), x.shape)),
    "min": lambda f, x, g: mul(g, node("argmin", (x,), x.shape)),
    "sum": lambda f, x, g: mul(g, ones(x.shape)),
    "trace": lambda f, x, g: mul(g, identity(x.shape[0])),
    "norm": lambda f, x, g: mul(g, x, power(f, -1)),
    "det": lambda f, x, g: mul(g, f, transpose(apply("inv", x))),
    "logdet": lambda f, x, g: mul(g, transpose(apply("inv", x))),
    "inv": lambda f, x, g: scale(-1, matmul(transpose(f), g, transpose(f))),
    "diag": lambda f, x, g: diag(g),
    "diagonal": lambda f, x, g: diag(g),
    "softmax": lambda f, x, g: subtract(mul(f, g), mul(matmul(transpose(f), g), f)),
    "logsumexp": lambda f, x, g: mul(g, apply("softmax", x)),
    "softmax_rows": lambda f, x, g: mul(f, subtract(g, matmul(mul(f, g), ones((x.shape[1], x.shape[1]))))),
    "logsumexp_rows": lambda f, x, g: mul(
        node("softmax_rows", (x,), x.shape), g if g.is_scalar else matmul(g, ones((1, x.shape[1])))
    ),
}
"""What the operand of a function f(x) gets of the adjoint g."""


def _of_chain(root: Node, i: int, g: Node) -> Node:
    before = [transpose(part) for part in reversed(root.args[:i])]
    return matmul(*before, g, *(transpose(part) for part in reversed(root.args[i + 1 :])))


def _of_raised(root: Node, i: int, g: Node) -> Node:
    base, exponent = root.args
    if i == 0:
        return mul(g, exponent, power(base, subtract(exponent, ONE)))
    return mul(g, root, apply("log", base))


def _of_larger(root: Node, i: int, g: Node) -> Node:
    a, b = root.args if (i == 0) == (root.kind == "maximum") else reversed(root.args)
    return mul(g, greater(a, b))


def _of_kron(root: Node, i: int, g: Node) -> Node:
    """vec(x ⊗ y) is linear in each: for vectors a product with a matrix, otherwise block by block."""
    a, b = root.args
    if 1 in root.shape and a.shape[1] == b.shape[1] == 1:
        if i == 0:
            return matmul(kron(identity(a.shape[0]), transpose(b)), g)
        return matmul(kron(transpose(a), identity(b.shape[0])), g)
    if g.kind == "mul" and (scalars := [part for part in g.args if part.is_scalar]):
        rest = mul(*(part for part in g.args if not part.is_scalar))
        return mul(*scalars, _of_kron(root, i, rest))
    if g.kind == "ones":
        return mul(apply("sum", root.args[1 - i]), ones(root.args[i].shape))
    if g.kind == "identity" and b.shape[0] == b.shape[1]:
        return mul(apply("trace", root.args[1 - i]), identity(root.args[i].shape[0]))
    if g.kind == "kron" and g.args[0].shape == a.shape:
        return mul(apply("sum", mul(g.args[1 - i], root.args[1 - i])), g.args[i])
    return node("kron_left", (g, b), a.shape) if i == 0 else node("kron_right", (g, a), b.shape)


def _of_kron_block(root: Node, i: int, g: Node) -> Node:
    """Both are bilinear: ⟨G, g ⊗ B⟩ and ⟨G, A ⊗ g⟩."""
    whole, factor = root.args
    left = root.kind == "kron_left"
    if i == 0:
        return kron(g, factor) if left else kron(factor, g)
    return node("kron_right" if left else "kron_left", (whole, g), factor.shape)


def _of_function(root: Node, i: int, g: Node) -> Node:
    name, orders = root.value
    raised = tuple(order + (place == i) for place, order in enumerate(orders))
    return mul(g, node("function", root.args, root.shape, (name, raised)))


def _of_gradient(root: Node, i: int, g: Node) -> Node:
    name, j = root.value
    a, b = root.args[i], root.args[j]
    if 1 not in a.shape or 1 not in b.shape or (a.shape[1] != 1 or b.shape[1] != 1):
        raise UsageError(f"the derivative of {text(root)} has more than two indices; use columns, not matrices.")
    return matmul(node("hessian", root.args, (a.shape[0], b.shape[0]), (name, j, i)), g)


_RULES_OF_MANY: dict[str, Callable[[Node, int, Node], Node]] = {
    "add": lambda f, i, g: g,
    "mul": lambda f, i, g: mul(g, *f.args[:i], *f.args[i + 1 :]),
    "matmul": _of_chain,
    "raised": _of_raised,
    "maximum": _of_larger,
    "minimum": _of_larger,
    "greater": lambda f, i, g: zero(f.args[i].shape),
    "kron": _of_kron,
    "kron_left": _of_kron_block,
    "kron_right": _of_kron_block,
    "function": _of_function,
    "field": lambda f, i, g: mul(g, node("gradient", f.args, f.args[i].shape, (f.value, i))),
    "gradient": _of_gradient,
}


def jacobian(linear: Node, seed: Node) -> Node:
    """The matrix M of an expression M · seed, a column that is linear in `seed`."""
    return _Linear(seed).matrix(linear)


@final
class _Linear:
    """The matrices of expressions that are linear in `seed`; each is found once."""

    def __init__(self, seed: Node) -> None:
        self.seed = seed
        self._known: dict[Node, Node] = {}

    def matrix(self, linear: Node) -> Node:
        """M of M · seed."""
        if linear not in self._known:
            self._known[linear] = self._matrix(linear)
        return self._known[linear]

    def _has(self, *parts: Node) -> bool:
        return any(contains(part, self.seed) for part in parts)

    def _matrix(self, linear: Node) -> Node:
        rows, columns = linear.shape[0], self.seed.shape[0]
        if linear == self.seed:
            return identity(rows)
        if not self._has(linear):
            return zero((rows, columns))
        if linear.kind == "add":
            return add(*(self._spread(self.matrix(term), rows) for term in linear.args))
        if linear.kind == "sum_over":
            return sum_over(linear.value, self.matrix(linear.args[0]))
        if linear.kind == "matmul":
            *before, last = linear.args
            if self._has(last) and not self._has(*before):
                return matmul(*before, self.matrix(last))
            if linear.is_scalar and not self._has(*linear.args[1:]):
                return self.matrix(matmul(*(transpose(part) for part in reversed(linear.args))))
        if linear.kind == "mul":
            return self._of_product(linear)
        if linear.kind == "sum" and linear.args[0].shape[1] == 1:
            return self._of_sum(linear.args[0])
        raise UsageError(
            "this derivative has no form with two indices here; take the derivative of a sum of its entries."
        )

    def _spread(self, row: Node, rows: Dim) -> Node:
        """A scalar term within a sum of columns is the same in every row."""
        return row if row.shape[0] == rows else matmul(ones((rows, 1)), row)

    def _of_product(self, linear: Node) -> Node:
        carrier = next(part for part in linear.args if self._has(part))
        others = [part for part in linear.args if part is not carrier]
        scalars = [part for part in others if part.is_scalar]
        matrices = [part for part in others if not part.is_scalar]
        inner = self.matrix(carrier)
        if carrier.is_scalar and matrices:  # (wᵀ seed) · v = (v wᵀ) seed
            return mul(*scalars, matmul(mul(*matrices), inner))
        if matrices:
            inner = matmul(diag(mul(*matrices)), inner)
        return mul(*scalars, inner)

    def _of_sum(self, inner: Node) -> Node:
        """Σ v ⊙ w = vᵀ w."""
        if inner.kind == "mul":
            carrier = next(part for part in inner.args if self._has(part))
            others = mul(*(part for part in inner.args if part is not carrier))
            if carrier.is_scalar:  # Σ c w
                return mul(apply("sum", others), self.matrix(carrier))
            if not others.is_scalar:
                return matmul(transpose(others), self.matrix(carrier))
        if inner.kind == "add":
            return add(
                *(
                    mul(size_of(inner.shape[0]), self.matrix(term)) if term.is_scalar else self._of_sum(term)
                    for term in inner.args
                    if self._has(term)
                )
            )
        return matmul(ones((1, inner.shape[0])), self.matrix(inner))
