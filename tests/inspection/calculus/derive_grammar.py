"""Random expressions for `etude derive`, most of them sound, some broken: `python derive_grammar.py COUNT [SEED]`.

Every one must end with an answer that was checked or with an error that a person can read.
"""

import ast
import random
import sys
import time
from collections import Counter

from etude.errors import EtudeError
from etude.inspection.calculus.derive import derive

ENTRYWISE = ["exp", "log", "sqrt", "square", "abs", "sin", "cos", "tanh", "sigmoid", "relu", "softplus", "sinh", "phi"]
REDUCING = ["sum", "mean", "norm", "max", "min", "L"]
OF_SQUARES = ["trace", "det", "logdet"]
NAMES = {("n", "1"): "xyz", ("m", "1"): "uv", ("n", "m"): "ABC", ("m", "n"): "DE", ("n", "n"): "FGH", ("1", "1"): "st"}
NUMBERS = ["0", "1", "2", "3", "0.5", "1e-3", "10", "1e60", "1e400", "9**9", "(-1)"]
JUNK = ["x.T*y", "x@1", "1/0", "log(0)", "A+B.T", "x[0]", "foo_bar(x)", "sigmoidd(x)", "trace(A)", "()", "x y", "x@y",
        "cross_entropy(x, x)", "9**9**9", "mean(x, i)", "inv(A@D)", "x**y**z", "kron(A, D)", "s**t"]  # fmt: skip


class Grammar:
    """Sound expressions of a wanted shape."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw

    def expression(self, rows: str, columns: str, depth: int) -> str:
        """The text of an expression with that many rows and columns."""
        draw = self.draw
        if draw.random() < 0.004:
            return draw.choice(JUNK)
        if depth <= 0 or draw.random() < 0.12:
            return self.leaf(rows, columns)
        options = [self.sum, self.product, self.scaled, self.entrywise, self.chain, self.power]
        if (rows, columns) == ("1", "1"):
            options += [self.reduced, self.reduced, self.reduced, self.squared, self.loss]
        if columns == "1" and rows != "1":
            options += [self.vector]
        if rows == columns != "1":
            options += [self.square]
        return draw.choice(options)(rows, columns, depth - 1)

    def leaf(self, rows: str, columns: str) -> str:
        """A name, or a number where a scalar is wanted."""
        if rows == columns == "1" and self.draw.random() < 0.3:
            return self.draw.choice(NUMBERS) if self.draw.random() < 0.3 else self.draw.choice(NUMBERS[1:7])
        if (rows, columns) in NAMES:
            return self.draw.choice(NAMES[rows, columns])
        if (columns, rows) in NAMES:
            return f"{self.draw.choice(NAMES[columns, rows])}.T"
        return f"outer({self.draw.choice('uv')}, {self.draw.choice('uv')})"

    def sum(self, r: str, c: str, d: int) -> str:
        return f"({self.expression(r, c, d)} {self.draw.choice('+-')} {self.expression(r, c, d)})"

    def product(self, r: str, c: str, d: int) -> str:
        return f"({self.expression(r, c, d)} {self.draw.choice('**/')} {self.expression(r, c, d)})"

    def scaled(self, r: str, c: str, d: int) -> str:
        return f"{self.expression('1', '1', d)} {self.draw.choice('*+')} {self.expression(r, c, d)}"

    def entrywise(self, r: str, c: str, d: int) -> str:
        return f"{self.draw.choice(ENTRYWISE)}({self.expression(r, c, d)})"

    def power(self, r: str, c: str, d: int) -> str:
        return f"({self.expression(r, c, d)})**{self.draw.choice(['2', '3', '-1', '0.5', '(-2)', 's'])}"

    def chain(self, r: str, c: str, d: int) -> str:
        inner = self.draw.choice("nm1")
        left, right = self.expression(r, inner, d), self.expression(inner, c, d)
        return f"({left}) @ ({right})" if "1" != inner != r or c != "1" else f"({left}) * ({right})"

    def reduced(self, r: str, c: str, d: int) -> str:
        shape = self.draw.choice([("n", "1"), ("m", "1"), ("n", "m"), ("n", "n")])
        return f"{self.draw.choice(REDUCING)}({self.expression(*shape, d)})"

    def squared(self, r: str, c: str, d: int) -> str:
        return f"{self.draw.choice(OF_SQUARES)}({self.expression('n', 'n', d)})"

    def loss(self, r: str, c: str, d: int) -> str:
        name = self.draw.choice(["mse", "bce", "cross_entropy", "dot", "max", "min"])
        shape = ("1", "1") if name in ("max", "min") else ("n", "1")
        return f"{name}({self.expression(*shape, d)}, {self.expression(*shape, d)})"

    def vector(self, r: str, c: str, d: int) -> str:
        name = self.draw.choice(["softmax", "log_softmax", "diag"])
        return f"{name}({self.expression(r, 'n' if name == 'diag' == 'diag' and r == 'n' else c, d)})"

    def square(self, r: str, c: str, d: int) -> str:
        return f"{self.draw.choice(['inv', 'diag'])}({self.expression(r, r if r != 'n' else 'n', d)})"


SHAPES = {name: ",".join(shape) for shape, names in NAMES.items() for name in names}


def sound(seed: int) -> str:
    """A random expression of a scalar, a vector or a matrix."""
    draw = random.Random(seed)
    shape = draw.choice([("1", "1")] * 6 + [("n", "1")] * 2 + [("n", "n")])
    return Grammar(draw).expression(*shape, draw.randint(1, 5))


def shapes(text: str) -> dict[str, str]:
    """Those of the names in an expression."""
    return {name: SHAPES[name] for name in sorted(SHAPES) if name in _names(text)}


def attack(seed: int) -> tuple[str, str, str]:
    """One random expression: its outcome (answer, no answer, refused), its text, and the answer or message."""
    text = sound(seed)
    draw = random.Random(-seed)
    given = shapes(text)
    try:
        found = derive(text, draw.choice(list(given) or ["x"]), shapes=given, hessian=draw.random() < 0.1)
    except EtudeError as error:
        message = str(error)
        assert "\n" not in message, text
        assert len(message) < 700, text
        return "no answer" if message.startswith("no answer") else "refused", text, message
    assert found.difference < 1e-6, text
    return "answer", text, found.answer


def _names(text: str) -> set[str]:
    try:
        return {n.id for n in ast.walk(ast.parse(text, mode="eval")) if isinstance(n, ast.Name)}
    except SyntaxError:
        return set()


def main() -> None:
    """Attack with as many expressions as the first word says."""
    count, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    slowest = (0.0, "")
    for seed in range(first, first + count):
        start = time.process_time()
        try:
            outcome, text, message = attack(seed)
        except Exception as error:  # what must not happen: the run goes on and counts it
            outcome, text, message = "CRASH", repr(error)[:300], ""
            print("CRASH at", seed, text)
        slowest = max(slowest, (time.process_time() - start, text))
        outcomes[outcome] += 1
        if outcomes.total() % 1000 == 0:
            print(f"{outcomes.total()} done: {dict(outcomes)}", file=sys.stderr, flush=True)
        if outcome == "no answer":
            reasons[message[:90]] += 1
            if "--show" in sys.argv and "differs" in message:
                print(seed, text)
    print(dict(outcomes), dict(reasons), f"slowest {slowest[0]:.1f} s: {slowest[1][:200]}")


if __name__ == "__main__":
    main()
