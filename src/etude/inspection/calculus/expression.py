"""Expressions of matrices, vectors and scalars: a small normal form.

A `Node` is immutable, and there is one object per expression: equal nodes are identical. The functions that build
nodes simplify as they go: transposes move to the leaves, scalars to the front, equal terms and equal factors are
collected, a product of matrices with a 1×1 part gives that part as a scalar. A vector is a column, n×1.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import isqrt
from typing import Any, final
from weakref import WeakValueDictionary

from etude.errors import UsageError

Dim = str | int
Shape = tuple[Dim, Dim]
SCALAR: Shape = (1, 1)
LARGEST = Fraction(10) ** 100
"""Largest number, and one over the smallest, that an expression may hold."""


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


MOST_SYMBOLS = 2000
MOST_STEPS = 60_000
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
INDICATORS = {"step", "greater", "argmax", "argmin"}
"""Kinds whose entries are 0 or 1."""


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


# --- sums ---------------------------------------------------------------------------------------------------------


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


# --- products, entry by entry -------------------------------------------------------------------------------------


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
        part = apply("exp", exponent)
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
    if base.kind == "transpose" and exponent.is_scalar:
        return transpose(power(base.args[0], exponent))
    constant, rest = split_number(exponent)
    if not exponent.is_scalar and rest.kind in ("ones", "zero"):  # the same number in every entry
        return mul(power(base, constant), ones(common_shape(base, exponent)))
    if exponent.kind != "number":
        if base.kind == "raised":
            base, exponent = base.args[0], mul(base.args[1], exponent)
        if base.kind == "exp":
            return apply("exp", mul(base.args[0], exponent))
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
        return apply("exp", scale(e, base.args[0]))
    if base.kind in INDICATORS and e > 0:
        return base
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


# --- products of matrices -----------------------------------------------------------------------------------------


def matmul(*factors: Node) -> Node:
    """The matrix product; scalars move to the front, what is 1×1 within it too, identities vanish."""
    shape = (factors[0].shape[0], factors[-1].shape[1])
    chain: list[Node] = []
    scalars: list[Node] = []
    for factor in factors:
        for part in factor.args if factor.kind == "matmul" else (factor,):
            if part.kind == "zero" or part == ZERO:
                return zero(shape)
            inner = part
            if part.kind == "mul":
                scalars += [p for p in part.args if p.is_scalar]
                inner = mul(*(p for p in part.args if not p.is_scalar))
            if inner.is_scalar:
                scalars += [inner] if inner is part else []
            elif inner.kind == "ones" and 1 not in inner.shape:
                chain += [ones((inner.shape[0], 1)), ones((1, inner.shape[1]))]
            else:
                chain += inner.args if inner.kind == "matmul" else (inner,)
    chain, found = _shortened(chain)
    scalars += found
    units = [i for i in range(1, len(chain)) if chain[i].shape[0] == 1]
    units = ([0] if shape[0] == 1 else []) + units + ([len(chain)] if shape[1] == 1 else [])
    if chain and len(units) > 1:
        scalars += [_scalar_product(chain[a:b]) for a, b in pairwise(units)]
        chain = chain[: units[0]] + chain[units[-1] :]
    if not chain:
        core = identity(shape[0]) if shape != SCALAR else ONE
    else:
        outer_ones = len(chain) == 2 and chain[0].kind == chain[1].kind == "ones"
        core = (
            ones(shape)
            if outer_ones
            else chain[0]
            if len(chain) == 1
            else node("matmul", tuple(chain), (chain[0].shape[0], chain[-1].shape[1]))
        )
    return mul(*scalars, core) if scalars else core


def _scalar_product(chain: list[Node]) -> Node:
    if len(chain) == 1:
        return chain[0]
    if chain[0].kind == "ones":
        return apply("sum", chain[1] if len(chain) == 2 else matmul(*chain[1:]))
    if chain[-1].kind == "ones":
        return apply("sum", chain[0] if len(chain) == 2 else matmul(*chain[:-1]))
    return node("matmul", tuple(chain), SCALAR)


def _shortened(chain: list[Node]) -> tuple[list[Node], list[Node]]:
    """The product of matrices with neighbours joined where that is simpler, and the scalars that come of it."""
    scalars: list[Node] = []
    chain = [part for part in chain if part.kind != "identity"]
    i = 0
    while i < len(chain):
        reach = _inverted(chain[i])
        if reach and chain[i + 1 : i + 1 + len(reach)] == reach:  # A⁻¹ A
            del chain[i : i + 1 + len(reach)]
            i = max(i - 1, 0)
            continue
        if reach and i >= len(reach) and chain[i - len(reach) : i] == reach:  # A A⁻¹
            del chain[i - len(reach) : i + 1]
            i = max(i - len(reach) - 1, 0)
            continue
        joined = _joined(chain[i], chain[i + 1]) if i + 1 < len(chain) else None
        if joined is None:
            i += 1
            continue
        scalars += [part for part in joined.args if part.is_scalar] if joined.kind == "mul" else []
        rest = mul(*(part for part in joined.args if not part.is_scalar)) if joined.kind == "mul" else joined
        if rest.kind == "zero":
            return chain, [ZERO]
        chain[i : i + 2] = list(rest.args) if rest.kind == "matmul" else [] if rest.kind == "identity" else [rest]
        i = max(i - 1, 0)
    return chain, scalars


def _inverted(part: Node) -> list[Node]:
    """What A of A⁻¹ is a product of; empty for everything else."""
    turned = part.kind == "transpose"
    inverse = part.args[0] if turned else part
    if inverse.kind != "inv":
        return []
    inner = transpose(inverse.args[0]) if turned else inverse.args[0]
    return list(inner.args) if inner.kind == "matmul" else [inner]


def _joined(a: Node, b: Node) -> Node | None:
    """The product of two neighbours where it is simpler than writing both."""
    if a.kind == "diag" and b.kind == "diag":
        return diag(mul(a.args[0], b.args[0]))
    if a.kind == "diag" and b.shape[1] == 1:
        return mul(a.args[0], b)
    if b.kind == "diag" and a.shape[0] == 1:
        return mul(a, transpose(b.args[0]))
    if a.kind == "kron" and b.kind == "kron" and a.args[0].shape[1] == b.args[0].shape[0]:
        return kron(matmul(a.args[0], b.args[0]), matmul(a.args[1], b.args[1]))
    if a.kind == "mul" and b.shape[1] == 1 and (found := _split_outer(a)):  # (M ⊙ u vᵀ) b = u ⊙ (M (v ⊙ b))
        rest, u, v = found
        return mul(u, matmul(rest, mul(v, b)))
    return None


def _split_outer(product: Node) -> tuple[Node, Node, Node] | None:
    """M, u and v of M ⊙ u vᵀ."""
    for part in product.args:
        if part.kind == "matmul" and (cut := unit_cut(part)) and 1 not in part.shape:
            rest = mul(*(each for each in product.args if each is not part))
            return (ones(part.shape) if rest.is_scalar else rest), matmul(*part.args[:cut]), transpose(
                matmul(*part.args[cut:])
            )  # fmt: skip
    return None


def unit_cut(product: Node) -> int:
    """Where a product of matrices is a column times a row: that many factors in; 0 when it is not."""
    return next((i for i in range(1, len(product.args)) if product.args[i].shape[0] == 1), 0)


def transpose(x: Node) -> Node:
    """The transpose, moved to the leaves."""
    shape = (x.shape[1], x.shape[0])
    if x.is_scalar or x.kind in ("identity", "diag"):
        return x
    if x.kind == "transpose":
        return x.args[0]
    if x.kind in ("ones", "zero"):
        return node(x.kind, (), shape)
    if x.kind == "matmul":
        return matmul(*(transpose(part) for part in reversed(x.args)))
    if x.kind in ("add", "mul", "kron"):
        return {"add": add, "mul": mul, "kron": kron}[x.kind](*(transpose(part) for part in x.args))
    return node("transpose", (x,), shape)


def diag(x: Node) -> Node:
    """The diagonal matrix of a column; of a square matrix its diagonal, a column."""
    if x.is_scalar:
        return x
    if x.shape[1] == 1:
        if x.kind in ("ones", "zero"):
            return identity(x.shape[0]) if x.kind == "ones" else zero((x.shape[0], x.shape[0]))
        outside, inner = _split_scalars(x)
        return mul(*outside, node("diag", (inner,), (x.shape[0], x.shape[0])))
    column = (x.shape[0], 1)
    if x.kind in ("identity", "ones", "zero"):
        return zero(column) if x.kind == "zero" else ones(column)
    if x.kind == "diag":
        return x.args[0]
    if x.kind == "add":
        return add(*(diag(term) if not term.is_scalar else mul(term, ones(column)) for term in x.args))
    if x.kind == "mul":
        return mul(*(part if part.is_scalar else diag(part) for part in x.args))
    if x.kind == "matmul" and (cut := unit_cut(x)):
        return mul(matmul(*x.args[:cut]), transpose(matmul(*x.args[cut:])))
    return node("diagonal", (x.args[0] if x.kind == "transpose" else x,), column)


def _split_scalars(x: Node) -> tuple[list[Node], Node]:
    if x.kind != "mul":
        return [], x
    scalars = [part for part in x.args if part.is_scalar]
    rest = [part for part in x.args if not part.is_scalar]
    return scalars, mul(*rest)


def times(a: Dim, b: Dim) -> Dim:
    """The product of two sizes: n·m."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    if 1 in (a, b):
        return b if a == 1 else a
    parts = sorted(f"{a}·{b}".split("·"))
    if len(parts) > 3:
        raise UsageError("kron of more than three sizes is too large to check; take it apart.")
    return "·".join(parts)


