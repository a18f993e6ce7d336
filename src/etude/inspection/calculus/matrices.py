"""Products of matrices: scalars move to the front, what is 1×1 within them too, and identities vanish."""

from itertools import pairwise

from etude.errors import UsageError
from etude.inspection.calculus.entries import add, mul, transpose
from etude.inspection.calculus.nodes import (
    ONE,
    SCALAR,
    ZERO,
    Dim,
    Node,
    identity,
    node,
    ones,
    size_of,
    zero,
)


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
        return sum_of(chain[1] if len(chain) == 2 else matmul(*chain[1:]))
    if chain[-1].kind == "ones":
        return sum_of(chain[0] if len(chain) == 2 else matmul(*chain[:-1]))
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


def sum_of(x: Node) -> Node:
    """The sum of all entries."""
    scalars, x = split_scalars(x)
    if scalars:
        return mul(*scalars, sum_of(x))
    if x.is_scalar or x.kind == "zero":
        return x if x.is_scalar else ZERO
    if x.kind == "transpose":
        return sum_of(x.args[0])
    if x.kind in ("ones", "identity"):
        return mul(*(size_of(dim) for dim in x.shape[: 1 if x.kind == "identity" else 2]))
    if x.kind in ("diag", "kron"):
        return mul(*(sum_of(part) for part in x.args))
    if x.kind == "matmul" and (cut := unit_cut(x)):
        return mul(sum_of(matmul(*x.args[:cut])), sum_of(matmul(*x.args[cut:])))
    return node("sum", (x,))


def diag(x: Node) -> Node:
    """The diagonal matrix of a column; of a square matrix its diagonal, a column."""
    if x.is_scalar:
        return x
    if x.shape[1] == 1:
        if x.kind in ("ones", "zero"):
            return identity(x.shape[0]) if x.kind == "ones" else zero((x.shape[0], x.shape[0]))
        outside, inner = split_scalars(x)
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


def split_scalars(x: Node) -> tuple[list[Node], Node]:
    """The scalar factors, and the rest."""
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
    (front_a, a), (front_b, b) = split_scalars(a), split_scalars(b)
    return mul(*front_a, *front_b, node("kron", (a, b), shape))
