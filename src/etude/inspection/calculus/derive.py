"""Derivatives in closed form: matrix calculus by reverse accumulation, each answer checked before it is shown.

`derive("x.T @ A @ y", "y")` gives Aᵀ x. The layout is the one in which ∂y/∂x has ∂yⱼ/∂xᵢ at row i, column j (the
denominator layout): the gradient of a scalar has the shape of what it is taken for, and ∂(A y)/∂y is Aᵀ. The answer is
evaluated in float64 at random values and compared with PyTorch's automatic differentiation of the text as typed.
"""

import html
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, final

import torch

from etude.errors import UsageError, unknown
from etude.inspection.calculus.checking import TOLERANCE, Evidence, Point, compare, draw, sizes_to_try
from etude.inspection.calculus.differentiation import derivative
from etude.inspection.calculus.entries import add, mul, split_power
from etude.inspection.calculus.evaluation import SingularError, evaluate
from etude.inspection.calculus.functions import apply
from etude.inspection.calculus.given import check_types, shape_as_text, smaller_shape, tensor
from etude.inspection.calculus.naming import named
from etude.inspection.calculus.nodes import ONE, Dim, Node, check_length, is_sample, length, number, start_counting
from etude.inspection.calculus.printing import shape_text, text, with_article
from etude.inspection.calculus.reading import Parsed, parse
from etude.inspection.calculus.text import shortened
from etude.inspection.calculus.tidying import rebuilt, tidy
from etude.inspection.calculus.typed import numeric

LAYOUT = "∂y/∂x has ∂yⱼ/∂xᵢ at row i, column j (denominator layout)"
LARGEST_CHECKED = 32
"""Declared sizes above it have a smaller one in the check: what is true for 7 rows is true for a million."""

Given = Mapping[str, Any]


