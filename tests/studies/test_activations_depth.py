"""Studies of deep networks of sigmoids, tanh and ReLU."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import etude
from etude.errors import UsageError
from etude.inspection.gradients.flow import gradient_flow
from etude.studies import Findings, exact, measured
from etude.studies.activations import deep_mlp, relu_statements, sigmoid_24, tanh_24


def sigmoid_findings(ratio: list[float], deep: list[float], shallow: list[float]) -> Findings:
    return Findings(
        (measured(sigmoid_24.RATIO, ratio), measured(sigmoid_24.DEEP, deep), measured(sigmoid_24.SHALLOW, shallow))
    )


@pytest.mark.parametrize(
    ("ratio", "deep", "shallow", "verdict"),
    [
        ([-20, -20.5], [0.5, 0.5], [0.87, 0.88], "true"),
        ([0.1, 0.2], [0.5, 0.5], [0.87, 0.88], "false"),
        ([-20, -20.5], [0.9, 0.91], [0.87, 0.88], "false"),
        ([-20, -20.5], [0.5, 0.5], [0.5, 0.51], "false"),
        ([-20, -20.5], [0.5, 0.8], [0.87, 0.88], "undecided"),
    ],
)
def test_sigmoids_are_judged(ratio: list[float], deep: list[float], shallow: list[float], verdict: str) -> None:
    assert sigmoid_24.judge(sigmoid_findings(ratio, deep, shallow)).verdict == verdict


def tanh_findings(sigmoid: list[float], tanh: list[float]) -> Findings:
    names = (tanh_24.SIGMOID, tanh_24.TANH, tanh_24.SCALED)
    return Findings(
        tuple(measured(tanh_24.ratio(n), v) for n, v in zip(names, (sigmoid, tanh, [0.5, 0.6]), strict=True))
    )


@pytest.mark.parametrize(
    ("sigmoid", "tanh", "verdict"),
    [
        ([-20, -21], [-5, -5.2], "false"),
        ([-20, -21], [-0.5, -0.6], "true"),
        ([-1, -1.1], [-0.5, -0.6], "false"),
        ([-20, -21], [-3.5, -1.0], "undecided"),
    ],
)
def test_tanh_is_judged(sigmoid: list[float], tanh: list[float], verdict: str) -> None:
    assert tanh_24.judge(tanh_findings(sigmoid, tanh)).verdict == verdict


def relu_findings(ratio: list[float], doubled: float, dead: list[float], later: list[float]) -> Findings:
    return Findings(
        (
            measured(relu_statements.RATIO, ratio),
            exact(relu_statements.DOUBLED, doubled),
            measured(relu_statements.DEAD, dead),
            measured(relu_statements.LATER, later),
        )
    )


@pytest.mark.parametrize(
    ("ratio", "doubled", "dead", "later", "verdict"),
    [
        ([-10, -9], 1.0, [0.5, 0.6], [1, 1], "false"),
        ([0, 0.1], 2.0, [0, 0], [0, 0], "true"),
        ([-10, -9], 2.0, [0, 0], [0, 0], "false"),
        ([0, 0.1], 1.0, [0, 0], [0, 0], "false"),
        ([0, 0.1], 2.0, [0.5, 0.51], [1, 1], "false"),
        ([0, 0.1], 2.0, [0.0, 0.6], [1, 1], "undecided"),
    ],
)
def test_relus_are_judged(
    ratio: list[float], doubled: float, dead: list[float], later: list[float], verdict: str
) -> None:
    assert relu_statements.judge(relu_findings(ratio, doubled, dead, later)).verdict == verdict


DESIGN = sigmoid_24.Sigmoids(seeds=2)
SOME_POINTS = deep_mlp.moons(50)


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh, nn.ReLU])
def test_gradients_agree_with_the_inspection(activation: type[nn.Module]) -> None:
    """étude inspect --flow sends a number back instead of a loss: for one point, the ratios are the same."""
    network, (x, y, *_) = deep_mlp.deep_mlp(activation, DESIGN, 0).double(), SOME_POINTS
    sizes = deep_mlp.gradient_sizes(network, x[:1], y[:1])
    flow = [each.gradient_rms or 0 for each in gradient_flow(network, x[:1].double()).layers[::2]]
    assert len(sizes) == len(flow) == 25
    for place in (0, 7, 23):
        assert sizes[place] / sizes[24] == pytest.approx(flow[place] / flow[24], rel=1e-6)


@pytest.mark.parametrize(
    ("activation", "gain", "expected"), [(nn.Sigmoid, None, 1e-20), (nn.Tanh, None, 1e-5), (nn.Tanh, 5 / 3, 7)]
)
def test_ratios_agree_with_published_ones(activation: type[nn.Module], gain: float | None, expected: float) -> None:
    start = None if gain is None else (lambda weight: nn.init.xavier_normal_(weight, gain=gain))
    ratios = list[float]()
    for seed in range(8):
        sizes = deep_mlp.gradient_sizes(deep_mlp.deep_mlp(activation, DESIGN, seed, start), *SOME_POINTS[:2])
        ratios.append(deep_mlp.log_ratio(sizes))
    assert abs(sum(ratios) / len(ratios) - math.log10(expected)) < 1


def linear(network: nn.Sequential, place: int) -> nn.Linear:
    found = network[place]
    assert isinstance(found, nn.Linear)
    return found


def test_the_repeated_block_shares_its_weights() -> None:
    network = sigmoid_24.repeated_block(DESIGN, 0)
    assert len(network) == 50
    assert len({id(each) for each in network if isinstance(each, nn.Linear)}) == 3
    x, y = SOME_POINTS[:2]
    assert sigmoid_24.share_of_early_uses(network, x, y, late=0) == pytest.approx(1.0)
    assert sigmoid_24.share_of_early_uses(network, x, y) < 0.1


def test_the_gradient_of_shared_weights_is_the_sum_over_uses() -> None:
    network, (x, y, *_) = sigmoid_24.repeated_block(DESIGN, 1), SOME_POINTS
    sigmoid_24.share_of_early_uses(network, x, y)  # leaves the whole gradient behind
    weight = linear(network, 1).weight
    gradient = weight.grad
    assert gradient is not None
    step = torch.zeros_like(weight)
    step[2, 3] = 1e-5
    losses = list[torch.Tensor]()
    for sign in (1, -1):
        with torch.no_grad():
            weight += sign * step
            losses.append(deep_mlp.loss_of(network, x.double(), y.double()))
            weight -= sign * step
    assert gradient[2, 3].item() == pytest.approx(float((losses[0] - losses[1]) / 2e-5), rel=1e-4, abs=1e-12)


def test_relu_has_two_derivatives() -> None:
    assert relu_statements.derivative(torch.tensor([-3.0, -0.1, 0.1, 3.0])).tolist() == [0, 0, 1, 1]


def test_dead_units_get_no_gradient() -> None:
    network = deep_mlp.deep_mlp(nn.ReLU, deep_mlp.Deep(blocks=1, width=8), 0)
    x, y = SOME_POINTS[:2]
    with torch.no_grad():
        linear(network, 0).bias[:3] = -100
    assert relu_statements.dead_units(network, x)[:3].all()
    before = linear(network, 0).weight[:3].clone()
    relu_statements.descend(network, x, y, rate=0.5, steps=20)
    assert torch.equal(linear(network, 0).weight[:3], before)
    assert relu_statements.dead_units(network, x)[:3].all()


@pytest.mark.parametrize("name", ["sigmoid-24", "tanh-24", "relu-statements"])
def test_studies_of_depth_run(tmp_path: Path, name: str) -> None:
    settled = etude.study(name, runs_dir=tmp_path, seeds=2, steps=2, points=20, blocks=4, width=4)
    assert settled.verdict in ("true", "false", "undecided")
    assert settled.figure.exists()


def test_learning_rates_are_checked() -> None:
    with pytest.raises(UsageError, match=r"--learning-rates \(0\.0,\) \(allowed: one or more, above 0\)"):
        sigmoid_24.Sigmoids(learning_rates=(0.0,))
