"""Studies of activations and losses: squared error or cross-entropy, max-pooling, residual filters."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import etude
from etude.errors import UsageError
from etude.studies import Findings, exact, measured
from etude.studies.activations import l2_for_classification as l2
from etude.studies.activations import max_pool_gradient as pooling
from etude.studies.activations import residual_filters as filters


def l2_findings(ratio: float, lead: list[float]) -> Findings:
    accuracies = [measured(f"test accuracy from the bad start, {loss}", [0.5, 0.6]) for loss in l2.LOSSES]
    return Findings((exact(l2.RATIO, ratio), measured(l2.LEAD, lead), *accuracies))


@pytest.mark.parametrize(
    ("ratio", "lead", "verdict"),
    [
        (1e-4, [-0.3, -0.32, -0.31], "false"),
        (0.5, [0.01, 0.0, 0.01], "true"),
        (0.5, [-0.3, -0.32, -0.31], "false"),
        (1e-4, [0.01, 0.0, 0.01], "false"),
        (0.5, [-0.2, 0.1, 0.0], "undecided"),
    ],
)
def test_squared_error_is_judged(ratio: float, lead: list[float], verdict: str) -> None:
    assert l2.judge(l2_findings(ratio, lead)).verdict == verdict


def test_the_worked_example() -> None:
    values = [each.value for each in l2.worked(l2.Losses())]
    assert values == pytest.approx([1.28, 0.64, 3.219, 1.609], abs=5e-4)
    assert values[2] == pytest.approx(-2 * math.log(0.2), rel=1e-12)


@pytest.mark.parametrize("logit", [-8.0, -1.0, 0.0, 2.0, 10.0])
def test_gradients_by_the_logit(logit: float) -> None:
    p = 1 / (1 + math.exp(-logit))
    assert l2.gradient(l2.SQUARED, torch.tensor([logit])).item() == pytest.approx(2 * p * p * (1 - p), rel=1e-9)
    assert l2.gradient(l2.ENTROPY, torch.tensor([logit])).item() == pytest.approx(p, rel=1e-9)


def test_networks_side_by_side_learn_as_one_alone() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(20, 2), (torch.randn(20, 1) > 0).float()
    weights = [torch.randn(2, 3), torch.zeros(1, 3), torch.randn(3, 1), torch.zeros(1, 1)]
    both = [each.expand(2, *each.shape) for each in weights]
    found, _ = l2.fit(both, torch.tensor([0.1, 1.0])[:, None, None], l2.SQUARED, x, y, 5)
    first, second = nn.Linear(2, 3), nn.Linear(3, 1)
    alone = nn.Sequential(first, nn.Tanh(), second, nn.Sigmoid())
    with torch.no_grad():
        for part, weight, bias in ((first, weights[0], weights[1]), (second, weights[2], weights[3])):
            part.weight.copy_(weight.T)
            part.bias.copy_(bias[0])
    optimizer = torch.optim.SGD(alone.parameters(), lr=1.0)
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.mse_loss(alone(x), y).backward()
        optimizer.step()
    assert torch.allclose(found[0][1], first.weight.T, atol=1e-5)


def test_squared_error_study_runs(tmp_path: Path) -> None:
    settled = etude.study(
        "l2-for-classification", runs_dir=tmp_path, seeds=2, steps=3, wrong_steps=3, points=50, logit=-5
    )
    assert settled.verdict in ("true", "undecided", "false")
    assert settled.figure.exists()
    assert settled.findings[l2.RATIO].value == pytest.approx(2 / (1 + math.exp(5)) * (1 - 1 / (1 + math.exp(5))))


def test_predictions_are_checked() -> None:
    with pytest.raises(UsageError, match=r"--predictions \(0\.5,\) \(allowed: one for each of --labels\)"):
        l2.Losses(predictions=(0.5,))


def pool_findings(*, parameters: float = 0, share: float = 1.0, error: float = 1e-10, reached: float = 1) -> Findings:
    return Findings(
        (
            exact(pooling.PARAMETERS, parameters),
            measured(pooling.SHARE, [share, share]),
            measured(pooling.ERROR, [error, error]),
            exact(pooling.REACHED, reached),
        )
    )


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({}, "true"), ({"parameters": 4}, "false"), ({"share": 0.25}, "false"), ({"error": 0.1}, "false"),
     ({"reached": 4}, "false")],
)  # fmt: skip
def test_pooling_is_judged(changes: dict[str, float], verdict: str) -> None:
    assert pooling.judge(pool_findings(**changes)).verdict == verdict


def test_pooling_with_wide_intervals_is_undecided() -> None:
    found = pool_findings().with_values({pooling.SHARE: [1.0, 0.9]})
    assert pooling.judge(found).verdict == "undecided"


@pytest.mark.parametrize(("kind", "verdict"), [("max", "true"), ("average", "false"), ("largest", "false")])
def test_pooling_layers(tmp_path: Path, kind: str, verdict: str) -> None:
    settled = etude.study("max-pool-gradient", runs_dir=tmp_path, seeds=2, size=4, pooling=kind)
    assert settled.verdict == verdict
    assert settled.findings[pooling.REACHED].value == (1 if kind == "max" else 4)


def test_the_gradient_of_pooling_by_hand() -> None:
    images = torch.tensor([[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 9.0, 1.0]], dtype=torch.float64)[None, None]
    weights = torch.tensor([[[[2.0, -3.0]]]], dtype=torch.float64)
    expected = torch.tensor([[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, -3.0, 0.0]], dtype=torch.float64)[None, None]
    pool = nn.MaxPool2d(2)
    assert torch.equal(pooling.gradient(pool, images, weights), expected)
    assert torch.allclose(pooling.central_differences(pool, images, weights), expected, atol=1e-8)


def test_windows_that_overlap(tmp_path: Path) -> None:
    settled = etude.study("max-pool-gradient", runs_dir=tmp_path, seeds=2, size=5, kernel=3, stride=1)
    assert settled.verdict == "true"
    largest = pooling.Largest(3, 1)
    images = torch.randn(2, 3, 5, 5)
    assert torch.equal(largest(images), nn.MaxPool2d(3, 1)(images))


def filter_findings(difference: list[float]) -> Findings:
    blocks = (filters.PLAIN, filters.RESIDUAL)
    return Findings(
        (
            *(
                measured(f"weight of the middle pixel in what the layers compute, {n} block", [0.5, 0.6])
                for n in blocks
            ),
            measured("the same, residual minus plain", difference),
            *(measured(f"size of what the layers give over that of their input, {n} block", [1, 1]) for n in blocks),
        )
    )


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [([-1.0, -0.9, -1.0], "false"), ([0.0, 0.01, 0.0], "true"), ([0.8, 0.9, 0.8], "false"),
     ([-0.3, -0.1, -0.5], "undecided")],
)  # fmt: skip
def test_filters_are_judged(difference: list[float], verdict: str) -> None:
    assert filters.judge(filter_findings(difference)).verdict == verdict


def test_the_effective_filter_of_a_convolution_is_its_kernel() -> None:
    convolution = nn.Conv2d(1, 1, filters.SIDE, padding=filters.SIDE // 2)
    found = filters.effective_filter(convolution, torch.randn(3, 1, 14, 14))
    assert torch.allclose(found, convolution.weight[0, 0], atol=1e-6)


def test_a_linear_block_learns_y_or_y_minus_x() -> None:
    """The best filters in closed form: least squares on patches, for y and for y − x, differ by the identity."""
    torch.manual_seed(0)
    clean, _ = filters.digits(64)
    noisy = clean + 0.3 * torch.randn(clean.shape)
    patches = nn.functional.unfold(noisy, 3, padding=1).transpose(1, 2).reshape(-1, 9).double()
    y, x = (each.reshape(-1, 1).double() for each in (clean, noisy))
    plain, residual = (torch.linalg.lstsq(patches, target).solution[:, 0] for target in (y, y - x))
    identity = torch.zeros(9, dtype=torch.float64)
    identity[4] = 1
    assert torch.allclose(plain - residual, identity, atol=1e-9)
    assert residual[4] < 0 < plain[4]


def test_filters_study_runs(tmp_path: Path) -> None:
    settled = etude.study("residual-filters", runs_dir=tmp_path, seeds=2, steps=3, channels=2, images=16)
    whole = settled.findings["weight of the middle pixel in the output of the residual block"]
    layers = settled.findings["weight of the middle pixel in what the layers compute, residual block"]
    assert (whole - layers).values == pytest.approx([1, 1], abs=1e-5)
    assert settled.figure.exists()
