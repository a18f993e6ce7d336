"""Sums, products and powers, entry by entry: equal terms and equal factors are collected as they are built."""

from fractions import Fraction
from math import isqrt

from etude.errors import UsageError
from etude.inspection.calculus.nodes import (
    INDICATORS,
    ONE,
    SCALAR,
    ZERO,
    Node,
    Shape,
    common_shape,
    node,
    number,
    ones,
    zero,
)


def add(*terms: Node) -> Node:
    """The sum; a scalar is added to every entry. Equal terms are collected."""
    shape = common_shape(*terms)
    collected: dict[Node, tuple[Node, Fraction]] = {}
    for term in terms:
        for part in term.args if term.kind == "add" else (term,):
            coefficient, rest = split_number(part)
            key = _key(rest if shape == SCALAR or not rest.is_scalar else mul(rest, ones(shape)))
            first, before = collected.get(key, (rest, Fraction(0)))
            collected[key] = (first, before + coefficient)
    parts = [scale(c, rest) for rest, c in collected.values() if c]
    if not parts:
        return zero(shape)
    if shape != SCALAR and all(part.is_scalar for part in parts):
        return mul(add(*parts), ones(shape))
    return parts[0] if len(parts) == 1 else node("add", tuple(parts), shape)


def _key(term: Node) -> Node:
    """xᵀ A y and yᵀ Aᵀ x are the same number: one of the two."""
    if term.kind == "matmul" and term.is_scalar:
        turned = node("matmul", tuple(transpose(part) for part in reversed(term.args)), SCALAR)
        return min(term, turned, key=lambda each: [(part.kind, str(part.value), id(part)) for part in each.args])
    if term.kind == "mul":
        return node("mul", tuple(sorted((_key(part) for part in term.args), key=id)), term.shape)
    return term


def split_number(term: Node) -> tuple[Fraction, Node]:
    """The numerical coefficient, and the rest."""
    if term.kind == "number":
        return term.value, ONE
    if term.kind == "zero":
        return Fraction(0), term
    if term.kind == "mul" and term.args[0].kind == "number":
        return term.args[0].value, _product(ONE, term.args[1:], term.shape)
    return Fraction(1), term


def scale(factor: Fraction | int, term: Node) -> Node:
    """A number times a node."""
    return mul(number(factor), term)


def subtract(a: Node, b: Node) -> Node:
    """The difference."""
    return add(a, scale(-1, b))


def mul(*factors: Node) -> Node:
    """The elementwise product, scalars included; equal factors are collected into powers."""
    shape = common_shape(*factors)
    coefficient = Fraction(1)
    powers: dict[Node, tuple[Node, Node]] = {}
    exponentials: dict[Shape, Node] = {}
    for factor in factors:
        for part in factor.args if factor.kind == "mul" else (factor,):
            if part.kind == "zero":
                return zero(shape)
            if part.kind == "number":
                coefficient *= part.value
            elif part.kind == "exp":
                exponentials[part.shape] = add(exponentials.get(part.shape, ZERO), part.args[0])
            elif part.kind != "ones":
                base, exponent = split_power(part)
                first, before = powers.get(_key(base), (base, ZERO))
                powers[_key(base)] = (first, add(before, exponent))
    if not coefficient:
        return zero(shape)
    parts: list[Node] = []
    for base, exponent in powers.values():
        part = power(base, exponent)
        if part.kind == "number":
            coefficient *= part.value
        elif part.kind == "mul":  # a product to a power of its own
            inner, rest = split_number(part)
            coefficient *= inner
            parts += rest.args if rest.kind == "mul" else [] if rest == ONE else [rest]
        elif part.kind != "ones":
            parts.append(part)
    for exponent in exponentials.values():
        part = _exp(exponent)
        parts += [part] if part.kind not in ("number", "ones") else []
    parts.sort(key=lambda part: not part.is_scalar)  # scalars first
    if shape != SCALAR and all(part.is_scalar for part in parts):
        parts.append(ones(shape))
    return _product(number(coefficient), tuple(parts), shape)


