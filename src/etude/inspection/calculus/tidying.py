"""An answer as a person would write it: (A + Aᵀ) x for A x + Aᵀ x, 1 − y for −(y − 1), σ (1 − σ) for σ − σ²."""

from fractions import Fraction
from math import gcd, lcm

from etude.inspection.calculus.entries import add, mul, power, scale, split_number, split_power, transpose
from etude.inspection.calculus.functions import apply, greater, larger, sum_over
from etude.inspection.calculus.matrices import diag, kron, matmul
from etude.inspection.calculus.nodes import ONE, Node, node, number


def tidy(root: Node) -> Node:
    """The same value, with common factors taken out of sums."""
    return _tidy(root, {})


def _tidy(root: Node, known: dict[Node, Node]) -> Node:
    if root not in known:
        found = rebuilt(root, [_tidy(part, known) for part in root.args])
        if found.kind == "add":
            found = _factored(found)
        known[root] = _signed(found)
    return known[root]


def rebuilt(root: Node, args: list[Node]) -> Node:
    """The node with other operands, simplified as if it were built from them."""
    if list(root.args) == args:
        return root
    match root.kind:
        case "add" | "mul" | "matmul" | "kron" | "transpose" | "greater":
            build = {"add": add, "mul": mul, "matmul": matmul, "kron": kron, "transpose": transpose, "greater": greater}
            return build[root.kind](*args)
        case "power":
            return power(args[0], root.value)
        case "raised":
            return power(*args)
        case "diag" | "diagonal":
            return diag(args[0])
        case "maximum" | "minimum":
            return larger(*args, least=root.kind == "minimum")
        case "sum_over":
            return sum_over(root.value, args[0])
        case "function" | "field" | "gradient" | "hessian" | "kron_left" | "kron_right":
            return node(root.kind, tuple(args), root.shape, root.value)
        case "softmax_rows" | "logsumexp_rows" | "argmax" | "argmin":
            return node(root.kind, tuple(args), root.shape)
        case _:
            return apply(root.kind, args[0])


# --- common factors -----------------------------------------------------------------------------------------------


def _factored(total: Node) -> Node:
    """A sum with its common scalar factors in front, and products that share their first or last factor joined."""
    terms = _joined([_parts(term) for term in total.args])
    common = _common([scalars for _, scalars, _ in terms])
    if len(terms) > 1 and common:
        numbers = [c for c, _, _ in terms]
        front = Fraction(
            gcd(*(abs(c.numerator) for c in numbers)), lcm(*(c.denominator for c in numbers))
        )  # what all numbers share
        rest = [
            mul(number(c / front), *_divided(scalars, common), *([] if core is None else [core]))
            for c, scalars, core in terms
        ]
        return mul(number(front), *(power(base, e) for base, e in common.items()), add(*rest))
    terms.sort(key=lambda term: term[2] is not None and term[2].kind == "transpose")  # A + Aᵀ
    whole = add(*(mul(number(c), *scalars, *([] if core is None else [core])) for c, scalars, core in terms))
    return whole if whole.shape == total.shape else total


Term = tuple[Fraction, tuple[Node, ...], Node | None]
"""A number, scalar factors, and what is a matrix."""


def _parts(term: Node) -> Term:
    coefficient, rest = split_number(term)
    factors = rest.args if rest.kind == "mul" else (rest,)
    scalars = tuple(part for part in factors if part.is_scalar and part != ONE)
    matrices = [part for part in factors if not part.is_scalar]
    return coefficient, scalars, mul(*matrices) if matrices else None


def _common(scalars: list[tuple[Node, ...]]) -> dict[Node, Fraction]:
    """Bases that every term has, with the exponent nearest to 0."""
    found: dict[Node, Fraction] | None = None
    for factors in scalars:
        powers = {}
        for part in factors:
            base, exponent = split_power(part)
            if exponent.kind == "number":
                powers[base] = exponent.value
        if found is None:
            found = powers
        else:
            found = {
                b: min(e, powers[b], key=abs) for b, e in found.items() if b in powers and (e > 0) == (powers[b] > 0)
            }
    return found or {}


def _divided(scalars: tuple[Node, ...], common: dict[Node, Fraction]) -> list[Node]:
    return [*scalars, *(power(base, -e) for base, e in common.items())]


def _joined(terms: list[Term]) -> list[Term]:
    """A x + Aᵀ x becomes (A + Aᵀ) x."""
    done: list[Term] = []
    for c, scalars, core in terms:
        for i, (before, others, first) in enumerate(done):
            if core is None or first is None or set(others) != set(scalars) or abs(before) != abs(c):
                continue
            joined = _join(first, core, c / before)
            if joined is not None:
                done[i] = (before, others, joined)
                break
        else:
            done.append((c, scalars, core))
    return done


def _join(a: Node, b: Node, sign: Fraction) -> Node | None:
    first, second = _links(a), _links(b)
    if len(first) < 2 or len(second) < 2:
        return None
    most = min(len(first), len(second)) - 1
    last = _shared(first[::-1], second[::-1], most)
    if last:
        return matmul(_sum(matmul(*first[:-last]), matmul(*second[:-last]), sign), *first[-last:])
    front = _shared(first, second, most)
    if front:
        return matmul(*first[:front], _sum(matmul(*first[front:]), matmul(*second[front:]), sign))
    return None


def _shared(a: tuple[Node, ...], b: tuple[Node, ...], most: int) -> int:
    return next((i for i in range(most) if a[i] != b[i]), most)


def _sum(a: Node, b: Node, sign: Fraction) -> Node:
    if a.kind == "transpose" and b.kind != "transpose" and sign == 1:
        a, b = b, a
    return add(a, scale(sign, b))


def _links(product: Node) -> tuple[Node, ...]:
    return product.args if product.kind == "matmul" else (product,)


# --- signs --------------------------------------------------------------------------------------------------------


def _signed(term: Node) -> Node:
    """−(y − 1) as 1 − y, −2 (y − p) x as 2 (p − y) x."""
    coefficient, rest = split_number(term)
    if coefficient >= 0 or term.kind != "mul":
        return term
    factors = list(rest.args) if rest.kind == "mul" else [rest]
    for i, factor in enumerate(factors):
        links = list(_links(factor))
        for j, link in enumerate(links):
            if _gains(link):
                links[j] = scale(-1, link)
                factors[i] = links[0] if len(links) == 1 else matmul(*links)
                return mul(number(-coefficient), *factors)
    return term


def _gains(total: Node) -> bool:
    """Whether a sum reads as well, or better, with all its signs turned."""
    if total.kind != "add":
        return False
    signs = [split_number(term)[0] > 0 for term in total.args]
    constants = [c > 0 for c, rest in map(split_number, total.args) if rest == ONE or rest.kind in ("ones", "identity")]
    if constants:
        return not any(constants) and any(signs)
    return any(signs) and not all(signs)
