"""numerical-gradient, ravine and convergence-guarantees: rules with forged evidence, numbers by formulas."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime

import etude
from etude.errors import UsageError
from etude.studies import Findings, exact, measured
from etude.studies.optimisation import convergence_guarantees, numerical_gradient, ravine

KINDS = [(kind, dtype) for kind in ("central", "one-sided") for dtype in ("float64", "float32")]


def lost_digits(**lost: list[float]) -> Findings:
    """Evidence of numerical-gradient: 5 digits lost by all kinds except those in `lost`."""
    evidence = [
        measured(f"digits lost at the smallest step, {kind}, {dtype}", lost.get(f"{kind[:3]}_{dtype}", [5.0, 5.1]))
        for kind, dtype in KINDS
    ]
    return Findings((*evidence, measured("relative error of a version that never perturbs", [1.0, 1.0])))


def test_smaller_steps_are_better_only_if_no_kind_loses_digits() -> None:
    none = {f"{kind[:3]}_{dtype}": [0.0, 0.01] for kind, dtype in KINDS}
    assert numerical_gradient.judge(lost_digits()).verdict == "false"
    assert numerical_gradient.judge(lost_digits(**none)).verdict == "true"
    assert numerical_gradient.judge(lost_digits(**{**none, "cen_float32": [3.0, 3.1]})).verdict == "false"
    assert numerical_gradient.judge(lost_digits(**{**none, "cen_float32": [0.0, 2.0]})).verdict == "undecided"


@pytest.fixture(scope="module")
def loss() -> numerical_gradient.Loss:
    return numerical_gradient.Loss(numerical_gradient.NumericalGradient(), 3)


def test_the_differences_are_those_of_scipy(loss: numerical_gradient.Loss) -> None:
    parameters = loss.parameters.double()
    mine = numerical_gradient.numerical_gradient(loss, parameters, 1e-6, kind="one-sided")
    theirs = approx_fprime(parameters.numpy(), lambda w: float(loss(torch.from_numpy(w))), 1e-6)
    np.testing.assert_allclose(mine.numpy(), np.asarray(theirs), atol=1e-9)
    central = numerical_gradient.numerical_gradient(loss, parameters, 1e-5)
    assert numerical_gradient.relative_error(central, loss.gradient()) < 1e-9


def test_the_loss_is_that_of_pytorchs_layers(loss: numerical_gradient.Loss) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()
    torch.nn.utils.vector_to_parameters(loss.parameters.double(), network.parameters())
    theirs = torch.nn.functional.cross_entropy(network(loss.x.double()), loss.labels)
    torch.testing.assert_close(loss(loss.parameters.double()), theirs)


@pytest.mark.parametrize(("kind", "order"), [("central", 2), ("one-sided", 1)])
def test_the_error_goes_with_the_step_to_the_kinds_order(loss: numerical_gradient.Loss, kind: str, order: int) -> None:
    errors = [
        numerical_gradient.relative_error(
            numerical_gradient.numerical_gradient(loss, loss.parameters.double(), step, kind=kind), loss.gradient()
        )
        for step in (1e-2, 1e-3)
    ]
    assert math.log10(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


def test_the_best_steps_are_near_the_powers_of_the_rounding_error(tmp_path: Path) -> None:
    found = etude.study("numerical-gradient", runs_dir=tmp_path, seeds=2, hidden=3, inputs=2).findings
    for kind, power in (("central", 3), ("one-sided", 2)):
        for dtype in ("float64", "float32"):
            over = found[f"best step over the rounding error to the power 1/{power}, {kind}, {dtype}"].value
            assert 0.1 < over < 20, (kind, dtype)
        assert found[f"digits lost at the smallest step, {kind}, float64"].value > 3
    assert found["calls of the loss per parameter, central"].value == 2
    parameters = 3 * 2 + 3 + 3 * 3 + 3
    assert found["calls of the loss per parameter, one-sided"].value == pytest.approx(1 + 1 / parameters)
    assert found["relative error of a version that never perturbs"].values == (1.0, 1.0)


def test_large_steps_alone_turn_the_verdict_in_float64(tmp_path: Path) -> None:
    settled = etude.study("numerical-gradient", runs_dir=tmp_path, seeds=2, hidden=3, inputs=2, steps=(0.3, 0.1))
    assert settled.verdict == "true"


def test_steps_of_zero_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^out of range: --steps \(0.1, 0.0\) \(allowed: two numbers or more"):
        numerical_gradient.NumericalGradient(steps=(0.1, 0.0))


def ravine_steps(heavy_ball: float, nesterov: float, newton: float) -> Findings:
    counts = {"gradient descent": 7000, "heavy ball": heavy_ball, "Nesterov": nesterov, "Adam": 900, "Newton": newton}
    return Findings(tuple(exact(f"steps of {name}, κ = 1000", each) for name, each in counts.items()), {"κ": [1000.0]})


def test_momentum_wins_if_it_needs_fewer_steps_than_newton() -> None:
    assert ravine.judge(ravine_steps(320, 600, 1)).verdict == "false"
    assert ravine.judge(ravine_steps(320, 600, 400)).verdict == "true"
    assert ravine.judge(ravine_steps(600, 320, 400)).verdict == "true"
    assert ravine.judge(ravine_steps(320, 320, 320)).verdict == "false"


def test_the_ravine_takes_the_steps_that_theory_says(tmp_path: Path) -> None:
    found = etude.study("ravine", runs_dir=tmp_path, learning_rates=(0.1, 0.01)).findings
    for condition in (10, 100, 1000):
        # each step of descent multiplies the distance by (κ − 1) / (κ + 1)
        formula = math.ceil(math.log(1e-6) / math.log((condition - 1) / (condition + 1)))
        assert found[f"steps of gradient descent, κ = {condition}"].value == pytest.approx(formula, abs=1)
        assert found[f"steps of Newton, κ = {condition}"].value == 1
    assert found["steps of gradient descent, κ = 1000"].value == pytest.approx(7_000, rel=0.05)  # the numbers
    assert found["steps of heavy ball, κ = 1000"].value == pytest.approx(320, rel=0.1)
    heavy, nesterov = (found[f"steps of {name}, κ = 1000"].value for name in ("heavy ball", "Nesterov"))
    assert heavy < nesterov < found["steps of gradient descent, κ = 1000"].value


@pytest.mark.parametrize("name", ["heavy ball", "Nesterov"])
def test_momentum_shrinks_the_distance_at_the_rate_of_its_theorem(name: str) -> None:
    design = ravine.Ravine(tolerance=1e-12)
    path = ravine.distances(ravine.methods(100.0, design)[name](), design)
    rate = {"heavy ball": 9 / 11, "Nesterov": 1 - 2 / math.sqrt(301)}[name]  # Lessard et al. 2016, table 1
    late = (path[-1] / path[len(path) // 2]) ** (1 / (len(path) - 1 - len(path) // 2))
    assert late == pytest.approx(rate, abs=0.03)


def test_the_steps_are_those_of_pytorchs_optimizers() -> None:
    design = ravine.Ravine(learning_rates=(0.05,))
    h = ravine.hessian(100.0, design.angle)
    ways = {
        "heavy ball": lambda p: torch.optim.SGD(p, lr=4 / 11**2, momentum=(9 / 11) ** 2),
        "Adam": lambda p: torch.optim.Adam(p, lr=0.05),
    }
    for name, make in ways.items():
        points = ravine.methods(100.0, design)[name]()
        weight = torch.nn.Parameter(torch.from_numpy(next(points)[0].copy()))
        optimizer = make([weight])
        for _ in range(50):
            optimizer.zero_grad()
            (weight @ torch.from_numpy(h) @ weight / 2).backward()
            optimizer.step()
            np.testing.assert_allclose(next(points)[0], weight.detach().numpy(), atol=1e-10)


def test_a_ravine_along_an_axis_is_turned_by_the_angle() -> None:
    np.testing.assert_allclose(ravine.hessian(9.0, 0.0), np.diag([1.0, 9.0]))
    np.testing.assert_allclose(np.linalg.eigvalsh(ravine.hessian(9.0, 30.0)), [1.0, 9.0])


def test_a_method_that_is_not_done_stops_at_the_most_steps() -> None:
    design = ravine.Ravine(most_steps=20)
    assert len(ravine.distances(ravine.methods(1000.0, design)["gradient descent"](), design)) == 21


def ends(convex: list[float], saddle: list[float], second: list[float], ridge: list[float]) -> Findings:
    name = "share of starts that end at the lowest value, "
    return Findings((
        measured(f"{name}convex", convex), measured(f"{name}saddle", saddle), measured(f"{name}second minimum", second),
        measured("share of starts on the ridge of the saddle that leave it", ridge),
    ))  # fmt: skip


def test_descent_is_sure_of_a_global_minimum_only_if_the_function_is_convex() -> None:
    judge, all_of_them, half, unsure = convergence_guarantees.judge, [1.0, 1.0], [0.5, 0.52], [0.7, 1.0]
    found = judge(ends(all_of_them, all_of_them, half, [0.0, 0.0]))
    assert (found.verdict, found.condition) == ("only if", "the function is convex")
    assert judge(ends(all_of_them, all_of_them, all_of_them, all_of_them)).verdict == "true"
    assert judge(ends(half, all_of_them, half, all_of_them)).verdict == "false"
    assert judge(ends(all_of_them, all_of_them, unsure, all_of_them)).verdict == "undecided"
    assert judge(ends(unsure, all_of_them, all_of_them, all_of_them)).verdict == "undecided"


@pytest.mark.parametrize("name", ["convex", "saddle", "second minimum"])
def test_the_derivatives_are_those_of_the_functions(name: str) -> None:
    function, derivative = convergence_guarantees.functions(0.1)[name]
    y = np.linspace(-2, 2, 41)
    np.testing.assert_allclose(derivative(y), (function(y + 1e-6) - function(y - 1e-6)) / 2e-6, atol=1e-8)


def test_starts_above_the_hill_end_in_the_second_minimum(tmp_path: Path) -> None:
    found = etude.study("convergence-guarantees", runs_dir=tmp_path, seeds=2, starts=400, steps=500).findings
    roots = np.sort(np.roots([1, 0, -1, 0.1]).real)  # minimum, hill and second minimum of y⁴/4 − y²/2 + y/10
    share = (roots[1] + 2) / 4  # of the starts, uniform from -2 to 2, that are on the lower minimum's side
    assert found["share of starts that end at the lowest value, second minimum"].value == pytest.approx(share, abs=0.06)
    assert found["share of starts that end at the lowest value, convex"].value == 1
    assert found["share of starts on the ridge of the saddle that leave it"].value == 0
    assert found["share of starts on the ridge of the saddle that leave it, with noise"].value > 0.9


def test_noise_keeps_steps_of_one_size_at_the_height_of_theory() -> None:
    design = convergence_guarantees.ConvergenceGuarantees(steps=400, noise=0.3)
    path = convergence_guarantees.descend(
        lambda y: y, np.zeros((4000, 2)), design, noise=np.random.default_rng(0)
    )  # fmt: skip
    # x ← (1 − η) x − η σ ε is stationary with the variance η σ² / (2 − η)
    assert path[-1].var() == pytest.approx(0.1 * 0.09 / 1.9, rel=0.05)


def test_steps_that_are_too_long_end_nowhere_near(tmp_path: Path) -> None:
    knobs = {"seeds": 2, "starts": 20, "steps": 50, "step_size": 10.0, "noise": 100.0}
    settled = etude.study("convergence-guarantees", runs_dir=tmp_path, **knobs)
    assert settled.verdict == "false"
    assert all(math.isfinite(found.value) for found in settled.findings)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0])
def test_lists_of_numbers_are_checked(value: float) -> None:
    for make in (
        lambda: numerical_gradient.NumericalGradient(steps=(0.1, value)),
        lambda: ravine.Ravine(conditions=(10.0, value)),
        lambda: ravine.Ravine(learning_rates=(0.1, value)),
    ):
        with pytest.raises(UsageError, match=r"^out of range: --"):
            make()