def _product(coefficient: Node, parts: tuple[Node, ...], shape: Shape) -> Node:
    if not parts:
        return coefficient if shape == SCALAR else node("mul", (coefficient, ones(shape)), shape)
    if len(parts) == 1 and coefficient == ONE:
        return parts[0]
    if len(parts) == 1 and parts[0].kind == "add" and coefficient.value == -1:
        return add(*(scale(-1, term) for term in parts[0].args))
    return node("mul", parts if coefficient == ONE else (coefficient, *parts), shape)


def split_power(part: Node) -> tuple[Node, Node]:
    """Base and exponent."""
    if part.kind == "power":
        return part.args[0], number(part.value)
    return part.args if part.kind == "raised" else (part, ONE)  # type: ignore[return-value]


def power(base: Node, exponent: Node | Fraction | int) -> Node:
    """An elementwise power. Exponents that are not whole are never multiplied: √(x²) is not x."""
    exponent = exponent if isinstance(exponent, Node) else number(exponent)
    constant, rest = split_number(exponent)
    if not exponent.is_scalar and rest.kind in ("ones", "zero"):  # the same number in every entry
        return mul(power(base, constant), ones(common_shape(base, exponent)))
    if exponent.kind != "number":
        if base.kind == "raised":
            base, exponent = base.args[0], mul(base.args[1], exponent)
        if base.kind == "exp":
            return _exp(mul(base.args[0], exponent))
        return base if base == ONE else node("raised", (base, exponent), common_shape(base, exponent))
    e: Fraction = exponent.value
    if e == 0:
        return ones(base.shape)
    if e == 1 or base.kind == "ones":
        return base
    if base.kind == "zero" or base == ZERO:
        if e < 0:
            raise UsageError("the expression divides by zero.")
        return base
    if base.kind == "number":
        return _number_power(base, e)
    if base.kind == "exp":
        return _exp(scale(e, base.args[0]))
    if base.kind in INDICATORS and e > 0:
        return base
    if base.kind == "transpose":
        return transpose(power(base.args[0], e))
    if e.denominator == 1:
        if base.kind == "power":
            return power(base.args[0], base.value * e)
        if base.kind == "raised":
            return power(base.args[0], scale(e, base.args[1]))
        if base.kind == "mul":
            return mul(*(power(part, e) for part in base.args))
        if base.kind == "abs" and e % 2 == 0:
            return power(base.args[0], e)
    return node("power", (base,), base.shape, e)


def _exp(x: Node) -> Node:
    return ones(x.shape) if x == ZERO or x.kind == "zero" else node("exp", (x,), x.shape)


def _number_power(base: Node, e: Fraction) -> Node:
    value: Fraction = base.value
    if e.denominator == 1:
        digits = max(value.numerator.bit_length(), value.denominator.bit_length()) * abs(e)
        if abs(value) != 1 and digits > 2000:
            raise UsageError("the expression has a power with more than 600 digits; use smaller numbers.")
        return number(value ** int(e)) if abs(value) != 1 else number(value if e % 2 else 1)
    if value < 0:
        raise UsageError("the expression has a root of a negative number.")
    roots = isqrt(value.numerator), isqrt(value.denominator)
    if e.denominator == 2 and (roots[0] ** 2, roots[1] ** 2) == (value.numerator, value.denominator):
        return _number_power(number(Fraction(*roots)), Fraction(e.numerator))
    return node("power", (base,), SCALAR, e) if value != 1 else ONE


def transpose(x: Node) -> Node:
    """The transpose, moved to the leaves."""
    shape = (x.shape[1], x.shape[0])
    if x.is_scalar or x.kind in ("identity", "diag"):
        return x
    if x.kind == "transpose":
        return x.args[0]
    if x.kind in ("ones", "zero"):
        return node(x.kind, (), shape)
    if x.kind in ("matmul", "kron"):
        parts = [transpose(part) for part in x.args]
        return node(x.kind, tuple(parts[::-1] if x.kind == "matmul" else parts), shape)
    if x.kind in ("add", "mul"):
        return (add if x.kind == "add" else mul)(*(transpose(part) for part in x.args))
    return node("transpose", (x,), shape)
