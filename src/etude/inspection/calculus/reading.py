"""Reads an expression as typed in Python, `x.T @ A @ y`, and finds the shape of every name in it."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction

from etude.errors import UsageError, unknown
from etude.inspection.calculus import sizes
from etude.inspection.calculus.entries import add, mul, power, scale, subtract, transpose
from etude.inspection.calculus.functions import ELEMENTWISE, REDUCING, apply, larger, sum_over
from etude.inspection.calculus.matrices import diag, kron, matmul
from etude.inspection.calculus.nodes import (
    ONE,
    SCALAR,
    Dim,
    Node,
    is_sample,
    node,
    nodes_in,
    number,
    ones,
    size_of,
    variable,
)
from etude.inspection.calculus.text import constant, not_understood, read_text, turn, where

SCALARS = {"alpha", "beta", "gamma", "lam", "eps", "eta", "pi", "sigma"}
"""Names that stand for scalars when no shape is given."""
_ONE_ARGUMENT = {
    "exp", "log", "ln", "sqrt", "square", "abs", "sin", "cos", "tan", "sinh", "cosh", "sign", "sigmoid", "sigma",
    "relu", "tanh", "softplus", "trace", "tr", "det", "logdet", "inv", "softmax", "log_softmax", "logsumexp", "diag",
}  # fmt: skip
_TWO_ARGUMENTS = {"cross_entropy", "bce", "mse", "outer", "kron", "dot", "maximum", "minimum"}
_ONE_OR_TWO = {"sum", "mean", "norm", "max", "min"}
FUNCTIONS = _ONE_ARGUMENT | _TWO_ARGUMENTS | _ONE_OR_TWO
_ALIASES = {"ln": "log", "sigma": "sigmoid", "tr": "trace", "maximum": "max", "minimum": "min"}
MOST_NAMES = 60


@dataclass(frozen=True)
class Parsed:
    """An expression with all shapes known."""

    tree: ast.expr
    node: Node
    variables: dict[str, Node]
    distributions: set[str]
    """Names that stand for probabilities that sum to 1: labels of a cross-entropy."""
    functions: dict[str, bool]
    """Functions that nobody defined: whether each works entry by entry, or has a single value."""
    samples: tuple[str, str] | None
    """The letter of a sum over samples and the name of their number."""
    spread: dict[int, str]
    """Where a vector is added to a matrix, by the tree's `id`: "rows" when every row gets it, "columns"."""
    notes: tuple[str, ...]


def parse(text: str, shapes: Mapping[str, str], wrt: str = "", *, exact: bool = True) -> Parsed:
    """The expression as a `Node`; raises a `UsageError` for what cannot be read or does not fit together.

    `exact` is false where labels of a cross-entropy are numbers that need not sum to 1.
    """
    tree = read_text(text)
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    samples = _sample_letters(tree)
    values = {n.id for n in _values(tree)} - samples
    names = sorted(name for name in values if name not in FUNCTIONS or name in _ALIASES or name in shapes)
    if len(names) > MOST_NAMES:
        raise UsageError(f"the expression has {len(names)} names, allowed are {MOST_NAMES}; take it apart.")
    if len(samples) > 1:
        raise UsageError(f"the sums over samples have the indices {', '.join(sorted(samples))}; use one.")
    functions = {name: _is_entrywise(name, shapes) for name in sorted(called - FUNCTIONS)}
    if both := sorted(called & {*names, *samples}):
        raise UsageError(f"{both[0]} is a function and a value here; give them two names.")
    if stray := set(shapes) - set(names) - set(functions):
        raise unknown("name in --shapes:", sorted(stray)[0], names)
    dims = sizes.Sizes({name: sizes.declared(name, shapes.get(name), name in SCALARS) for name in names})
    uses = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name)]
    single = {name for name in names if uses.count(name) == 1 and name != wrt and exact}
    reader = _Reader(dims, functions, single)
    reader.read(tree)  # the first time to learn which dimensions are equal
    dims.settle(bool(samples))
    reader.notes.clear()
    found = reader.read(tree)
    if samples:
        reader.check_samples(found, next(iter(samples)))
    variables = {name: variable(name, dims.resolved(shape)) for name, shape in dims.shapes.items()}
    notes = [f"{', '.join(sorted(reader.distributions))} sums to 1"] if reader.distributions else []
    notes += [f"{name} is any function, {'of each entry' if each else 'with one value'}"
              for name, each in functions.items()]  # fmt: skip
    index = (next(iter(samples)), str(dims.samples)) if samples else None
    return Parsed(tree, found, variables, reader.distributions, functions, index, reader.spread,
                  (*notes, *dict.fromkeys(reader.notes)))  # fmt: skip


