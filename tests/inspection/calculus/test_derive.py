# ruff: noqa: E501 (messages are compared as they are printed)
import contextlib
import time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import etude
from etude.cli import main
from etude.errors import UsageError
from etude.inspection.calculus.checking import draw, sizes_to_try
from etude.inspection.calculus.derive import derive
from etude.inspection.calculus.differentiation import RULES, derivative
from etude.inspection.calculus.evaluation import SingularError, evaluate
from etude.inspection.calculus.reading import parse
from etude.inspection.calculus.tidying import tidy
from inspection.calculus import derive_grammar

MLP = "cross_entropy(W2 @ relu(W1 @ x + b1) + b2, y) + lam * (sum(square(W1)) + sum(square(W2)))"
GAN = {"W_g": "5,2", "W_d": "1,5"}
FAKE = "log(1 - sigmoid(W_d @ relu(W_g @ x)))"

# Each answer is also checked against autograd inside `derive`, which refuses to show a wrong one.
ANSWERS = [
    ("x.T @ x", "x", {}, "2 x", "n×1"),
    ("trace(A.T @ A)", "A", {}, "2 A", "n×m"),
    ("x.T @ A @ y", "y", {}, "Aᵀ x", "m×1"),
    ("x.T @ A @ y", "x", {}, "A y", "n×1"),
    ("x.T @ A @ y", "A", {}, "x yᵀ", "n×m"),
    ("A @ y", "y", {}, "Aᵀ", "m×n"),
    ("x.T @ A @ x", "x", {}, "(A + Aᵀ) x", "n×1"),
    ("trace(A @ B)", "A", {}, "Bᵀ", "n×m"),
    ("trace(A @ X @ B @ X.T)", "X", {}, "Aᵀ X Bᵀ + A X B", "n×m"),
    ("sum(square(A @ x - b))", "x", {}, "2 Aᵀ (A x − b)", "m×1"),
    ("norm(A @ x - b)", "x", {}, "Aᵀ (A x − b) / ‖A x − b‖", "m×1"),
    ("logdet(A)", "A", {}, "A⁻ᵀ", "n×n"),
    ("det(A)", "A", {}, "det(A) A⁻ᵀ", "n×n"),
    ("trace(inv(A) @ B)", "A", {}, "−A⁻ᵀ Bᵀ A⁻ᵀ", "n×n"),
    ("sigmoid(W @ x + b)", "x", {}, "Wᵀ diag(σ(W x + b) ⊙ (1_n − σ(W x + b)))", "m×n"),
    ("relu(x)", "x", {}, "diag(1[x > 0])", "n×n"),
    ("softmax(z)", "z", {}, "diag(softmax(z)) − softmax(z) softmax(z)ᵀ", "n×n"),
    ("x / norm(x)", "x", {}, "(I_n − x xᵀ / ‖x‖²) / ‖x‖", "n×n"),
    ("mean(x)", "x", {}, "1_n / n", "n×1"),
    ("mse(p, y)", "p", {}, "2 (p − y) / n", "n×1"),
    ("bce(z, y)", "z", {}, "σ(z) − y", "n×1"),
    ("cross_entropy(z, y)", "z", {}, "softmax(z) − y", "n×1"),
    ("square(sigmoid(z) - y)", "z", {"z": "1", "y": "1"}, "2 (σ(z) − y) σ(z) (1 − σ(z))", "scalar"),
    ("lam * x.T @ x", "lam", {}, "xᵀ x", "scalar"),
    ("(A @ x).T", "x", {}, "Aᵀ", "m×n"),
    ("sum(y)", ["x", "+", "y"][2], {}, "1_n", "n×1"),
    ("tanh(w * x)", "w", {"w": "1", "x": "1"}, "(1 − tanh(w x)²) x", "scalar"),
    ("x ** y", "x", {"x": "1", "y": "1"}, "y x^(y − 1)", "scalar"),
    # Formulas with a name, written out.
    ("sum(log(1 + exp(x)))", "x", {}, "σ(x)", "n×1"),
    ("log(sum(exp(x)))", "x", {}, "softmax(x)", "n×1"),
    ("log(sum(exp(x.T)))", "x", {}, "softmax(x)", "n×1"),
    ("log(sum(exp(W @ x)))", "x", {}, "Wᵀ softmax(W x)", "m×1"),
    ("sum(log(sum(exp(X), 1)))", "X", {}, "softmax(X)", "n×m"),
    ("sum(exp(x) / (1 + exp(x)))", "x", {}, "σ(x) ⊙ (1_n − σ(x))", "n×1"),
    ("1 / (1 + exp(-w.T @ x))", "w", {}, "σ(wᵀ x) (1 − σ(wᵀ x)) x", "n×1"),
    ("exp(2 * x) / (exp(x) + 1)**2", "x", {"x": "1"}, "2 σ(x)² (1 − σ(x))", "scalar"),
    ("3 * exp(x) * sigmoid(-x)", "x", {"x": "1"}, "3 σ(x) (1 − σ(x))", "scalar"),
    ("log(1 - 1 / (1 + exp(-z)))", "z", {"z": "1"}, "−σ(z)", "scalar"),
    (
        "y * log(1 / (1 + exp(-z))) + (1 - y) * log(1 - 1 / (1 + exp(-z)))",
        "z",
        {"z": "1", "y": "1"},
        "y − σ(z)",
        "scalar",
    ),
    ("x * log(sigmoid(x))", "x", {"x": "1"}, "log(σ(x)) + x (1 − σ(x))", "scalar"),
    ("sum(log(softmax(x)))", "x", {}, "1_n − n softmax(x)", "n×1"),
    ("sum(log(softmax(X)))", "X", {}, "1_n×m − m softmax(X)", "n×m"),
    ("sum(y * log(exp(x) / sum(exp(x))))", "x", {}, "y − sum(y) softmax(x)", "n×1"),
    (
        "mean(log(1 + exp(-y_i * (w.T @ x_i))), i)",
        "w",
        {"y_i": "1"},
        "−(1 / N) Σᵢ σ(−yᵢ wᵀ xᵢ) yᵢ xᵢ",
        "n×1",
    ),
    # A function's other name is a name where it is not called.
    (
        "exp(-norm(x - mu)**2 / (2 * sigma**2))",
        "mu",
        {"sigma": "1"},
        "exp(−‖x − mu‖² / (2 sigma²)) (x − mu) / sigma²",
        "n×1",
    ),
    ("sigma * x.T @ x", "x", {}, "2 sigma x", "n×1"),
    ("x.T @ inv", "x", {"inv": "n"}, "inv", "n×1"),
    ("W @ x", "W", {"x": "1", "W": "1"}, "x", "scalar"),
    # As a person would write them.
    ("-x**2", "x", {"x": "1"}, "−2 x", "scalar"),
    ("square(y - w.T @ x)", "w", {"y": "1"}, "2 (wᵀ x − y) x", "n×1"),
    ("mean(square(X @ w - y))", "w", {}, "2 Xᵀ (X w − y) / n", "m×1"),
    ("sum(p * log(p / q))", "q", {}, "−p / q", "n×1"),
    ("log(det(inv(X)))", "X", {}, "−X⁻ᵀ", "n×n"),
    ("det(X.T @ A @ X)", "X", {}, "det(Xᵀ A X) (Aᵀ X (Xᵀ A X)⁻ᵀ + A X (Xᵀ A X)⁻¹)", "n×m"),
    ("trace((A @ X - B).T @ (A @ X - B)) + lam * trace(X.T @ X)", "X", {}, "2 lam X + 2 Aᵀ (A X − B)", "m×k"),
    ("w.T @ A @ w / (w.T @ w)", "w", {}, "((A + Aᵀ) w − 2 (wᵀ A w) w / (wᵀ w)) / (wᵀ w)", "n×1"),
    ("sum(-y * log(p) - (1 - y) * log(1 - p))", "p", {}, "(1 − y) / (1 − p) − y / p", "n×1"),
    ("x.T @ inv(A) @ y", "A", {}, "−A⁻ᵀ x yᵀ A⁻ᵀ", "n×n"),
    ("sqrt(x**2)", "x", {"x": "1"}, "x / √(x²)", "scalar"),
    ("cross_entropy(x, x)", "x", {}, "sum(x) softmax(x) + logsumexp(x) 1_n − 2 x", "n×1"),
    ("L(t) * t", "t", {"t": "1"}, "L(t) + t L′(t)", "scalar"),
    # Declared sizes stay; a bias goes to every row, or to every column where only these fit.
    ("mean(X @ W + b)", "W", {}, "Xᵀ 1_k 1_mᵀ / (k m)", "n×m"),
    ("mean(X @ W + b)", "W", {"X": "n,d", "W": "d,k", "b": "k"}, "Xᵀ 1_n 1_kᵀ / (n k)", "d×k"),
    ("mean(X @ W + b)", "b", {"X": "7,d", "W": "d,3", "b": "3"}, "1_3 / 3", "3×1"),
    ("mean(W @ X + b)", "b", {"X": "d,n", "W": "k,d", "b": "k"}, "1_k / k", "k×1"),
    ("sum(square(x))", "x", {"x": "1000000000"}, "2 x", "1000000000×1"),
    # Functions that nobody defined.
    ("phi(z)", "z", {}, "diag(φ′(z))", "n×n"),
    ("sum(phi(W @ x))", "W", {}, "φ′(W x) xᵀ", "n×m"),
    ("L(w) + lam * w.T @ w", "w", {}, "2 lam w + ∇L(w)", "n×1"),
    ("L(W @ phi(V @ x), y)", "V", {}, "(Wᵀ ∇₁L(W φ(V x), y) ⊙ φ′(V x)) xᵀ", "n×m"),
    ("f(x)", "x", {"f": "1"}, "∇f(x)", "n×1"),
    # Means over samples: rows of a matrix, or names with an index.
    ("cross_entropy(X @ W, Y)", "W", {}, "Xᵀ (softmax(X W) − Y) / k", "n×m"),
    ("mean(square(w.T @ x_i - y_i), i)", "w", {"y_i": "1"}, "(2 / N) Σᵢ (wᵀ xᵢ − yᵢ) xᵢ", "n×1"),
    ("mean(L(x_i), i)", "x_i", {}, "∇L(xᵢ) / N", "n×1"),
    ("sum(mean(X, 0))", "X", {}, "1_n×m / n", "n×m"),
    # diag, outer, kron, max.
    ("sum(diag(x) @ A)", "x", {}, "A 1_m", "n×1"),
    ("trace(diag(x) @ A)", "x", {}, "diag(A)", "n×1"),
    ("trace(A @ outer(x, y))", "x", {}, "Aᵀ y", "m×1"),
    ("trace(kron(A, B))", "A", {}, "tr(B) I_n", "n×n"),
    ("sum(square(kron(A, B)))", "A", {}, "2 sum(B²) A", "n×m"),
    ("x.T @ kron(A, B) @ y", "B", {}, "Σᵢⱼ (A)ᵢⱼ (x yᵀ)₍ᵢⱼ₎", "k×p"),
    ("kron(x, y)", "x", {}, "I_n ⊗ yᵀ", "n×m·n"),
    ("max(x)", "x", {}, "1[x = max(x)]", "n×1"),
    ("max(0, 1 - y * (w.T @ x))", "w", {"y": "1"}, "−1[1 − y wᵀ x > 0] y x", "n×1"),
    ("sum(max(x, y))", "x", {}, "1[x > y]", "n×1"),
    # The course's two-layer perceptron with cross-entropy and L2, all parameters.
    (MLP, "W1", {}, "2 lam W1 + (W2ᵀ (softmax(W2 relu(W1 x + b1) + b2) − y) ⊙ 1[W1 x + b1 > 0]) xᵀ", "n×m"),
    (MLP, "W2", {}, "2 lam W2 + (softmax(W2 relu(W1 x + b1) + b2) − y) relu(W1 x + b1)ᵀ", "k×n"),
    (MLP, "b1", {}, "W2ᵀ (softmax(W2 relu(W1 x + b1) + b2) − y) ⊙ 1[W1 x + b1 > 0]", "n×1"),
    (MLP, "b2", {}, "softmax(W2 relu(W1 x + b1) + b2) − y", "k×1"),
    # The course's GAN: y = ReLU(W_g x), b = σ(W_d y).
    (FAKE, "W_g", GAN, "−σ(W_d relu(W_g x)) (W_dᵀ ⊙ 1[W_g x > 0]) xᵀ", "5×2"),
    (FAKE, "W_d", GAN, "−σ(W_d relu(W_g x)) relu(W_g x)ᵀ", "1×5"),
    ("-log(sigmoid(W_d @ relu(W_g @ x)))", "W_g", GAN, "(σ(W_d relu(W_g x)) − 1) (W_dᵀ ⊙ 1[W_g x > 0]) xᵀ", "5×2"),
    ("-log(sigmoid(W_d @ relu(W_g @ x)))", "W_d", GAN, "(σ(W_d relu(W_g x)) − 1) relu(W_g x)ᵀ", "1×5"),
]