def kron(a: Node, b: Node) -> Node:
    """The Kronecker product."""
    shape = (times(a.shape[0], b.shape[0]), times(a.shape[1], b.shape[1]))
    if a.is_scalar or b.is_scalar:
        return mul(a, b)
    if a.kind == "zero" or b.kind == "zero":
        return zero(shape)
    if a.kind == b.kind == "identity":
        return identity(shape[0])
    (front_a, a), (front_b, b) = _split_scalars(a), _split_scalars(b)
    return mul(*front_a, *front_b, node("kron", (a, b), shape))


# --- functions ----------------------------------------------------------------------------------------------------

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
    if x.is_scalar:
        if name == "softmax":
            return ONE
        if name in ("norm", "logdet"):
            return apply("abs", x) if name == "norm" else apply("log", apply("abs", x))
        return power(x, -1) if name == "inv" else x
    if name in ("sum", "trace", "inv") and x.kind == "mul":
        scalars, rest = _split_scalars(x)
        if scalars:
            return mul(*(power(s, -1) for s in scalars) if name == "inv" else scalars, apply(name, rest))
    if x.kind == "transpose" and name in ("sum", "trace", "det", "logdet", "norm", "max", "min"):
        return apply(name, x.args[0])
    if name in ("sum", "trace") and x.kind == "zero":
        return ZERO
    if name == "sum":
        if x.kind in ("ones", "identity"):
            return mul(*(size_of(dim) for dim in x.shape[: 1 if x.kind == "identity" else 2]))
        if x.kind in ("diag", "kron"):
            return mul(*(apply("sum", part) for part in x.args))
        if x.kind == "matmul" and (cut := unit_cut(x)):
            return mul(apply("sum", matmul(*x.args[:cut])), apply("sum", matmul(*x.args[cut:])))
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


def is_sample(part: Node, letter: str) -> bool:
    """Whether a node is a variable with a value per sample: x_i."""
    return part.kind == "variable" and str(part.value).endswith(f"_{letter}")
