"""Expressions as in a textbook: Aᵀ x, ⊙ entry by entry, 1[z > 0] for the derivative of ReLU, ∇L(w), φ′(z)."""

import re
from fractions import Fraction

from etude.inspection.calculus.entries import power, scale, split_number, transpose
from etude.inspection.calculus.nodes import Dim, Node, Shape

GREEK = {"phi": "φ", "psi": "ψ", "rho": "ρ", "ell": "ℓ", "tau": "τ", "theta": "θ", "chi": "χ", "kappa": "κ"}
"""How functions with these names are written."""
_SYMBOLS = {"sigmoid": "σ", "trace": "tr", "logdet": "log det", "maximum": "max", "minimum": "min",
            "softmax_rows": "softmax", "logsumexp_rows": "logsumexp", "diagonal": "diag"}  # fmt: skip
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_INDEX = {"i": "ᵢ", "j": "ⱼ", "k": "ₖ", "n": "ₙ", "s": "ₛ", "t": "ₜ", "m": "ₘ"}
_SUM, _PRODUCT, _TIGHT = 1, 2, 3
"""What stands around: a sum, a product, or a power, transpose or function."""


def text(node: Node) -> str:
    """The expression on one line."""
    return _print(node, 0)


def shape_text(shape: Shape) -> str:
    """n×m, or "scalar"."""
    return "scalar" if shape == (1, 1) else f"{shape[0]}×{shape[1]}"


def with_article(shape: Shape) -> str:
    """an n×m, a 3×4, as they are said."""
    found = shape_text(shape)
    first = re.match(r"[A-Za-z](?![A-Za-z])|[0-9]+|\w+", found)
    said = first[0] if first else ""
    letter = len(said) == 1 and said in "aefhilmnorsxAEFHILMNORSX8"
    return f"{'an' if letter or said in ('11', '18') or re.match('8|[aeio][a-z]', said) else 'a'} {found}"


def _print(node: Node, outer: int) -> str:
    kind = node.kind
    if kind == "variable":
        return _name(str(node.value))
    if kind == "number":
        found = number_text(node.value)
        return f"({found})" if outer >= _PRODUCT and ("/" in found or node.value < 0) else found
    if kind in ("ones", "zero", "identity"):
        return _constant(node)
    if kind == "size":
        return _dim(node.value)
    if kind == "transpose" and node.args[0].kind == "inv":
        return f"{_print(node.args[0].args[0], _TIGHT)}⁻ᵀ"
    if kind == "transpose":
        return f"{_print(node.args[0], _TIGHT)}ᵀ"
    if kind == "power":
        return _print_power(node, outer)
    if kind == "raised":
        exponent = _print(node.args[1], 0)
        simple = node.args[1].kind in ("variable", "size")
        return f"{_print(node.args[0], _TIGHT)}^{exponent if simple else f'({exponent})'}"
    if kind == "add" and all(split_number(term)[1].kind == "transpose" for term in node.args):
        return f"({_print(transpose(node), 0)})ᵀ"
    if kind == "add":
        return _brackets(_print_sum(node), outer >= _PRODUCT)
    if kind in ("mul", "matmul"):
        return _brackets(print_product(node), outer >= _TIGHT or (outer == _PRODUCT and kind == "mul"))
    if kind == "kron":
        return _brackets(" ⊗ ".join(_print(part, _TIGHT) for part in node.args), outer >= _PRODUCT)
    if kind == "sum_over":
        letter, body = node.value[0], node.args[0]
        inner = _brackets(_print(body, 0), body.kind == "add")
        return _brackets(f"Σ{_INDEX.get(letter, f'_{letter}')} {inner}", outer >= _PRODUCT)
    return _print_function(node)


def _name(name: str) -> str:
    stem, _, last = name.rpartition("_")
    return f"{stem}{_INDEX[last]}" if stem and last in _INDEX else name


def _dim(dim: Dim) -> str:
    return str(dim).replace("·", " ")


def _constant(node: Node) -> str:
    letter = {"ones": "1", "zero": "0", "identity": "I"}[node.kind]
    if node.kind == "identity" or node.shape[1] == 1:
        return f"{letter}_{node.shape[0]}"
    return f"{letter}_{node.shape[1]}ᵀ" if node.shape[0] == 1 else f"{letter}_{shape_text(node.shape)}"


def _print_power(node: Node, outer: int) -> str:
    base, exponent = node.args[0], node.value
    if exponent == Fraction(1, 2):
        return f"√({_print(base, 0)})"
    if exponent < 0:
        return _brackets(f"1 / {_print(power(base, -exponent), _TIGHT)}", outer > 0)
    raised = str(exponent)
    written = f"^({raised})" if "/" in raised else raised.translate(_RAISED)
    inner = _print(base, _TIGHT)
    return f"{f'({inner})' if base.kind == 'power' or inner.endswith('ᵀ') else inner}{written}"


