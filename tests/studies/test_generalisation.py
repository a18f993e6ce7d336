"""Studies of regularisation: dropout, L2 and weight decay, batch normalisation."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import etude
from etude.errors import UsageError
from etude.studies import Findings, measured
from etude.studies.generalisation import batch_norm_noise as norms
from etude.studies.generalisation import dropout_scaling as dropouts
from etude.studies.generalisation import l2_or_weight_decay as decay


def dropout_findings(mean: list[float], distance: list[float], relu: list[float]) -> Findings:
    return Findings(
        (
            measured(dropouts.MEAN, mean),
            measured(dropouts.DROPPED, [0.28, 0.28]),
            measured(dropouts.DISTANCE, distance),
            measured(dropouts.RELU, relu),
            measured(dropouts.SIGMOID, [0.5, 0.5]),
        )
    )


@pytest.mark.parametrize(
    ("mean", "distance", "relu", "verdict"),
    [
        ([1.0, 1.0001], [0.01, 0.02], [0, 0], "true"),
        ([0.72, 0.7201], [0.01, 0.02], [0, 0], "false"),
        ([1.0, 1.0001], [50, 50.1], [0, 0], "false"),
        ([1.0, 1.0001], [0.01, 0.02], [0.5, 0.5], "false"),
        ([0.9, 1.1], [0.01, 0.02], [0, 0], "undecided"),
    ],
)
def test_dropout_is_judged(mean: list[float], distance: list[float], relu: list[float], verdict: str) -> None:
    assert dropouts.judge(dropout_findings(mean, distance, relu)).verdict == verdict


def test_dropout_study_runs(tmp_path: Path) -> None:
    settled = etude.study("dropout-scaling", runs_dir=tmp_path, seeds=3, units=200_000)
    found = settled.findings
    assert settled.verdict == "true"
    assert found[dropouts.PRODUCT].value == pytest.approx(0.28)
    assert found[dropouts.DROPPED].value == pytest.approx(0.28, abs=3e-3)
    assert found[dropouts.UNSCALED].value == pytest.approx(0.72, abs=3e-3)
    assert found[dropouts.RELU].value == 0
    assert found[dropouts.SIGMOID].value > 0.3


def test_dropout_by_hand() -> None:
    """The largest difference with a sigmoid is at a dropped unit, σ(0) = ½ against 0, or at a kept one, scaled."""
    x, p = torch.tensor([2.0], dtype=torch.float64), 0.5
    kept = torch.sigmoid(2 * x) - 2 * torch.sigmoid(x)
    values = {dropouts.before_and_after("sigmoid", x, p, seed) for seed in range(20)}
    assert sorted(values) == pytest.approx([0.5, float(kept.abs())])


def decay_findings(sgd: list[float], momentum: list[float], adam: list[float]) -> Findings:
    return Findings(
        tuple(measured(decay.difference(n), v) for n, v in zip(decay.OPTIMIZERS, (sgd, momentum, adam), strict=True))
    )


@pytest.mark.parametrize(
    ("sgd", "momentum", "adam", "verdict"),
    [
        ([1e-15, 2e-15], [0.1, 0.11], [0.2, 0.21], "only if"),
        ([1e-15, 2e-15], [1e-15, 2e-15], [1e-15, 2e-15], "true"),
        ([0.1, 0.11], [0.1, 0.11], [0.2, 0.21], "false"),
        ([1e-15, 2e-15], [1e-15, 2e-15], [1e-15, 0.3], "undecided"),
    ],
)
def test_decay_is_judged(sgd: list[float], momentum: list[float], adam: list[float], verdict: str) -> None:
    assert decay.judge(decay_findings(sgd, momentum, adam)).verdict == verdict


@pytest.mark.parametrize("name", decay.OPTIMIZERS)
def test_both_ways_agree_with_pytorchs_optimizers(name: str) -> None:
    design, draw = decay.Decay(steps=30, seeds=2), torch.Generator().manual_seed(0)
    x, y = (torch.randn(20, n, generator=draw, dtype=torch.float64) for n in (4, 1))
    start = (torch.randn(4, 3, generator=draw, dtype=torch.float64), torch.randn(3, 1, generator=draw).double())
    make = {decay.SGD: decay.plain, decay.MOMENTUM: lambda: decay.heavy_ball(0.9), decay.ADAM: decay.adam}[name]
    rate, twice = design.learning_rate, 2 * design.penalty
    for in_loss in (True, False):
        weights = [each.clone().requires_grad_() for each in start]
        if name == decay.ADAM:
            kind = torch.optim.Adam if in_loss else torch.optim.AdamW
            optimizer = kind(weights, lr=rate, weight_decay=twice)
        elif in_loss:
            momentum = 0.9 if name == decay.MOMENTUM else 0.0
            optimizer = torch.optim.SGD(weights, lr=rate, momentum=momentum, weight_decay=twice)
        else:
            continue  # PyTorch has no SGD with decoupled decay
        for _ in range(30):
            optimizer.zero_grad()
            decay.loss((weights[0], weights[1]), x, y).backward()
            optimizer.step()
        *_, last = decay.trained(start, x, y, make(), design, in_loss=in_loss)
        assert decay.distance(last, (weights[0].detach(), weights[1].detach())) < 1e-8


def test_decay_study_runs(tmp_path: Path) -> None:
    settled = etude.study("l2-or-weight-decay", runs_dir=tmp_path, seeds=2, steps=20)
    assert settled.verdict == "only if"
    assert settled.ruling.condition == "the optimizer is plain SGD, where both multiply by 1 − 2αλ"
    assert settled.figure.exists()
    assert etude.study("l2-or-weight-decay", runs_dir=tmp_path, seeds=2, steps=5, penalty=0.0).verdict == "true"


def norm_findings(spreads: tuple[float, float], at_rest: float, ratio: list[float], fall: list[float]) -> Findings:
    return Findings(
        (
            *(measured(norms.named(size), [v, v + 1e-3]) for size, v in zip((4, 256), spreads, strict=True)),
            measured(norms.AT_REST, [at_rest, at_rest]),
            measured("spread at the largest batch over that at the smallest", ratio),
            measured(norms.FALL, fall),
            measured(norms.GAIN, [0.01, 0.02]),
        ),
        {"sizes": [4.0, 256.0]},
    )


@pytest.mark.parametrize(
    ("spreads", "at_rest", "ratio", "fall", "verdict"),
    [
        ((0.6, 0.08), 0.0, [0.13, 0.131], [0.05, 0.051], "true"),
        ((0.0, 0.0), 0.0, [0.13, 0.131], [0.05, 0.051], "false"),
        ((0.6, 0.6), 0.0, [1.0, 1.01], [0.05, 0.051], "false"),
        ((0.6, 0.08), 0.1, [0.13, 0.131], [0.05, 0.051], "false"),
        ((0.6, 0.08), 0.0, [0.13, 0.131], [-0.05, -0.051], "false"),
        ((0.6, 0.08), 0.0, [0.13, 0.131], [0.0, 0.1], "undecided"),
    ],
)
def test_noise_is_judged(
    spreads: tuple[float, float], at_rest: float, ratio: list[float], fall: list[float], verdict: str
) -> None:
    assert norms.judge(norm_findings(spreads, at_rest, ratio, fall)).verdict == verdict


@pytest.mark.parametrize(("size", "expected"), [(8, 0.44), (16, 0.31), (64, 0.16), (256, 0.08)])
def test_spreads_agree_with_published_ones(size: int, expected: float) -> None:
    draw = torch.Generator().manual_seed(0)
    examples = torch.randn(64, generator=draw, dtype=torch.float64)
    norm = nn.BatchNorm1d(200, affine=False, dtype=torch.float64)
    assert norms.spread(norm, examples, size, 200, draw) == pytest.approx(expected, rel=0.15)


def test_statistics_of_all_images_are_those_of_one_large_batch() -> None:
    torch.manual_seed(0)
    everything: Tensor = torch.randn(30, 1, norms.SIDE, norms.SIDE)
    whole = norms.Network(norms.WHOLE, 5, everything)
    batch = norms.Network(norms.BATCH, 5, everything)
    batch.load_state_dict(whole.state_dict())
    assert torch.allclose(whole(everything), batch(everything), atol=1e-5)
    assert torch.allclose(whole(everything[:4]), batch(everything)[:4], atol=1e-5)
    assert torch.allclose(whole.eval()(everything[:4]), batch(everything)[:4], atol=1e-5)


def test_noise_study_runs(tmp_path: Path) -> None:
    settled = etude.study("batch-norm-noise", runs_dir=tmp_path, seeds=2, examples=8, draws=50, epochs=1, images=40)
    assert settled.verdict in ("true", "false", "undecided")
    assert settled.findings[norms.LAW].value == pytest.approx(1, abs=0.3)
    assert settled.findings[norms.AT_REST].value < 1e-12
    assert settled.figure.exists()


def test_sizes_are_checked() -> None:
    with pytest.raises(UsageError, match=r"--sizes \(16, 4\) \(allowed: two or more, rising, from 2\)"):
        norms.BatchNorm(sizes=(16, 4))