@pytest.mark.parametrize(("text", "wrt", "shapes", "answer", "shape"), ANSWERS)
def test_closed_forms(text: str, wrt: str, shapes: dict[str, str], answer: str, shape: str) -> None:
    found = derive(text, wrt, shapes=shapes)
    assert (found.answer, found.shape) == (answer, shape)
    assert found.difference < 1e-12


@pytest.mark.parametrize(
    "function", ["exp", "log", "sqrt", "square", "abs", "sin", "cos", "sigmoid", "relu", "tanh", "softplus"]
)
def test_elementwise_functions_alone_and_inside(function: str) -> None:
    for text in (f"sum({function}(x))", f"{function}(x)", f"sum({function}(A @ x) * b)", f"norm({function}(A))"):
        assert derive(text, "A" if text.startswith("norm") else "x").difference < 1e-12


HESSIANS = [
    ("x.T @ A @ x", "x", {}, "A + Aᵀ", "n×n"),
    ("sum(square(X @ w - y)) / 2", "w", {}, "Xᵀ X", "m×m"),
    ("norm(x)", "x", {}, "(I_n − x xᵀ / ‖x‖²) / ‖x‖", "n×n"),
    ("logsumexp(x)", "x", {}, "diag(softmax(x)) − softmax(x) softmax(x)ᵀ", "n×n"),
    ("sum(bce(X @ w, y))", "w", {}, "Xᵀ diag(σ(X w) ⊙ (1_n − σ(X w))) X", "m×m"),
    ("(x.T @ A @ x)**2", "x", {}, "2 (xᵀ A x) (A + Aᵀ) + 2 (A + Aᵀ) x xᵀ (A + Aᵀ)", "n×n"),
    ("L(W @ x)", "x", {}, "Wᵀ ∇²L(W x) W", "m×m"),
    ("sum(phi(W @ x))", "x", {}, "Wᵀ diag(φ″(W x)) W", "m×m"),
    ("x**3", "x", {"x": "1"}, "6 x", "scalar"),
    ("mean(bce(w.T @ x_i, y_i), i)", "w", {"y_i": "1"}, "(1 / N) Σᵢ σ(wᵀ xᵢ) (1 − σ(wᵀ xᵢ)) xᵢ xᵢᵀ", "n×n"),
]