def _print_function(node: Node) -> str:
    kind = node.kind
    args = ", ".join(_print(part, 0) for part in node.args)
    if kind == "step":
        return f"1[{args} > 0]"
    if kind == "greater":
        return f"1[{_print(node.args[0], 0)} > {_print(node.args[1], 0)}]"
    if kind in ("argmax", "argmin"):
        return f"1[{args} = {kind[3:]}({args})]"
    if kind == "norm":
        return f"‖{args}‖"
    if kind == "abs" and node.is_scalar:
        return f"|{args}|"
    if kind == "inv":
        return f"{_print(node.args[0], _TIGHT)}⁻¹"
    if kind == "function":
        name, orders = node.value
        assert isinstance(name, str), node
        return f"{_derivative(GREEK.get(name, name), orders)}({args})"
    if kind == "field":
        return f"{GREEK.get(node.value, node.value)}({args})"
    if kind in ("gradient", "hessian"):
        name, *places = node.value
        which = "".join(str(p + 1) for p in places).translate(_LOWERED) if len(node.args) > 1 else ""
        raised = "²" if kind == "hessian" and not which else ""
        return f"∇{raised}{which}{GREEK.get(name, name)}({args})"
    if kind == "kron_left":  # of each block of G, its product with B
        return f"[tr({_print(node.args[1], _TIGHT)}ᵀ ({_print(node.args[0], 0)})ᵢⱼ)]ᵢⱼ"
    if kind == "kron_right":
        return f"Σᵢⱼ ({_print(node.args[1], 0)})ᵢⱼ ({_print(node.args[0], 0)})₍ᵢⱼ₎"
    return f"{_SYMBOLS.get(kind, kind)}({args})"


def _derivative(name: str, orders: tuple[int, ...]) -> str:
    total = sum(orders)
    if len(orders) == 1:
        return name + (("", "′", "″", "‴")[total] if total < 4 else f"⁽{str(total).translate(_RAISED)}⁾")
    which = "".join(str(place + 1) * order for place, order in enumerate(orders)).translate(_LOWERED)
    return f"∂{which}{name}" if total else name


def _print_sum(node: Node) -> str:
    parts: list[str] = []
    for term in sorted(node.args, key=lambda t: split_number(t)[0] < 0):  # what is subtracted comes last
        coefficient, rest = split_number(term)
        written = _print(scale(abs(coefficient), rest), _SUM)
        sign = "− " if coefficient < 0 else "+ " if parts else ""
        parts.append((sign if parts or coefficient > 0 else "−") + written)
    return " ".join(parts)


def print_product(node: Node) -> str:
    """Scalars first, then matrices, what has a negative power below a line."""
    if node.kind == "matmul":
        return " ".join(_print(part, _PRODUCT) for part in node.args)
    coefficient = next((part.value for part in node.args if part.kind == "number"), Fraction(1))
    above = [part for part in node.args if not _is_inverse(part) and part.kind != "number"]
    below = [power(part.args[0], -part.value) for part in node.args if _is_inverse(part)]
    under = [_print(part, _TIGHT if part.kind in ("matmul", "mul") else _PRODUCT) for part in below]
    thick = [written for part, written in zip(below, under, strict=True) if not part.is_scalar]
    under = [written for part, written in zip(below, under, strict=True) if part.is_scalar]
    under += [" ⊙ ".join(thick)] if thick else []
    if _is_short(coefficient):
        front = number_text(Fraction(coefficient.numerator))
        under = [str(coefficient.denominator), *under] if coefficient.denominator != 1 else under
    else:
        front = number_text(coefficient)
    sums = [part for part in above if part.kind == "sum_over"]
    matrices = [part for part in above if not part.is_scalar and part not in sums]
    scalars = [part for part in above if part.is_scalar and part not in sums]
    scalars.sort(key=lambda part: part.kind == "matmul")
    last = None if matrices else scalars[-1] if scalars else None
    words = [_print(part, _PRODUCT if part is last or part.kind != "matmul" else _TIGHT) for part in scalars]
    if matrices:
        inner = [part for part in matrices if len(matrices) == 1 and part.kind == "matmul"]
        words.append(_print(inner[0], _SUM) if inner else " ⊙ ".join(_print(part, _PRODUCT) for part in matrices))
    body = " ".join(words)
    if sums:  # (2 / N) Σᵢ …
        factor = " ".join(filter(None, ["" if front in ("1", "−1") and (body or under) else front, body]))
        if under:
            factor = f"({factor or '1'} / {_join_below(under)})"
        sign = "−" if front == "−1" and (body or under) else ""
        factor = {"1": "", "−1": "−"}.get(factor, f"{factor} ")
        return f"{sign}{factor}{' '.join(_print(part, 0) for part in sums)}"
    signs = {"1": "", "−1": "−"}  # in front of something, a factor of one is not written
    found = signs[front] + body if body and front in signs else f"{front} {body}".strip()
    return f"{found} / {_join_below(under)}" if under else found


def _join_below(under: list[str]) -> str:
    return _brackets(" ".join(under), len(under) > 1 or " ⊙ " in under[0])


def _is_short(value: Fraction) -> bool:
    return value.denominator <= 12


def number_text(value: Fraction) -> str:
    """A fraction of small numbers, or a decimal as a person types it."""
    found = str(value)
    if not _is_short(value) or len(found) > 12:
        decimal = f"{float(value):.12g}"
        found = decimal if Fraction(decimal) == value or len(found) > 12 else found
    return found.replace("-", "−")


def _is_inverse(node: Node) -> bool:
    return node.kind == "power" and node.value < 0


def _brackets(written: str, needed: bool) -> str:
    return f"({written})" if needed else written