def _values(tree: ast.expr) -> Iterator[ast.Name]:
    callees = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    return (n for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in callees)


def _sample_letters(tree: ast.expr) -> set[str]:
    """The second argument of mean(…, i) and sum(…, i)."""
    return {
        call.args[1].id
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("sum", "mean")
        if len(call.args) == 2 and isinstance(call.args[1], ast.Name)
    }


def _is_entrywise(name: str, shapes: Mapping[str, str]) -> bool:
    """An unknown function: of each entry, as φ, when it begins with a small letter; L has a single value."""
    near = get_close_matches(name.lower(), FUNCTIONS, n=1, cutoff=0.75 if len(name) > 3 else 0.9)
    if near:
        raise unknown("function", name, FUNCTIONS)
    given = shapes.get(name)
    if given not in (None, "1"):
        raise UsageError(f"--shapes has {name}={given}, but {name} is a function; {name}=1 says that it has one value.")
    return given is None and not name[0].isupper()


class _Reader:
    def __init__(self, dims: "sizes.Sizes", functions: dict[str, bool], single: set[str]) -> None:
        self.dims = dims
        self.functions = functions
        self.single = single
        self.distributions: set[str] = set()
        self.spread: dict[int, str] = {}
        self.notes: list[str] = []

    def read(self, tree: ast.expr) -> Node:
        if isinstance(tree, ast.Constant):
            return constant(tree.value)
        if isinstance(tree, ast.Name):
            if tree.id not in self.dims.shapes:
                raise UsageError(f"{tree.id} is a function; write {tree.id}(…).")
            return variable(tree.id, self.dims.resolved(self.dims.shapes[tree.id]))
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub | ast.UAdd):
            return scale(-1 if isinstance(tree.op, ast.USub) else 1, self.read(tree.operand))
        if isinstance(tree, ast.Attribute) and tree.attr == "T":
            return transpose(self.read(tree.value))
        if isinstance(tree, ast.BinOp):
            return self._binary(tree)
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.keywords:
            return self._call(tree.func.id, tree)
        raise not_understood(tree)

    def _binary(self, tree: ast.BinOp) -> Node:
        a, b = self.read(tree.left), self.read(tree.right)
        if isinstance(tree.op, ast.MatMult):
            if any(isinstance(side, ast.Constant) for side in (tree.left, tree.right)):
                raise UsageError(f"{where(tree)}: `@` multiplies matrices; multiply by a number with `*`.")
            self._check_columns(a, b, tree)
            self._equal(a.shape[1], b.shape[0], tree, a, b)
            return matmul(a, b)
        if not isinstance(tree.op, ast.Pow | ast.Add | ast.Sub | ast.Mult | ast.Div):
            hint = " `**` is the power." if isinstance(tree.op, ast.BitXor) else ""
            raise not_understood(tree, hint)
        a, b = self._together(a, b, tree)
        if isinstance(tree.op, ast.Pow):
            return power(a, b)
        if isinstance(tree.op, ast.Add | ast.Sub):
            return (add if isinstance(tree.op, ast.Add) else subtract)(a, b)
        if isinstance(tree.op, ast.Div) and b.kind in ("number", "zero") and b != ONE and not (b.value or 0):
            raise UsageError(f"{where(tree)} divides by zero.")
        return mul(a, b if isinstance(tree.op, ast.Mult) else power(b, -1))

    # --- shapes ---------------------------------------------------------------------------------------------------

    def _equal(self, p: Dim, q: Dim, tree: ast.expr, a: Node, b: Node) -> None:
        if not self.dims.equal(p, q):
            raise UsageError(
                f"{where(tree)} does not fit: {self.dims.text(a.shape)} against {self.dims.text(b.shape)}; "
                "`@` multiplies matrices, `*` entries, `.T` transposes."
            )

    def _check_columns(self, a: Node, b: Node, tree: ast.BinOp) -> None:
        """A product does not turn what nobody declared into a scalar or a row: x @ x is not x.T @ x."""
        left = a.shape[1] == 1 and self.dims.is_open(b.shape[0])
        right = b.shape[0] == 1 and not b.is_scalar and self.dims.is_open(a.shape[1])
        if not (left or right):
            return
        if a.is_scalar:
            raise UsageError(f"{where(tree)}: {where(tree.left)} is a scalar; multiply by it with `*`.")
        side = tree.left if left else tree.right
        p, q = (turn(side), tree.right) if left else (tree.left, turn(side))
        inner = " for the inner product" if 1 in a.shape and 1 in b.shape else ""
        raise UsageError(
            f"{where(tree)} does not fit: {where(side)} is a {'column' if left else 'row'} vector; write "
            f"{where(ast.BinOp(p, ast.MatMult(), q))}{inner}, or give the shapes with --shapes."
        )

    def _same(self, tree: ast.expr, a: Node, b: Node) -> None:
        for p, q in zip(a.shape, b.shape, strict=True):
            self._equal(p, q, tree, a, b)

    def _square(self, x: Node, tree: ast.expr) -> None:
        if not self.dims.equal(*x.shape):
            raise UsageError(f"{where(tree)} needs a square matrix, not {self.dims.text(x.shape)}.")

    def _together(self, a: Node, b: Node, tree: ast.expr) -> tuple[Node, Node]:
        """Two operands of an elementwise operation: a vector goes to every row, or column, of a matrix."""
        if a.is_scalar or b.is_scalar:
            return a, b
        thin_a, thin_b = (1 in x.shape for x in (a, b))
        if thin_a == thin_b:
            if thin_a and (a.shape[1] == 1) != (b.shape[1] == 1):
                raise UsageError(
                    f"{where(tree)} does not fit: {self.dims.text(a.shape)} against {self.dims.text(b.shape)}; "
                    "write outer(x, y) for their matrix, x.T @ y for their product, `.T` to turn one."
                )
            self._same(tree, a, b)
            return a, b
        matrix, vector = (b, a) if thin_a else (a, b)
        wide = self._spread(matrix, vector, tree)
        return (wide, b) if thin_a else (a, wide)

    def _spread(self, matrix: Node, vector: Node, tree: ast.expr) -> Node:
        rows, columns = matrix.shape
        if vector.shape[0] == 1:  # a row: to every row
            self._equal(vector.shape[1], columns, tree, matrix, vector)
            self.spread[id(tree)] = "as it is"
            return matmul(ones((rows, 1)), vector)
        length = vector.shape[0]
        same = self.dims.is_same
        by_rows = same(length, columns) or (not same(length, rows) and self.dims.could_be(length, columns))
        if by_rows:
            self._equal(length, columns, tree, matrix, vector)
            self.spread[id(tree)] = "rows"
            self.notes.append(f"in {where(tree)} every row gets the vector")
            return matmul(ones((rows, 1)), transpose(vector))
        self._equal(length, rows, tree, matrix, vector)
        self.spread[id(tree)] = "columns"
        self.notes.append(f"in {where(tree)} every column gets the vector")
        return matmul(vector, ones((1, columns)))

    # --- functions ------------------------------------------------------------------------------------------------

    def _call(self, name: str, tree: ast.Call) -> Node:
        if name in ("sum", "mean") and len(tree.args) == 2:
            return self._partial_sum(name, tree)
        args = [self.read(arg) for arg in tree.args]
        if name in self.functions:
            return self._unknown(name, args, tree)
        least, most = (1, 2) if name in _ONE_OR_TWO else (2, 2) if name in _TWO_ARGUMENTS else (1, 1)
        if not least <= len(args) <= most:
            wanted = "1 or 2 arguments" if least < most else "1 argument" if most == 1 else "2 arguments"
            raise UsageError(f"{where(tree)} needs {wanted}, not {len(args)}.")
        name = _ALIASES.get(name, name)
        return self._of_two(name, args[0], args[1], tree) if len(args) == 2 else self._of_one(name, args[0], tree)

    def _of_one(self, name: str, x: Node, tree: ast.Call) -> Node:
        column = x.shape[1] == 1
        if name in ("trace", "det", "logdet", "inv"):
            self._square(x, tree)
        if name == "sqrt":
            return power(x, Fraction(1, 2))
        if name == "square":
            return power(x, 2)
        if name == "mean":
            return mul(apply("sum", x), *(power(size_of(dim), -1) for dim in x.shape))
        if name == "diag":
            if not column and x.shape[0] != 1:
                self._square(x, tree)
            return diag(transpose(x) if x.shape[0] == 1 else x)
        if name in ("softmax", "logsumexp", "log_softmax"):
            return self._normalised(name, x, tree)
        assert name in ELEMENTWISE | REDUCING | {"inv"}, name
        return apply(name, x)

    def _normalised(self, name: str, x: Node, tree: ast.Call) -> Node:
        """softmax, its logarithm or logsumexp: of a vector, or of each row of a matrix."""
        if x.shape[1] == 1:
            if name == "log_softmax":
                return subtract(x, apply("logsumexp", x))
            return apply(name, x)
        self.notes.append(f"{where(tree)} is taken row by row")
        total = node("logsumexp_rows", (x,), (x.shape[0], 1))
        if name == "logsumexp":
            return total
        if name == "log_softmax":
            return subtract(x, total if total.is_scalar else matmul(total, ones((1, x.shape[1]))))
        return node("softmax_rows", (x,), x.shape)

    def _of_two(self, name: str, a: Node, b: Node, tree: ast.Call) -> Node:
        if name == "kron":
            return kron(a, b)
        if name in ("outer", "dot"):
            if a.shape[1] != 1 or b.shape[1] != 1:
                raise UsageError(
                    f"{where(tree)} needs two vectors, not {self.dims.text(a.shape)} and {self.dims.text(b.shape)}."
                )
            if name == "dot":
                self._same(tree, a, b)
            return matmul(a, transpose(b)) if name == "outer" else matmul(transpose(a), b)
        if name == "norm":
            if b not in (ONE, number(2)):
                raise UsageError(f"{where(tree)} is not understood; norm(x), norm(x, 1) and norm(x, 2) are.")
            return apply("sum", apply("abs", a)) if b == ONE else apply("norm", a)
        if name in ("max", "min"):
            a, b = self._together(a, b, tree)
            return larger(a, b, least=name == "min")
        self._same(tree, a, b)
        return self._loss(name, a, b)

    def _loss(self, name: str, a: Node, y: Node) -> Node:
        if name == "mse":
            return mul(apply("sum", power(subtract(a, y), 2)), *(power(size_of(dim), -1) for dim in a.shape))
        if name == "bce":  # −y log σ(z) − (1 − y) log(1 − σ(z)), from the logits z
            return apply("sum", subtract(apply("softplus", a), mul(y, a)))
        known = y.kind == "variable" and str(y.value) in self.single  # nothing else is asked of these labels
        if known:
            self.distributions.add(str(y.value))
        if a.shape[1] == 1:
            total = ONE if known else apply("sum", y)
            return subtract(mul(total, apply("logsumexp", a)), matmul(transpose(y), a))
        self.notes.append("cross_entropy is the mean over rows")
        logs = node("logsumexp_rows", (a,), (a.shape[0], 1))
        totals = apply("sum", logs if known else mul(logs, matmul(y, ones((y.shape[1], 1)))))
        return mul(subtract(totals, apply("sum", mul(y, a))), power(size_of(a.shape[0]), -1))

    def _partial_sum(self, name: str, tree: ast.Call) -> Node:
        """sum(X, 0) over rows, sum(X, 1) over columns, sum(f, i) over samples; mean the same."""
        body, over = self.read(tree.args[0]), tree.args[1]
        if isinstance(over, ast.Name):
            index = (over.id, str(self.dims.samples))
            if not any(is_sample(part, over.id) for part in nodes_in(body)):
                raise UsageError(f"{where(tree)} has no name with an index; write x_{over.id} for a sample's value.")
            total = sum_over(index, body)
            return total if name == "sum" else mul(total, power(size_of(index[1]), -1))
        axis = over.value if isinstance(over, ast.Constant) else None
        if axis not in (0, 1) or isinstance(axis, bool):
            raise UsageError(f"{where(tree)} is not understood; sum over rows with 0, columns with 1, samples with i.")
        rows, columns = body.shape
        total = matmul(ones((1, rows)), body) if axis == 0 else matmul(body, ones((columns, 1)))
        return total if name == "sum" else mul(total, power(size_of(body.shape[axis]), -1))

    def _unknown(self, name: str, args: list[Node], tree: ast.Call) -> Node:
        if not args:
            raise UsageError(f"{where(tree)} needs an argument.")
        if all(x.is_scalar for x in args) or self.functions[name]:
            first = next((x for x in args if not x.is_scalar), args[0])
            for x in args:
                if not x.is_scalar:
                    self._same(tree, first, x)
            return node("function", tuple(args), first.shape, (name, (0,) * len(args)))
        return node("field", tuple(args), SCALAR, name)

    def check_samples(self, root: Node, letter: str) -> None:
        """Names with an index stand within a sum over it."""
        outside, waiting = set[Node](), [root]
        while waiting:
            each = waiting.pop()
            if is_sample(each, letter):
                raise UsageError(
                    f"{each.value} is outside of the sum over {letter}; write mean(…, {letter}) around it."
                )
            if each.kind != "sum_over" and each not in outside:
                outside.add(each)
                waiting += each.args