@pytest.mark.parametrize(("text", "wrt", "shapes", "answer", "shape"), HESSIANS)
def test_second_derivatives(text: str, wrt: str, shapes: dict[str, str], answer: str, shape: str) -> None:
    found = derive(text, wrt, shapes=shapes, hessian=True)
    assert (found.answer, found.shape, found.points) == (answer, shape, 3)
    assert found.difference < 1e-12


def test_a_wrong_rule_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "tanh", lambda node, x, g: g)
    with pytest.raises(UsageError, match="differs from automatic differentiation"):
        derive("sum(tanh(x))", "x")


@settings(max_examples=150, deadline=None)
@given(st.integers(10**6, 10**7))
def test_random_expressions_end_with_a_checked_answer_or_one_line(seed: int) -> None:
    derive_grammar.attack(seed)


@pytest.mark.parametrize("seed", [24297, 204727, 205511])
def test_expressions_that_once_crashed(seed: int) -> None:
    assert derive_grammar.attack(seed)[0] in ("answer", "refused", "no answer")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_tidying_never_changes_a_value(seed: int) -> None:
    text = derive_grammar.sound(seed)
    try:
        parsed = parse(text, derive_grammar.shapes(text))
        raw = derivative(parsed.node, next(iter(parsed.variables.values())))
        tidied = tidy(raw)
    except (UsageError, StopIteration):
        return
    sizes = sizes_to_try(parsed, {})[0]
    for trial in range(4):
        point = draw(parsed, sizes, 3 * trial, torch.Generator().manual_seed(trial))
        try:
            before, after = evaluate(raw, point, sizes), evaluate(tidied, point, sizes)
        except SingularError:
            continue
        if before.isfinite().all() and after.isfinite().all():
            scale = before.abs().max().clamp_min(1e-3)
            # Where rounding itself is magnified, as by 1/x² near 0, nothing is said.
            noisy = {name: value * (1 + 1e-14) for name, value in point.items()}
            moved = float((evaluate(raw, noisy, sizes) - before).abs().max() / scale)
            assert float((after - before).abs().max() / scale) < 1e-9 + 1e3 * moved, text