@final
@dataclass(frozen=True)
class Derivation:
    """A derivative, and the evidence for it. Prints as the command does."""

    expression: str
    wrt: str
    answer: str
    shape: str
    of_shape: str
    shapes: dict[str, str]
    """The shape of every name."""
    difference: float
    """Largest one from autograd, relative to the largest entry."""
    sizes: dict[str, int]
    """Sizes that the dimensions had in the check."""
    points: int
    """Random points at which it was checked."""
    at: dict[str, Any]
    """The values of expression and derivative where `at` was given."""
    order: int = 1
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "expression": self.expression,
            "wrt": self.wrt,
            "order": self.order,
            "derivative": self.answer,
            "shape": self.shape,
            "layout": LAYOUT,
            "shapes": self.shapes,
            "checked": {
                "against": "autograd, float64",
                "relative_difference": self.difference,
                "points": self.points,
                "sizes": self.sizes,
            },
            **({"at": self.at} if self.at else {}),
            **({"notes": list(self.notes)} if self.notes else {}),
        }

    def __str__(self) -> str:
        raised = "²" if self.order == 2 else ""
        named = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
        sizes = ", ".join(f"{name} = {size}" for name, size in self.sizes.items())
        return "\n".join(
            [
                f"∂{raised}/∂{self.wrt}{raised} {self.expression}",
                f"  = {self.answer}",
                *_lines_at(self.at),
                "",
                f"shape: {self.shape}, where {named}{''.join(f'; {note}' for note in self.notes)}",
                f"layout: {LAYOUT}",
                f"checked: relative difference {self.difference:.0e} from autograd in float64 at {self.points} random "
                f"points{f', {sizes}' if sizes else ''}.",
            ]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


@final
@dataclass(frozen=True)
class Expansion:
    """An expression with its logarithms taken apart, and the evidence for it. Prints as the command does."""

    expression: str
    answer: str
    shape: str
    difference: float
    points: int
    at: dict[str, Any]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "expression": self.expression,
            "expanded": self.answer,
            "shape": self.shape,
            "checked": {
                "against": "the text, float64",
                "relative_difference": self.difference,
                "points": self.points,
            },
            **({"at": self.at} if self.at else {}),
            **({"notes": list(self.notes)} if self.notes else {}),
        }

    def __str__(self) -> str:
        return "\n".join(
            [
                self.expression,
                f"  = {self.answer}",
                *_lines_at(self.at),
                "",
                *self.notes,
                f"checked: relative difference {self.difference:.0e} from the text at {self.points} random points in "
                "float64.",
            ]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def derive(
    expression: str,
    wrt: str | None = None,
    *,
    shapes: Given | None = None,
    at: Given | None = None,
    hessian: bool = False,
) -> Derivation | Expansion:
    """The derivative of an expression for one of its names, verified.

    `shapes` are those that differ from the convention (lower case: column vector, upper case: matrix): "3,4", "n,m",
    "1" for a scalar, or (3, 4). With `at`, a value for every name, the numbers at that point are given too: a number,
    a list (a vector), rows of a matrix. `hessian` takes the second derivative of a scalar. Without `wrt` the
    expression itself, with logarithms of products and powers taken apart. Raises a `UsageError` for an expression that
    cannot be read, whose derivative is not a matrix, or whose answer cannot be confirmed.
    """
    check_types(expression, wrt, shapes, at)
    start_counting()
    try:
        if wrt is None:
            if hessian:
                raise UsageError("--hessian needs --wrt, the name to differentiate for.")
            return _expand(expression, shapes or {}, at or {})
        return _derive(expression, wrt, shapes or {}, at or {}, hessian)
    except RecursionError:
        raise UsageError("the expression is too deeply nested; name its parts.") from None


def _derive(expression: str, wrt: str, shapes: Given, at: Given, hessian: bool) -> Derivation:
    parsed, values, small = _parsed(expression, shapes, at, wrt)
    if wrt not in parsed.variables:
        names = sorted(parsed.variables)
        near = get_close_matches(wrt, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "take one of its names." if names else "there is none to take."
        raise UsageError(f"--wrt is {shortened(wrt)}, but the expression has {', '.join(names) or 'no name'}; {hint}")
    answer = _answer(parsed, wrt, hessian)
    written = text(answer)
    if small is parsed:
        evidence = _confirmed(parsed, wrt, answer, values, hessian)
    else:
        evidence = _confirmed(small, wrt, _answer(small, wrt, hessian), {}, hessian)
    found = {"value": parsed.node, "derivative": answer} if values else {}
    return Derivation(
        expression.strip(), wrt, written, shape_text(answer.shape), shape_text(parsed.node.shape),
        {name: shape_text(node.shape) for name, node in parsed.variables.items()}, evidence.difference,
        {str(name): size for name, size in evidence.sizes.items()}, evidence.points,
        _numbers_at(parsed, values, found), 1 + hessian, parsed.notes,
    )  # fmt: skip


def _answer(parsed: Parsed, wrt: str, hessian: bool) -> Node:
    variable = parsed.variables[wrt]
    if parsed.samples and is_sample(variable, parsed.samples[0]) and not parsed.node.is_scalar:
        raise UsageError(f"{wrt} has a value per sample: take the derivative of a scalar for it.")
    if hessian and not parsed.node.is_scalar:
        raise UsageError(f"--hessian is that of a scalar, but the expression is {shape_text(parsed.node.shape)}.")
    if hessian and (1 not in variable.shape or (parsed.samples and wrt.endswith(f"_{parsed.samples[0]}"))):
        kind = with_article(variable.shape) if 1 not in variable.shape else "a value per sample"
        raise UsageError(f"--hessian for {wrt}, {kind}, has more than two indices; take a vector or a scalar.")
    apart, whole = (named(parsed.node, apart=each) for each in (True, False))
    answer = _differentiated(apart, variable, hessian)
    if whole != apart:
        with suppress(UsageError):  # which is shorter shows only when both are there
            answer = min(answer, _differentiated(whole, variable, hessian), key=length)
    return answer


def _differentiated(root: Node, variable: Node, twice: bool) -> Node:
    first = _readable(derivative(root, variable))
    return _readable(derivative(first, variable)) if twice else first


def _readable(answer: Node) -> Node:
    """The answer tidied; an endless one is refused before any work goes into it."""
    check_length(answer)
    return tidy(answer)


def _confirmed(parsed: Parsed, wrt: str, answer: Node, values: Point, hessian: bool) -> Evidence:
    given = _given_sizes(parsed, values)
    return compare(parsed, wrt, answer, given, twice=hessian)


def _parsed(expression: str, shapes: Given, at: Given, wrt: str) -> tuple[Parsed, Point, Parsed]:
    """The expression, the values at a point, and the expression with sizes at which it can be checked."""
    values = {name: tensor(name, value) for name, value in at.items()}
    given = {name: shape_as_text(name, shape) for name, shape in shapes.items()}
    for name, value in values.items():
        given.setdefault(name, ",".join(str(size) for size in value.shape))
    try:
        parsed = parse(expression, given, wrt)
    except UsageError:
        if at and (stray := _stray(expression, shapes, at)):
            raise stray from None
        raise
    if values:
        if missing := set(parsed.variables) - set(values):
            raise UsageError(f"--at lacks {', '.join(sorted(missing))}; give a value for every name, as x=0.8,0.2.")
        if parsed.functions:
            raise UsageError(f"--at needs functions with values; {', '.join(parsed.functions)} could be any function.")
        if parsed.samples:
            raise UsageError("--at takes no values per sample; write the samples as rows of a matrix.")
        for name, value in values.items():
            _check_shape(name, value, parsed)
        uneven = [name for name in parsed.distributions if bool(((_sums(values[name]) - 1).abs() > 1e-6).any())]
        if uneven:
            parsed = parse(expression, given, wrt, exact=False)
    most = LARGEST_CHECKED if "kron" not in expression else 6
    small = {name: smaller_shape(shape, most) for name, shape in given.items()}
    return parsed, values, parsed if small == given else parse(expression, small, wrt)


def _stray(expression: str, shapes: Given, at: Given) -> UsageError | None:
    names = parse(expression, {n: shape_as_text(n, s) for n, s in shapes.items()}).variables
    stray = sorted(set(at) - set(names))
    return unknown("name in --at:", stray[0], names) if stray else None


def _sums(value: torch.Tensor) -> torch.Tensor:
    return value.sum(0 if value.shape[1] == 1 else 1)


def _check_shape(name: str, value: torch.Tensor, parsed: Parsed) -> None:
    expected = parsed.variables[name].shape
    if any(isinstance(e, int) and e != f for e, f in zip(expected, value.shape, strict=True)):
        given = shape_text((value.shape[0], value.shape[1]))
        raise UsageError(f"--at has {name} with shape {given}, but it is {shape_text(expected)}.")


def _given_sizes(parsed: Parsed, values: Point) -> dict[Dim, int]:
    given: dict[Dim, int] = {}
    for name, value in values.items():
        for dim, size in zip(parsed.variables[name].shape, value.shape, strict=True):
            if isinstance(dim, str) and given.setdefault(dim, size) != size:
                raise UsageError(f"--at has {dim} = {given[dim]} and {size}; give values of one size.")
    return given


def _numbers_at(parsed: Parsed, values: Point, nodes: dict[str, Node]) -> dict[str, Any]:
    sizes = _given_sizes(parsed, values)
    try:
        found = {name: evaluate(node, values, sizes) for name, node in nodes.items()}
        if "value" in found:
            found["value"] = numeric(parsed, values)
        found = {name: (each + 0.0).tolist() for name, each in found.items()}  # without −0
    except SingularError:
        raise UsageError("at these values a matrix has no inverse, or nearly none; give others.") from None
    for name, kind in (("value", "expression has no value"), ("derivative", "derivative does not exist")):
        if name in found and not torch.tensor(found[name]).isfinite().all():
            raise UsageError(f"at these values the {kind}, or float64 cannot hold it; give others.")
    return found


def _lines_at(at: dict[str, Any]) -> list[str]:
    lines = []
    for name, value in at.items():
        flat = value[0][0] if len(value) == 1 and len(value[0]) == 1 else value
        column = [row[0] for row in flat] if isinstance(flat, list) and all(len(row) == 1 for row in flat) else flat
        lines.append(f"  {name} = {_rounded(column)}")
    return lines


def _rounded(value: Any) -> str:
    return f"[{', '.join(_rounded(v) for v in value)}]" if isinstance(value, list) else f"{value:.6g}"


# --- logarithms taken apart ---------------------------------------------------------------------------------------


def _expand(expression: str, shapes: Given, at: Given) -> Expansion:
    """The expression with logarithms of products, powers and exponentials taken apart, for positive factors."""
    parsed, values, small = _parsed(expression, shapes, at, "")
    answer = _expanded(parsed.node)
    check_length(answer)
    written = text(answer)
    checked = answer if small is parsed else _expanded(small.node)
    difference, points = _difference(small, checked, _given_sizes(small, values if small is parsed else {}))
    found = _numbers_at(parsed, values, {"value": parsed.node} if values else {})
    return Expansion(expression.strip(), written, shape_text(answer.shape), difference, points, found, parsed.notes)


def _difference(parsed: Parsed, answer: Node, given: dict[Dim, int]) -> tuple[float, int]:
    worst, found = 0.0, 0
    for sizes in sizes_to_try(parsed, given):
        for trial in range(3, 43):  # from 3: as probabilities, so that every logarithm of p and 1 − p exists
            point = draw(parsed, sizes, trial, torch.Generator().manual_seed(trial))
            try:
                expected, ours = numeric(parsed, point), evaluate(answer, point, sizes)
            except SingularError:
                continue
            if not (expected.isfinite().all() and ours.isfinite().all()):
                continue
            difference = float((ours - expected).abs().max()) / max(float(expected.abs().max()), 1e-12)
            if difference > TOLERANCE:
                raise UsageError(
                    "no answer: what was found differs from the text at random values (a kink, or numbers that float64 "
                    "cannot hold apart); simplify the expression."
                )
            worst, found = max(worst, difference), found + 1
            if found == 3:
                return worst, found
    raise UsageError(
        "no answer: the expression is not finite at any of the random values that were tried; check its logarithms, "
        "roots, divisions and inverses."
    )


def _expanded(node: Node) -> Node:
    args = [_expanded(part) for part in node.args]
    return _log(args[0]) if node.kind == "log" else rebuilt(node, args)


def _log(x: Node) -> Node:
    if x.kind == "mul":
        return add(*(_log(part) for part in x.args))
    if x.kind in ("power", "raised"):
        base, exponent = split_power(x)
        return mul(exponent, _log(base))
    if x.kind == "exp":
        return x.args[0]
    return number(0) if x == ONE else apply("log", x)
