"""Studies of GANs that train: each rule of a verdict, forged both ways, and each experiment in small."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import etude
from etude.errors import UsageError
from etude.studies import Evidence, Findings, exact, measured
from etude.studies.gans import (
    fifty_percent,
    leak_into_generator,
    least_squares,
    losses_as_signs,
    mode_collapse,
    noise_distribution,
    pretrained_discriminator,
)

TINY: dict[str, Any] = {"seeds": 2, "steps": 20, "batch_size": 8, "width": 4}


def logs(what: str, *ratios: float) -> Evidence:
    """The logarithms of ratios, one per seed."""
    return measured(f"log10 of the {what}", [math.log10(each) for each in ratios])


def leaks(added: tuple[float, ...], both: tuple[float, ...]) -> Findings:
    names = leak_into_generator.LEAKS
    return Findings(
        tuple(logs(f"{leak_into_generator.RATIO}{arm}", *each) for arm, each in zip(names, (added, both), strict=True))
    )


@pytest.mark.parametrize(
    ("added", "both", "verdict"),
    [
        ((3, 4, 3.5), (6, 7, 8), "false"),
        ((1, 1.02, 1.01), (6, 7, 8), "false"),
        ((1, 1.02, 1.01), (0.9, 0.8, 0.85), "true"),
        ((1, 1.02, 1.01), (0.2, 5, 1), "undecided"),
    ],
)
def test_the_verdict_on_leaks(added: tuple[float, ...], both: tuple[float, ...], verdict: str) -> None:
    assert leak_into_generator.judge(leaks(added, both)).verdict == verdict


def test_the_study_of_leaks(tmp_path: Path) -> None:
    found = etude.study("leak-into-generator", runs_dir=tmp_path, **TINY)
    assert found.findings["largest change of a point by a gradient that is cleared"].value == 0
    detached, added = (
        found.findings[f"distance from the data, {arm}"].values for arm in ("detached", "gradient added")
    )
    assert detached != added


def test_leaked_gradients_of_the_minimax_loss_cancel(tmp_path: Path) -> None:
    """By a logit the discriminator's loss has the gradient σ(s), the generator's −σ(s)."""
    logits = torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True)
    of_discriminator = -(1 - logits.sigmoid()).log()
    for of_generator, total in [
        ((1 - logits.sigmoid()).log(), torch.zeros_like(logits)),
        (-logits.sigmoid().log(), 2 * logits.sigmoid() - 1),
    ]:
        (gradient,) = torch.autograd.grad((of_discriminator + of_generator).sum(), logits, retain_graph=True)
        torch.testing.assert_close(gradient, total.detach())


def noises(normal: tuple[float, ...], changing: tuple[float, ...]) -> Findings:
    ratios = zip(noise_distribution.ARMS[1:], (normal, changing, (1.0, 1.1)), strict=True)
    return Findings(tuple(logs(f"{noise_distribution.RATIO}{arm}", *each) for arm, each in ratios))


@pytest.mark.parametrize(
    ("normal", "changing", "verdict"),
    [
        ((1, 1.05, 0.95), (3, 4, 3.5), "false"),
        ((1, 1.05, 0.95), (1, 1.1, 1.05), "true"),
        ((2, 2.1, 2.2), (1, 1.1, 1.05), "false"),
        ((1, 1.05, 0.95), (0.5, 3, 1), "undecided"),
    ],
)
def test_the_verdict_on_noise(normal: tuple[float, ...], changing: tuple[float, ...], verdict: str) -> None:
    assert noise_distribution.judge(noises(normal, changing)).verdict == verdict


def test_the_study_of_noise(tmp_path: Path) -> None:
    found = etude.study("noise-distribution", runs_dir=tmp_path, **TINY)
    assert len({each.values for each in found.findings}) == 7


def test_noise_changes_between_batches_or_between_samples() -> None:
    design = noise_distribution.Noise(seeds=2, shift=5, scale=3, noise_dim=3)
    by_batch = noise_distribution.changing_batches(design, "noise", 200, per_sample=False)
    means = np.stack([next(by_batch).mean(1).numpy() for _ in range(150)])  # (batches, seeds, noise_dim)
    assert means.std() == pytest.approx(5 / math.sqrt(3), rel=0.1)
    by_sample = noise_distribution.changing_batches(design, "noise", 200, per_sample=True)
    steady = np.stack([next(by_sample).mean(1).numpy() for _ in range(150)])
    assert steady.std() < 0.3
    plain = noise_distribution.Noise(seeds=2, shift=0, scale=1, noise_dim=3)
    noise = next(noise_distribution.changing_batches(plain, "noise", 5000, per_sample=True))
    # Half of it is uniform in [-1, 1], of variance 1/3, half from N(0, 1).
    assert noise.var().item() == pytest.approx((1 / 3 + 1) / 2, rel=0.05)


def modes(*shares: tuple[int, list[float]]) -> Findings:
    return Findings(tuple(measured(f"{mode_collapse.MODES}{steps}", each) for steps, each in shares))


@pytest.mark.parametrize(
    ("findings", "verdict", "condition"),
    [
        (
            modes((1, [1.0, 1.0]), (5, [0.1, 0.125])),
            "only if",
            "up to 1 of its steps per step of the discriminator, not with 5",
        ),
        (
            modes((5, [0.1, 0.125]), (1, [1.0, 1.0]), (2, [1.0, 0.99])),
            "only if",
            "up to 2 of its steps per step of the discriminator, not with 5",
        ),
        (modes((1, [1.0, 1.0]), (5, [0.99, 1.0])), "true", ""),
        (modes((1, [0.1, 0.2]), (5, [0.1, 0.125])), "false", ""),
        (modes((1, [0.1, 0.2]), (5, [1.0, 1.0])), "false", ""),
        (modes((1, [1.0, 0.2]), (5, [0.1, 0.1])), "undecided", ""),
    ],
)
def test_the_verdict_on_modes(findings: Findings, verdict: str, condition: str) -> None:
    ruling = mode_collapse.judge(findings)
    assert ruling.verdict == verdict
    assert condition in ruling.condition


def test_modes_are_counted() -> None:
    design = mode_collapse.ModeCollapse(num_modes=6, std=0.05)
    real = mode_collapse.ring_points(design, 600, "points")
    share, covered = mode_collapse.modes_of(real, 6, 0.05)
    assert share > 0.99  # within 4 standard deviations of the plane: 1 − e⁻⁸
    assert covered == 6
    lost = real[torch.arange(600) % 6 < 4]
    assert mode_collapse.modes_of(lost, 6, 0.05)[1] == 4
    assert mode_collapse.modes_of(torch.zeros(10, 2), 6, 0.05) == (0.0, 0)
    one = mode_collapse.modes_of(mode_collapse.centres(6)[2].expand(10, 2), 6, 0.05)
    assert one == (1.0, 1)
    np.testing.assert_allclose(mode_collapse.centres(4), [[2, 0], [0, 2], [-2, 0], [0, -2]], atol=1e-6)


def test_the_study_of_modes(tmp_path: Path) -> None:
    found = etude.study("mode-collapse", runs_dir=tmp_path, generator_steps=(1, 2), **TINY)
    assert len(found.findings.evidence) == 10
    assert 0 <= found.findings[f"{mode_collapse.MODES}2"].value <= 1
    with pytest.raises(UsageError, match=r"--generator-steps \(2, 2\) \(allowed: one or more different numbers"):
        mode_collapse.ModeCollapse(generator_steps=(2, 2))


def signs(stopped_g: float, stopped_d: float, *ratios: float) -> Findings:
    even, stopped = losses_as_signs.ARMS
    shake = np.array([-0.01, 0, 0.01])
    return Findings(
        (
            measured(f"{losses_as_signs.G_LOSS}, {even}", [0.69, 0.7, 0.71]),
            measured(f"{losses_as_signs.D_LOSS}, {even}", [1.38, 1.39, 1.4]),
            measured(f"{losses_as_signs.G_LOSS}, {stopped}", (stopped_g + shake).tolist()),
            measured(f"{losses_as_signs.D_LOSS}, {stopped}", (stopped_d + shake).tolist()),
            measured(
                f"fall of the {losses_as_signs.G_LOSS} since step 3, {stopped}", (0.9 - stopped_g + shake).tolist()
            ),
            logs(losses_as_signs.RATIO, *ratios),
        )
    )


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        (signs(0.02, 7, 20, 30, 15), "false"),
        (signs(0.02, 7, 0.5, 0.4, 0.6), "true"),
        (signs(0.02, 7, 0.1, 30, 1), "undecided"),
        (signs(0.95, 7, 20, 30, 15), "undecided"),
        (signs(0.02, 1.2, 20, 30, 15), "undecided"),
    ],
)
def test_the_verdict_on_losses_as_signs(findings: Findings, verdict: str) -> None:
    assert losses_as_signs.judge(findings).verdict == verdict


def test_the_study_of_losses_as_signs(tmp_path: Path) -> None:
    found = etude.study("losses-as-signs", runs_dir=tmp_path, stop=10, **TINY)
    even, stopped = losses_as_signs.ARMS
    for name in (losses_as_signs.G_LOSS, losses_as_signs.D_LOSS):
        curves = [found.findings.curves[f"{name}, {arm}"] for arm in (even, stopped)]
        assert curves[0][:11] == curves[1][:11]
        assert curves[0][-1] != curves[1][-1]
    with pytest.raises(UsageError, match=r"--stop 20 \(allowed: less than --steps\)"):
        losses_as_signs.Signs(steps=20, stop=20)


def halves(accuracies: list[float], *ratios: tuple[float, ...]) -> Findings:
    starts = [measured(f"accuracy of the discriminator, {start}", accuracies) for start in fifty_percent.STARTS]
    changes = [
        logs(fifty_percent.ratio_name(start, 10), *each)
        for start, each in zip(fifty_percent.STARTS, ratios, strict=True)
    ]
    return Findings((*starts, *changes))


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        (halves([0.5, 0.52, 0.48], (1.9, 2, 2.1), (1.1, 1.2, 1.15)), "false"),
        (halves([0.5, 0.52, 0.48], (1.9, 2, 2.1), (0.7, 0.72, 0.71)), "true"),
        (halves([0.5, 0.52, 0.48], (1.9, 2, 2.1), (0.5, 1.5, 1)), "undecided"),
        (halves([0.9, 0.92, 0.88], (1.9, 2, 2.1), (1.1, 1.2, 1.15)), "undecided"),
    ],
)
def test_the_verdict_on_fifty_percent(findings: Findings, verdict: str) -> None:
    assert fifty_percent.judge(findings).verdict == verdict


def test_the_study_of_fifty_percent(tmp_path: Path) -> None:
    found = etude.study("fifty-percent", runs_dir=tmp_path, more_steps=(1, 3), **TINY)
    assert len(found.findings.curves["distance, trained players"]) == 3
    with pytest.raises(UsageError, match=r"--more-steps \(3, 1\) \(allowed: one or more rising numbers"):
        fifty_percent.FiftyPercent(more_steps=(3, 1))


def starts(*ratios: tuple[float, ...]) -> Findings:
    return Findings(
        tuple(logs(f"{pretrained_discriminator.RATIO}{place}", *each) for place, each in enumerate(ratios, 1))
    )


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        (starts((0.5, 0.55, 0.6), (2, 3, 4)), "true"),
        (starts((1, 1.02, 1.01), (2, 3, 4)), "false"),
        (starts((1, 1.02, 1.01), (0.3, 3, 1)), "undecided"),
    ],
)
def test_the_verdict_on_a_head_start(findings: Findings, verdict: str) -> None:
    assert pretrained_discriminator.judge(findings).verdict == verdict


def test_the_study_of_head_starts(tmp_path: Path) -> None:
    found = etude.study("pretrained-discriminator", runs_dir=tmp_path, head_starts=(1, 5), **TINY)
    curves = found.findings.curves
    assert curves["distance 0"][0] == curves["distance 5"][0]  # the generator has not moved
    assert curves["distance 0"][-1] != curves["distance 5"][-1]
    with pytest.raises(UsageError, match=r"--head-starts \(0,\) \(allowed: one or more different numbers from 1"):
        pretrained_discriminator.HeadStart(head_starts=(0,))


def squares(ratio: float, *differences: float) -> Findings:
    names = ("least-squares", "non-saturating")
    return Findings(
        (
            exact(f"{least_squares.RATIO}5", ratio),
            *(measured(f"{least_squares.SPREAD}{name} loss", [0.1, 0.2]) for name in names),
            measured(least_squares.DIFFERENCE, differences),
        )
    )


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        (squares(500, -0.1, -0.12, -0.11), "true"),
        (squares(500, 0.1, 0.12, 0.11), "false"),
        (squares(0.5, -0.1, -0.12, -0.11), "false"),
        (squares(500, -0.1, 0.1, 0.05), "undecided"),
    ],
)
def test_the_verdict_on_least_squares(findings: Findings, verdict: str) -> None:
    assert least_squares.judge(findings).verdict == verdict


def test_gradients_beyond_the_boundary_are_those_of_the_formulas() -> None:
    scores = np.array([-3.0, 0.0, 1.0, 6.0])
    np.testing.assert_allclose(least_squares.gradients("least-squares", scores.tolist()), np.abs(scores - 1))
    expected = 1 / (1 + np.exp(scores))
    np.testing.assert_allclose(least_squares.gradients("non-saturating", scores.tolist()), expected, rtol=1e-7)


def test_the_study_of_least_squares(tmp_path: Path) -> None:
    found = etude.study("least-squares", runs_dir=tmp_path, beyond=(5.0,), **{**TINY, "seeds": 5})
    ratio = found.findings[f"{least_squares.RATIO}5"].value
    assert ratio == pytest.approx(4.5 * (1 + math.exp(5)))
    with pytest.raises(
        UsageError, match=r"--beyond \(0.0,\) \(allowed: one or more different numbers above 0, up to 30"
    ):
        least_squares.LeastSquares(beyond=(0.0,))