def test_values_at_a_point() -> None:
    point = {"p": torch.tensor([[0.8], [0.2]]), "y": torch.tensor([[0.0], [1.0]])}
    squared = derive("sum(square(p - y))", "p", at=point)
    assert squared.at["value"] == [[pytest.approx(1.28)]]
    assert squared.at["derivative"] == [[pytest.approx(1.6)], [pytest.approx(-1.6)]]
    assert derive("mse(p, y)", "p", at=point).at["value"] == [[pytest.approx(0.64)]]
    entropy = derive("sum(-y * log(p) - (1 - y) * log(1 - p))", "p", at=point)
    assert entropy.at["value"] == [[pytest.approx(3.219, abs=1e-3)]]


def test_a_value_of_zero_has_no_sign(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", "-x", "--wrt", "x", "--shapes", "x=1", "--at", "x=0"]) == 0
    assert "  value = 0\n" in capsys.readouterr().out


def test_from_the_bernoulli_likelihood_to_cross_entropy() -> None:
    found = derive("-log(p ** y * (1 - p) ** (1 - y))", shapes={"p": "1", "y": "1"})
    assert found.answer == "−y log(p) − (1 − y) log(1 − p)"
    assert found.difference < 1e-12


def test_json_has_the_evidence() -> None:
    found = derive("A @ y", "y").to_dict()
    assert found["derivative"] == "Aᵀ"
    assert found["checked"]["sizes"] == {"n": 3, "m": 4}
    assert found["checked"]["points"] == 3
    assert found["layout"] == "∂y/∂x has ∂yⱼ/∂xᵢ at row i, column j (denominator layout)"


@pytest.mark.parametrize(
    ("text", "wrt", "shapes", "message"),
    [
        ("x +", "x", {}, "'x +' cannot be read: invalid syntax; write Python, for example x.T @ A @ y or sum(sigmoid(W @ x))."),
        ("x.T @ x", "y", {}, "--wrt is 'y', but the expression has x; take one of its names."),
        (
            "sigmoidd(x)", "x", {},
            "unknown function 'sigmoidd': did you mean 'sigmoid'? Choose from abs, bce, cos, cosh, cross_entropy, det, diag, dot, "
            "exp, inv, kron, ln, log, log_softmax, logdet, logsumexp, max, maximum, mean, min, minimum, mse, norm, outer, relu, "
            "sigma, sigmoid, sign, sin, sinh, softmax, softplus, sqrt, square, sum, tan, tanh, tr, trace.",
        ),
        ("A @ x", "x", {"A": "3,4", "x": "5"}, "A @ x does not fit: 3×4 against 5×1; `@` multiplies matrices, `*` entries, `.T` transposes."),
        ("A @ A", "A", {"A": "n,m"}, "A @ A does not fit: n×m against n×m; `@` multiplies matrices, `*` entries, `.T` transposes."),
        ("X @ W + b", "b", {"X": "n,d", "W": "d,k", "b": "q"}, "X @ W + b does not fit: n×k against q×1; `@` multiplies matrices, `*` entries, `.T` transposes."),
        (
            "x.T * y", "x", {},
            "x.T * y does not fit: 1×? against ?×1; write outer(x, y) for their matrix, x.T @ y for their product, `.T` to turn one.",
        ),
        ("trace(A)", "A", {"A": "n,m"}, "trace(A) needs a square matrix, not n×m."),
        ("outer(A, x)", "x", {}, "outer(A, x) needs two vectors, not ?×? and ?×1."),
        ("W1 @ x", "W_1", {}, "--wrt is 'W_1', but the expression has W1, x; did you mean 'W1'?"),
        ("1", "x", {}, "--wrt is 'x', but the expression has no name; there is none to take."),
        ("1/0", "x", {}, "1 / 0 divides by zero."),
        ("x / (y - y)", "x", {}, "x / (y - y) divides by zero."),
        ("0 ** -1 * x", "x", {}, "the expression divides by zero."),
        ("9**9**9", "x", {}, "the expression has a power with more than 600 digits; use smaller numbers."),
        ("1e400*x", "x", {}, "the expression has a number beyond 1e100; use smaller numbers."),
        ("9" * 400, "x", {}, "the expression has a number beyond 1e100; use smaller numbers."),
        ("1e-200*x", "x", {}, "the expression has a number beyond 1e100 or below 1e-100; use smaller numbers."),
        ("log(0)", "x", {}, "the expression has the logarithm of a number that is not positive."),
        ("(-1) ** 0.5 * x", "x", {}, "the expression has a root of a negative number."),
        ("x @ 1", "x", {}, "x @ 1: `@` multiplies matrices; multiply by a number with `*`."),
        ("x ^ 2", "x", {}, "'x ^ 2' is not understood; allowed: + - * / ** @ .T and functions. `**` is the power."),
        ("True * x", "x", {}, "'True' is not understood; allowed: numbers, names, + - * / ** @ .T, functions."),
        ("", "x", {}, "the expression is empty; write Python, for example x.T @ A @ y or sum(sigmoid(W @ x))."),
        ("(" * 10_000 + "x" + ")" * 10_000, "x", {}, "the expression has 20,001 characters, allowed are 1,000; name its parts."),
        ("-" * 900 + "x", "x", {}, "the expression is more than 60 levels deep; name its parts."),
        ("softmax(" * 40 + "x" + ")" * 40, "x", {}, "the expression takes too many steps to differentiate; take it apart."),
        ("sin(" * 55 + "x" + ")" * 55 + "+" + "cos(" * 55 + "x" + ")" * 55, "x", {}, "the answer has more than 2,000 symbols, too many to read; take the expression apart."),
        ("+".join(f"a{i}" for i in range(70)), "a1", {}, "the expression has 70 names, allowed are 60; take it apart."),
        ("kron(kron(kron(x, x), x), x)", "x", {}, "kron of more than three sizes is too large to check; take it apart."),
        ("log(-x**2 - 1)", "x", {}, "no answer: the expression or its derivative is not finite at any of the random values that were tried; check its logarithms, roots, divisions and inverses."),
        (
            "max(relu(x), x)", "x", {"x": "1"},
            "no answer: what was found for 'x' differs from automatic differentiation at random values (a kink, or numbers that "
            "float64 cannot hold apart); simplify the expression.",
        ),
        ("x", "x", {"x": "²"}, "--shapes has x=²; allowed: 1 (scalar), n or 3 (vector), n,m or 3,4 (matrix)."),
        ("x", "x", {"x": "9" * 5000}, f"--shapes has x={'9' * 40}…; allowed: 1 (scalar), n or 3 (vector), n,m or 3,4 (matrix)."),
        ("x", "x", {"y": "3"}, "unknown name in --shapes: 'y': choose from x."),
        ("phi(x)", "x", {"phi": "n"}, "--shapes has phi=n, but phi is a function; phi=1 says that it has one value."),
        ("L(L)", "L", {}, "L is a function and a value here; give them two names."),
        ("phi()", "x", {}, "phi() needs an argument."),
        ("max(x, y, z)", "x", {}, "max(x, y, z) needs 1 or 2 arguments, not 3."),
        ("norm(x, 3)", "x", {}, "norm(x, 3) is not understood; norm(x), norm(x, 1) and norm(x, 2) are."),
        ("sum(X, 2)", "X", {}, "sum(X, 2) is not understood; sum over rows with 0, columns with 1, samples with i."),
        ("mean(x, i)", "x", {}, "mean(x, i) has no name with an index; write x_i for a sample's value."),
        ("mean(x_i, i) + x_i", "x_i", {}, "x_i is outside of the sum over i; write mean(…, i) around it."),
        ("mean(sum(x_i, i), j)", "x_i", {}, "the sums over samples have the indices i, j; use one."),
        ("mean(phi(x_i), i)", "x_i", {}, "x_i has a value per sample: take the derivative of a scalar for it."),
        (
            "A @ X", "X", {},
            "the derivative of an n×k for an m×k has more than two indices; take the derivative of a scalar (sum, trace, norm, a "
            "loss), or of a vector for a vector.",
        ),
        ("x", "x", {"x": "0"}, "--shapes has x=0; allowed: 1 (scalar), n or 3 (vector), n,m or 3,4 (matrix)."),
        ("x[0]", "x", {}, "'x[0]' is not understood; allowed: + - * / ** @ .T and functions."),
        ("__import__('os').system('true')", "x", {}, "\"__import__('os').system('true')\" is not understood; allowed: + - * / ** @ .T and functions."),
        ("bce(x)", "x", {}, "bce(x) needs 2 arguments, not 1."),
        ("x + sum", "x", {}, "sum is a function; write sum(…)."),
        ("sigma * sigma(x)", "x", {}, "sigma is a function and a value here; give them two names."),
        ("x @ x", "x", {}, "x @ x does not fit: x is a column vector; write x.T @ x for the inner product, or give the shapes with --shapes."),
        ("w @ x + b", "w", {}, "w @ x does not fit: w is a column vector; write w.T @ x for the inner product, or give the shapes with --shapes."),
        ("(a + b) @ c", "c", {}, "(a + b) @ c does not fit: a + b is a column vector; write (a + b).T @ c for the inner product, or give the shapes with --shapes."),
        ("x.T @ y.T", "x", {}, "x.T @ y.T does not fit: y.T is a row vector; write x.T @ y for the inner product, or give the shapes with --shapes."),
        ("w @ X", "w", {}, "w @ X does not fit: w is a column vector; write w.T @ X, or give the shapes with --shapes."),
        ("x.T @ y @ z", "x", {}, "x.T @ y @ z: x.T @ y is a scalar; multiply by it with `*`."),
        ("f @ x", "x", {"f": "8,2", "x": "2,11"}, "the derivative of an 8×11 for a 2×11 has more than two indices; take the derivative of a scalar (sum, trace, norm, a loss), or of a vector for a vector."),
    ],
)  # fmt: skip
def test_mistakes_are_told_on_one_line(text: str, wrt: str, shapes: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        derive(text, wrt, shapes=shapes)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "wrt", "at", "message"),
    [
        ("x", "x", {"q": 3}, "unknown name in --at: 'q': choose from x."),
        ("x.T @ y", "x", {"x": [1, 2]}, "--at lacks y; give a value for every name, as x=0.8,0.2."),
        ("x", "x", {"x": float("nan")}, "--at has x with a value that is not finite; allowed: numbers."),
        ("x", "x", {"x": "a"}, "--at has x='a'; allowed: a number, a list, rows of a matrix."),
        ("sum(inv(A))", "A", {"A": [[1, 2], [2, 4]]}, "at these values a matrix has no inverse, or nearly none; give others."),
        ("norm(x - y)", "y", {"x": [1, 2], "y": [1, 2]}, "at these values the derivative does not exist, or float64 cannot hold it; give others."),
        ("sqrt(x)", "x", {"x": 0}, "at these values the derivative does not exist, or float64 cannot hold it; give others."),
        ("log(x)", "x", {"x": 0}, "at these values the expression has no value, or float64 cannot hold it; give others."),
        ("sum(phi(x))", "x", {"x": 1}, "--at needs functions with values; phi could be any function."),
    ],
)  # fmt: skip
def test_mistakes_in_values_are_told_on_one_line(text: str, wrt: str, at: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        derive(text, wrt, at=at)
    assert str(caught.value) == message


def test_mistakes_about_hessians_are_told_on_one_line() -> None:
    for text, wrt, message in [
        ("x", "x", "--hessian is that of a scalar, but the expression is n×1."),
        ("det(A)", "A", "--hessian for A, an n×n, has more than two indices; take a vector or a scalar."),
        ("det(A)", None, "--hessian needs --wrt, the name to differentiate for."),
    ]:
        with pytest.raises(UsageError) as caught:
            derive(text, wrt, hessian=True)
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"expression": 3}, "the expression is 3; allowed: a text, as 'x.T @ A @ y'."),
        ({"expression": None}, "the expression is None; allowed: a text, as 'x.T @ A @ y'."),
        ({"wrt": 3}, "--wrt is 3; allowed: the name of a variable, as 'x'."),
        ({"shapes": "x"}, "--shapes is 'x'; allowed: a dictionary, as {'x': 'n'}."),
        ({"at": [1]}, "--at is [1]; allowed: a dictionary, as {'x': [1, 2]}."),
        ({"at": {1: 2}}, "--at has the name 1; allowed: texts, as {'x': [1, 2]}."),
        ({"shapes": {"x": None}}, "--shapes has x=None; allowed: 1 (scalar), n or 3 (vector), n,m or 3,4 (matrix)."),
        ({"shapes": {"x": True}}, "--shapes has x=True; allowed: 1 (scalar), n or 3 (vector), n,m or 3,4 (matrix)."),
        ({"shapes": {"x": 2.5}}, "--shapes has x=2.5; allowed: 1 (scalar), n or 3 (vector), n,m or 3,4 (matrix)."),
    ],
)  # fmt: skip
def test_wrong_types_are_told_on_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        derive(**{"expression": "sum(x)", "wrt": "x", **given})
    assert str(caught.value) == message


