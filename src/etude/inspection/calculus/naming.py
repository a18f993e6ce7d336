"""Formulas that have a name: 1 / (1 + exp(−u)) is σ(u), log(sum(exp(u))) is logsumexp(u), log(1 + exp(u)) softplus(u).

Derivatives of the named ones are shorter: σ(u) for exp(u) / (1 + exp(u)), softmax(u) for exp(u) / sum(exp(u)).
"""

from fractions import Fraction

from etude.inspection.calculus.entries import mul, power, scale, split_number, split_power, subtract, transpose
from etude.inspection.calculus.functions import apply
from etude.inspection.calculus.matrices import matmul
from etude.inspection.calculus.nodes import ONE, Node, node, number, ones, zero
from etude.inspection.calculus.tidying import rebuilt


def named(root: Node, *, apart: bool) -> Node:
    """The same value, with formulas that have a name under that name; log σ(u) as u − softplus(u) when `apart`."""
    return _named(root, apart, {})


def _named(root: Node, apart: bool, known: dict[Node, Node]) -> Node:
    if root not in known:
        found = rebuilt(root, [_named(part, apart, known) for part in root.args])
        if found.kind == "log":
            found = _logarithm(found.args[0], apart) or found
        elif found.kind == "power" and found.value.denominator == 1 and found.value < 0:
            u = _beside_one(found.args[0])
            found = found if u is None else power(apply("sigmoid", scale(-1, u)), -found.value)
        elif found.kind == "mul":
            found = _product(found)
        known[root] = found
    return known[root]


def _logarithm(x: Node, apart: bool) -> Node | None:
    if (u := _beside_one(x)) is not None:
        return apply("softplus", u)
    if apart and x.kind == "sigmoid":
        return subtract(x.args[0], apply("softplus", x.args[0]))
    rest = subtract(ones(x.shape), x)
    if apart and rest.kind == "sigmoid":  # of 1 − σ(u)
        return scale(-1, apply("softplus", rest.args[0]))
    if x.kind == "softmax":
        return subtract(x.args[0], apply("logsumexp", x.args[0]))
    if x.kind == "softmax_rows":
        u = x.args[0]
        total = node("logsumexp_rows", (u,), (u.shape[0], 1))
        return subtract(u, total if total.is_scalar else matmul(total, ones((1, u.shape[1]))))
    if x.kind == "matmul" and len(x.args) == 2 and x.args[0].kind == "exp" and x.args[1].kind == "ones":
        u = x.args[0].args[0]
        total = node("logsumexp_rows", (u,), (u.shape[0], 1))
        return total if x.shape[1] == 1 else None
    if x.kind == "sum" and x.args[0].kind == "exp" and 1 in x.args[0].shape:
        u = x.args[0].args[0]
        return apply("logsumexp", u if u.shape[1] == 1 else transpose(u))
    return None


def _beside_one(x: Node) -> Node | None:
    """The u of 1 + exp(u)."""
    if x.kind != "add" or len(x.args) != 2:
        return None
    one, other = x.args if x.args[1].kind == "exp" else reversed(x.args)
    return other.args[0] if other.kind == "exp" and (one == ONE or one.kind == "ones") else None


def _product(x: Node) -> Node:
    """With σ(−v) for exp(−v) σ(v), and softmax(u) for exp(u) / sum(exp(u)) of a column."""
    coefficient, rest = split_number(x)
    factors = list(rest.args) if rest.kind == "mul" else [rest]
    before = next((part.args[0] for part in factors if part.kind == "exp" and part.shape == x.shape), None)
    if before is None:
        return x
    exponent, found = before, []
    for part in factors:
        base, times = split_power(part)
        count = times.value if times.kind == "number" and times.value.denominator == 1 else Fraction(0)
        if base.kind == "sigmoid" and base.shape == x.shape and count > 0:
            turned = scale(-1, base.args[0])
            moved = _times(exponent, turned, count)
            exponent = subtract(exponent, scale(moved, turned))
            sigmoid = apply("sigmoid", turned)
            if moved:
                part = mul(power(subtract(ones(x.shape), sigmoid), count - moved), power(sigmoid, moved))
        elif count == -1 and x.shape[1] == 1 and base == apply("sum", apply("exp", exponent)):
            part = apply("softmax", exponent)
            exponent = zero(x.shape)
        found.append(part)
    if exponent == before:
        return x
    found = [part for part in found if part.kind != "exp" or part.shape != x.shape]
    return mul(number(coefficient), *found, apply("exp", exponent))


def _times(exponent: Node, u: Node, most: Fraction) -> Fraction:
    """How often, up to `most`, exp(u) is a factor of exp(exponent)."""
    (ours, a), (theirs, b) = split_number(exponent), split_number(u)
    count = ours / theirs if a == b else Fraction(0)
    return min(count, most) if count.denominator == 1 and count > 0 else Fraction(0)
