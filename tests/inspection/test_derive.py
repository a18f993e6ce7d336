# ruff: noqa: E501 (messages are compared as they are printed)
import pytest
import torch

from etude.errors import UsageError
from etude.inspection.derive import derive

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
    ("x.T @ A @ x", "x", {}, "Aᵀ x + A x", "n×1"),
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
    ("x / norm(x)", "x", {}, "I_n / ‖x‖ − x xᵀ / ‖x‖³", "n×n"),
    ("mean(x)", "x", {}, "1_n / n", "n×1"),
    ("mse(p, y)", "p", {}, "2 (p − y) / n", "n×1"),
    ("bce(z, y)", "z", {}, "σ(z) − y", "n×1"),
    ("cross_entropy(z, y)", "z", {}, "softmax(z) − y", "n×1"),
    ("square(sigmoid(z) - y)", "z", {"z": "1", "y": "1"}, "2 (σ(z) − y) σ(z) (1 − σ(z))", "scalar"),
    ("lam * x.T @ x", "lam", {}, "xᵀ x", "scalar"),
    ("(A @ x).T", "x", {}, "Aᵀ", "m×n"),
    ("sum(y)", ["x", "+", "y"][2], {}, "1_n", "n×1"),
    ("tanh(w * x)", "w", {"w": "1", "x": "1"}, "(1 − tanh(w x)²) x", "scalar"),
    ("x ** y", "x", {"x": "1", "y": "1"}, "exp(y log(x)) y / x", "scalar"),
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


def test_a_wrong_rule_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from etude.inspection import derive as module

    monkeypatch.setitem(module._RULES, "tanh", lambda node, x, g: g)
    with pytest.raises(AssertionError):
        derive("sum(tanh(x))", "x")


def test_values_at_a_point() -> None:
    point = {"p": torch.tensor([[0.8], [0.2]]), "y": torch.tensor([[0.0], [1.0]])}
    squared = derive("sum(square(p - y))", "p", values=point)
    assert squared.at["value"] == [[pytest.approx(1.28)]]
    assert squared.at["derivative"] == [[pytest.approx(1.6)], [pytest.approx(-1.6)]]
    assert derive("mse(p, y)", "p", values=point).at["value"] == [[pytest.approx(0.64)]]
    entropy = derive("sum(-y * log(p) - (1 - y) * log(1 - p))", "p", values=point)
    assert entropy.at["value"] == [[pytest.approx(3.219, abs=1e-3)]]


def test_from_the_bernoulli_likelihood_to_cross_entropy() -> None:
    found = expand("-log(p ** y * (1 - p) ** (1 - y))", shapes={"p": "1", "y": "1"})
    assert found.answer == "−y log(p) − (1 − y) log(1 − p)"
    assert found.difference < 1e-12


def test_json_has_the_evidence() -> None:
    found = derive("A @ y", "y").to_dict()
    assert found["derivative"] == "Aᵀ"
    assert found["checked"]["sizes"] == {"n": 3, "m": 4}
    assert found["layout"] == "∂y/∂x has ∂yⱼ/∂xᵢ at row i, column j (denominator layout)"


@pytest.mark.parametrize(
    ("text", "wrt", "shapes", "message"),
    [
        ("x +", "x", {}, "'x +' cannot be read: invalid syntax; write Python, for example x.T @ A @ y or sum(sigmoid(W @ x))."),
        ("x.T @ x", "y", {}, "--wrt is 'y', but the expression has x; take one of its names."),
        (
            "sigmoidd(x)", "x", {},
            "unknown function 'sigmoidd': did you mean 'sigmoid'? Choose from abs, bce, cos, cross_entropy, det, exp, inv, log, "
            "logdet, logsumexp, mean, mse, norm, relu, sigmoid, sin, softmax, softplus, sqrt, square, sum, tanh, tr, trace.",
        ),
        ("A @ x", "x", {"A": "3,4", "x": "5"}, "A @ x does not fit: 4 against 5; `@` multiplies matrices, `*` entries, `.T` transposes."),
        (
            "A @ X", "X", {},
            "the derivative of a n×k for a m×k has more than two indices; take the derivative of a scalar (sum, trace, norm, a "
            "loss), or of a vector for a vector.",
        ),
        ("x", "x", {"x": "0"}, "--shapes has x=0; allowed: 1 (scalar), n or 3 (vector), n,m or 3,4 (matrix)."),
        ("x[0]", "x", {}, "'x[0]' is not understood; allowed: + - * / ** @ .T and functions."),
        ("__import__('os').system('true')", "x", {}, "\"__import__('os').system('true')\" is not understood; allowed: + - * / ** @ .T and functions."),
        ("bce(x)", "x", {}, "bce(x) needs 2 arguments, not 1."),
        ("x + sum", "x", {}, "sum is a function; write sum(…)."),
    ],
)  # fmt: skip
def test_mistakes_are_told_on_one_line(text: str, wrt: str, shapes: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        derive(text, wrt, shapes=shapes)
    assert str(caught.value) == message