def test_a_name_given_twice_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for flag, values in (("--shapes", ["x=n", "x=m"]), ("--at", ["x=1", "x=1"])):
        assert main(["derive", "sum(x)", "--wrt", "x", flag, *values]) == 2
        assert capsys.readouterr().err == f"etude: {flag} names x twice; give it once.\n"


def test_no_expression_hangs() -> None:
    for text in (
        "kron(kron(x, y), z)",
        "trace(" + "@".join("A" * 50) + ")",
        "x" + "**x" * 40,
        "sum(" + "softmax(" * 9 + "x" + ")" * 10,
    ):
        start = time.process_time()
        with contextlib.suppress(UsageError):
            derive(text, "A" if "A" in text else "x", hessian=text.startswith("sum"))
        assert time.process_time() - start < 5, text


def test_the_command_takes_an_expression_that_begins_with_a_minus(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["-x**2", "--wrt", "x"], ["--wrt=x", "-x**2"], ["--wrt", "x", "--shapes", "x=n", "--", "-x**2"]):
        assert main(["derive", *words]) == 0, capsys.readouterr().err
        assert capsys.readouterr().out.startswith("∂/∂x -x**2\n  = −2 diag(x)\n")
    assert main(["derive", "--log(p)"]) == 0
    assert main(["derive", "x", "--wrong"]) == 2
    assert main(["derive", "1/0"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "etude: 1 / 0 divides by zero."


def test_an_answer_shows_itself_as_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = etude.derive(
        "x.T @ A @ y", "y", shapes={"A": (2, 3)}, at={"x": [1, 2], "A": [[1, 2, 3], [4, 5, 6]], "y": [1, 1, 1]}
    )
    assert main(["derive", "x.T @ A @ y", "--wrt", "y", "--at", "x=1,2", "A=1,2,3;4,5,6", "y=1,1,1"]) == 0
    assert repr(found) == str(found) == capsys.readouterr().out.rstrip("\n")
    assert "  derivative = [9, 12, 15]" in str(found)
    assert found._repr_html_().startswith("<pre>∂/∂y x.T @ A @ y")
    assert str(etude.derive("log(a * b)")).startswith("log(a * b)\n  = log(a) + log(b)\n")
    assert str(etude.solve(28, 14, kernel=2)).startswith("kernel  stride")
