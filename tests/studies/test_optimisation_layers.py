"""escape, implicit-layer and vanish-or-explode: their rules with forged evidence, their numbers by formulas."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

import etude
from etude.studies import Findings, measured
from etude.studies.optimisation import escape, implicit_layer, vanish_or_explode

NAME = "right digits of the gradient, "


def layer_found(closed: list[float], newton: list[float], free: list[float]) -> Findings:
    others = {"quadratic, closed form, implicit": closed, "quartic, Newton, implicit": newton,
              "quartic, without gradients, implicit": free}  # fmt: skip
    descents = {f"quartic, gradient descent, {way}": [10, 10.1] for way in ("implicit", "unrolled")}
    return Findings(tuple(measured(NAME + what, each) for what, each in {**others, **descents}.items()))


def test_descent_is_needed_if_no_other_solver_gives_the_gradient() -> None:
    bad, good, unsure = [0.3, 0.4], [8.0, 8.1], [1.0, 7.0]
    assert implicit_layer.judge(layer_found(good, good, good)).verdict == "false"
    assert implicit_layer.judge(layer_found(bad, bad, good)).verdict == "false"
    assert implicit_layer.judge(layer_found(bad, bad, bad)).verdict == "true"
    assert implicit_layer.judge(layer_found(bad, bad, unsure)).verdict == "undecided"


def test_all_solvers_give_the_gradient_of_finite_differences(tmp_path: Path) -> None:
    settled = etude.study("implicit-layer", runs_dir=tmp_path, seeds=2, outputs=2, inputs=3, steps=600)
    for found in settled.findings:
        assert found.value > 5, found.what
    assert settled.verdict == "false"


@pytest.mark.parametrize("quartic", [0.0, 1.0])
def test_the_solvers_agree_with_scipy(quartic: float) -> None:
    problem = implicit_layer.draw_problem(implicit_layer.ImplicitLayer(), 4, quartic)
    found = minimize(lambda y: float(problem.objective(torch.from_numpy(y))), [0.0] * 3, method="BFGS",
        jac=lambda y: problem.gradient(torch.from_numpy(y)).numpy(), options={"gtol": 1e-10})  # fmt: skip
    expected = torch.from_numpy(found.x)
    torch.testing.assert_close(implicit_layer.newton(problem), expected, atol=1e-7, rtol=0)
    torch.testing.assert_close(implicit_layer.descent(problem, 3_000), expected, atol=1e-7, rtol=0)
    torch.testing.assert_close(implicit_layer.without_gradients(problem), expected, atol=1e-6, rtol=0)
    if quartic == 0:
        torch.testing.assert_close(implicit_layer.closed_form(problem), expected, atol=1e-7, rtol=0)


def test_the_objectives_derivatives_are_autograds() -> None:
    problem = implicit_layer.draw_problem(implicit_layer.ImplicitLayer(), 1, 2.0)
    y = torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(problem.gradient(y), torch.autograd.grad(problem.objective(y), y)[0])
    hessian = torch.autograd.functional.hessian(problem.objective, y)
    assert isinstance(hessian, torch.Tensor)
    torch.testing.assert_close(problem.hessian(y), hessian)


def test_the_implicit_gradient_of_ridge_regression_is_that_of_its_formula() -> None:
    problem = implicit_layer.draw_problem(implicit_layer.ImplicitLayer(), 2, 0.0)
    by_formula = implicit_layer.unrolled_gradient(problem, implicit_layer.closed_form)
    implicit = implicit_layer.implicit_gradient(problem, implicit_layer.newton(problem))
    torch.testing.assert_close(implicit, by_formula, atol=1e-11, rtol=0)


def test_descent_that_is_not_done_gives_another_gradient(tmp_path: Path) -> None:
    found = etude.study("implicit-layer", runs_dir=tmp_path, seeds=2, steps=1).findings
    assert found[f"{NAME}quartic, gradient descent, unrolled"].value < 2


def named_rightly(share: list[float]) -> Findings:
    return Findings((
        measured("share of the networks with vanishing or exploding gradients that losses name rightly", share),
    ))  # fmt: skip


def test_losses_tell_if_they_name_three_of_four_rightly() -> None:
    assert vanish_or_explode.judge(named_rightly([1.0, 1.0, 0.9])).verdict == "false"
    assert vanish_or_explode.judge(named_rightly([0.5, 0.4, 0.6])).verdict == "true"
    assert vanish_or_explode.judge(named_rightly([0.5, 0.9, 1.0])).verdict == "undecided"
    assert vanish_or_explode.judge(Findings(())).verdict == "undecided"


@pytest.mark.parametrize(
    ("losses", "name"),
    [
        ([2.31, 2.30, 2.31, 2.30, 2.31, 2.30, 2.30, 2.31], "vanishing"),
        ([2.3, 2.2, 2.0, 1.8, 1.5, 1.2, 0.9, 0.8], "neither"),
        ([2.3, 2.3, 9.0, 2.4, 2.3, 2.3, 2.3, 2.3], "exploding"),
        ([2.9, 2.5, 2.3, 2.3], "vanishing"),
        ([1e6, 1e7, 2.3, 2.3], "exploding"),
        ([2.3, math.nan], "exploding"),
        ([2.3, math.inf], "exploding"),
    ],
)
def test_losses_that_stand_still_jump_or_fall(losses: list[float], name: str) -> None:
    assert vanish_or_explode.named_by_losses(losses) == name


def test_gradients_grow_by_the_gain_of_each_layer() -> None:
    design = vanish_or_explode.VanishOrExplode(depth=10, width=400)
    x, labels = torch.randn(64, 196, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10
    for gain in (0.5, 1.0, 2.0):
        network = vanish_or_explode.draw_network(design, 196, "ReLU", gain, torch.Generator().manual_seed(1))
        growth = vanish_or_explode.gradient_growth(network, x, labels)
        assert growth == pytest.approx(9 * math.log10(gain), abs=0.5)  # He et al. 2015, equation 14


def test_layers_are_those_of_pytorch() -> None:
    design = vanish_or_explode.VanishOrExplode(depth=3, width=5)
    network = vanish_or_explode.draw_network(design, 196, "tanh", 1.0, torch.Generator().manual_seed(1))
    x = torch.randn(4, 196, generator=torch.Generator().manual_seed(0))
    expected = x
    for number, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        expected = torch.nn.functional.linear(torch.tanh(expected) if number else expected, weight, bias)
    torch.testing.assert_close(network.layers(x)[-1], expected)


def test_gradients_name_what_grows_or_shrinks_by_three_decades() -> None:
    named = [vanish_or_explode.named_by_gradients(each, 3.0) for each in (-8.0, -2.0, 2.9, 4.0, math.inf, -math.inf)]
    assert named == ["vanishing", "neither", "neither", "exploding", "exploding", "vanishing"]


def test_a_few_deep_networks_are_named(tmp_path: Path) -> None:
    settled = etude.study("vanish-or-explode", runs_dir=tmp_path, seeds=2, networks=4, steps=12, depth=12)
    assert settled.figure.exists()


def escapes(sgd: list[float], descent: list[float]) -> Findings:
    name = "share of runs that end at less than half that loss"
    return Findings(
        (measured(f"{name}, batch size 1", sgd), measured(f"{name}, gradient descent", descent)), {"sizes": [1.0, 64.0]}
    )


def test_sgd_escapes_if_it_gets_away_in_a_fifth_more_of_the_runs() -> None:
    assert escape.judge(escapes([0.8, 0.78], [0.0, 0.0])).verdict == "true"
    assert escape.judge(escapes([0.1, 0.11], [0.0, 0.0])).verdict == "false"
    assert escape.judge(escapes([0.0, 0.0], [0.8, 0.7])).verdict == "false"
    assert escape.judge(escapes([0.0, 0.6], [0.0, 0.0])).verdict == "undecided"


def test_the_gradient_of_the_sine_is_autograds() -> None:
    sine = escape.draw_samples(escape.Escape(label_noise=0.3), np.random.default_rng(0))
    w = torch.tensor([0.3, 4.0, 7.0], dtype=torch.float64, requires_grad=True)
    x, y = torch.from_numpy(sine.x), torch.from_numpy(sine.y)
    losses = (torch.sin(w[:, None] * x) - y).square().mean(dim=1) / 2
    np.testing.assert_allclose(sine.loss(w.detach().numpy()), losses.detach().numpy())
    expected = torch.autograd.grad(losses.sum(), w)[0].numpy()
    np.testing.assert_allclose(sine.gradient(w.detach().numpy()), expected, atol=1e-12)
    all_rows = np.tile(np.arange(256), (3, 1))
    np.testing.assert_allclose(sine.gradient(w.detach().numpy(), all_rows), expected, atol=1e-12)


def test_descent_stays_in_the_poor_minimum_and_sgd_does_not(tmp_path: Path) -> None:
    settled = etude.study("escape", runs_dir=tmp_path, seeds=4, runs=10, steps=1_500, batch_sizes=(1,))
    name = "share of runs that end at less than half that loss"
    assert settled.findings[f"{name}, gradient descent"].value == 0
    assert settled.findings[f"{name}, batch size 1"].value > 0.3
    # minima between which the loss has a barrier: 0.44 at a distance of 2.58 is that of infinitely many samples
    assert settled.findings["loss of the poor minimum"].value == pytest.approx(0.44, abs=0.08)


def test_the_samples_of_sgd_have_no_gradient_at_the_right_weight() -> None:
    design = escape.Escape(steps=50)
    numbers = np.random.default_rng(0)
    sine = escape.draw_samples(design, numbers)
    path = escape.descend(sine, np.full(5, 4.0), design, 1, numbers)
    np.testing.assert_allclose(path[-1], 4.0, atol=1e-12)


def test_networks_that_neither_vanish_nor_explode_decide_nothing(tmp_path: Path) -> None:
    settled = etude.study("vanish-or-explode", runs_dir=tmp_path, seeds=2, networks=1, steps=8, decades=50.0)
    assert settled.verdict == "undecided"
    assert settled.ruling.because == "no network that was drawn has vanishing or exploding gradients."
