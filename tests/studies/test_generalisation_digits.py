"""Studies that train on the digits: convolutions, remedies against overfitting, wrong labels, batches and epochs."""

from pathlib import Path

import pytest
import torch
from torch import nn

import etude
from etude.errors import UsageError
from etude.studies import Findings, measured
from etude.studies.generalisation import batch_and_epochs as grid
from etude.studies.generalisation import label_noise as noise
from etude.studies.generalisation import overfitting_remedies as remedies
from etude.studies.generalisation import small_digits
from etude.studies.generalisation import why_convolutions as convolutions


def convolution_findings(lead: float, permuted: float, cnn: float, mlp: float, shift: float = 1e-16) -> Findings:
    values = {
        convolutions.LEAD: lead,
        convolutions.PERMUTED_LEAD: permuted,
        convolutions.CNN_LOSS: cnn,
        convolutions.MLP_LOSS: mlp,
        convolutions.SHIFT_CONV: shift,
    }
    return Findings(tuple(measured(name, [value, value]) for name, value in values.items()))


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.07, -0.02, 0.09, 0.0), "true"),
        ((-0.03, -0.12, 0.09, 0.0), "false"),
        ((0.07, 0.07, 0.0, 0.0), "false"),
        ((0.07, 0.02, 0.09, 0.05), "false"),
        ((0.07, -0.02, 0.09, 0.0, 0.5), "false"),
    ],
)
def test_convolutions_are_judged(values: tuple[float, ...], verdict: str) -> None:
    assert convolutions.judge(convolution_findings(*values)).verdict == verdict


def test_a_lead_within_the_margin_is_undecided() -> None:
    found = convolution_findings(0.07, -0.02, 0.09, 0.0).with_values({convolutions.LEAD: [0.0, 0.07]})
    assert convolutions.judge(found).verdict == "undecided"


def test_convolutions_study_runs(tmp_path: Path) -> None:
    settled = etude.study("why-convolutions", runs_dir=tmp_path, seeds=2, images=40, epochs=1, channels=2)
    found = settled.findings
    assert found["parameters, convolution 3→6 of 5×5"].value == 456
    assert found["parameters, linear layer of the same sizes"].value == 14_455_392
    assert found[convolutions.SHIFT_CONV].value < 1e-12
    assert found[convolutions.SHIFT_LINEAR].value > 0.5
    assert settled.figure.exists()


def test_an_mlp_with_permuted_weights_does_not_notice_a_permutation() -> None:
    examples = convolutions.placed(small_digits.digits(14)[:20], 3, 0)
    network, other = small_digits.mlp(400, 8), small_digits.mlp(400, 8)
    other.load_state_dict(network.state_dict())
    mixed = convolutions.permuted(examples, 3)
    order = convolutions.permuted(small_digits.Examples(torch.arange(400.0).view(1, 1, 20, 20), torch.zeros(1)), 3)
    first = other[1]
    assert isinstance(first, nn.Linear)
    first.weight.data = first.weight.data[:, order.images.flatten().long()]
    assert torch.allclose(network(examples.images), other(mixed.images), atol=1e-5)


def test_digits_are_moved_whole() -> None:
    examples = small_digits.digits(14)[:50]
    moved = convolutions.placed(examples, 3, 1)
    assert torch.allclose((moved.images + 1).sum((1, 2, 3)), (examples.images + 1).sum((1, 2, 3)), rtol=1e-5)
    still = convolutions.placed(examples, 0, 1)
    assert torch.equal(still.images[:, :, 3:17, 3:17], examples.images)
    assert not torch.equal(moved.images, still.images)


def remedy_findings(learnt: float, gains: tuple[float, float, float, float]) -> Findings:
    return Findings(
        (
            measured(f"training accuracy, {remedies.BEFORE}", [learnt, learnt]),
            measured(f"test accuracy, {remedies.BEFORE}", [0.3, 0.3]),
            *(measured(remedies.gain(n), [v, v + 1e-4]) for n, v in zip(remedies.REMEDIES, gains, strict=True)),
        )
    )


@pytest.mark.parametrize(
    ("learnt", "gains", "verdict"),
    [
        (1.0, (0.3, 0.1, 0.1, 0.0), "true"),
        (1.0, (0.3, 0.1, 0.1, 0.1), "false"),
        (1.0, (0.0, 0.1, 0.1, 0.0), "false"),
        (1.0, (0.3, -0.1, 0.1, 0.0), "false"),
        (1.0, (0.3, 0.1, 0.0, 0.0), "false"),
        (0.8, (0.3, 0.1, 0.1, 0.0), "false"),
    ],
)
def test_remedies_are_judged(learnt: float, gains: tuple[float, float, float, float], verdict: str) -> None:
    assert remedies.judge(remedy_findings(learnt, gains)).verdict == verdict


def test_a_remedy_that_may_help_leaves_it_open() -> None:
    found = remedy_findings(1.0, (0.3, 0.1, 0.1, 0.0)).with_values({remedies.gain(remedies.PENALTY): [0.0, 0.2]})
    assert remedies.judge(found).verdict == "undecided"


def test_remedies_study_runs(tmp_path: Path) -> None:
    settled = etude.study(
        "overfitting-remedies", runs_dir=tmp_path, seeds=2, steps=6, more_images=200, bigger_width=128
    )
    gained = settled.findings[remedies.gain(remedies.MORE)]
    after, before = (settled.findings[f"test accuracy, {n}"] for n in (remedies.MORE, remedies.BEFORE))
    assert gained.value == pytest.approx(after.value - before.value)
    assert settled.figure.exists()


def test_the_l2_penalty_is_in_the_loss() -> None:
    examples, network = small_digits.digits(7)[:30], small_digits.mlp(49, 4)
    other = small_digits.mlp(49, 4)
    other.load_state_dict(network.state_dict())
    small_digits.train(network, iter([examples] * 5), learning_rate=0.01, l2=0.05)
    optimizer = torch.optim.Adam(other.parameters(), lr=0.01)
    for _ in range(5):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(other(examples.images), examples.labels)
        (loss + 0.05 * sum(each.square().sum() for each in other.parameters())).backward()
        optimizer.step()
    for one, same in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one, same, atol=1e-5)


def noise_findings(fitted: list[float]) -> Findings:
    pairs = [(0.0, [1.0, 1.0]), (0.9, fitted)]
    evidence = [measured(noise.named(noise.TRAIN, share), values) for share, values in pairs]
    evidence += [measured(noise.named(noise.TEST, share), [0.1, 0.1]) for share, _ in pairs]
    return Findings(tuple(evidence), {"shares": [0.0, 0.9]})


@pytest.mark.parametrize(
    ("fitted", "verdict"),
    [([1.0, 0.999], "false"), ([0.3, 0.31], "true"), ([0.9, 1.0], "undecided")],
)
def test_label_noise_is_judged(fitted: list[float], verdict: str) -> None:
    assert noise.judge(noise_findings(fitted)).verdict == verdict


def test_label_noise_study_runs(tmp_path: Path) -> None:
    settled = etude.study("label-noise", runs_dir=tmp_path, seeds=2, steps=5, shares=(0.0, 0.5), images=50)
    assert settled.findings[noise.named(noise.CHOSEN, 0.5)].value <= 1
    assert settled.figure.exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_wrong_labels_are_wrong(share: float) -> None:
    examples = small_digits.digits(7)
    changed = small_digits.with_wrong_labels(examples, share, 5)
    wrong = (changed.labels != examples.labels).double().mean()
    assert float(wrong) == pytest.approx(share, abs=0.04 if 0 < share < 1 else 0)
    assert set(changed.labels.tolist()) == set(range(10))


def test_divisions_are_disjoint() -> None:
    numbered = small_digits.Examples(torch.arange(1797.0), torch.arange(1797))
    parts = small_digits.divided(numbered, (100, 50), 0)
    assert [len(each) for each in parts] == [100, 50, 1647]
    assert len(set(torch.cat([each.labels for each in parts]).tolist())) == 1797


def grid_findings(short: list[float], long: list[float]) -> Findings:
    return Findings(
        (measured(grid.lead(5), short), measured(grid.lead(20), long), measured(grid.EQUAL_STEPS, [0.0, 0.01])),
        {"epochs": [5.0, 20.0]},
    )


@pytest.mark.parametrize(
    ("short", "long", "verdict"),
    [
        ([0.5, 0.52], [0.03, 0.031], "true"),
        ([0.045, 0.046], [-0.023, -0.024], "only if"),
        ([-0.5, -0.52], [-0.03, -0.031], "false"),
        ([0.5, 0.52], [0.03, -0.01], "undecided"),
    ],
)
def test_the_grid_is_judged(short: list[float], long: list[float], verdict: str) -> None:
    assert grid.judge(grid_findings(short, long)).verdict == verdict


def test_the_grid_of_the_results_page_is_judged() -> None:
    """The leads on CIFAR-10 in docs/results.md: 4.5 points after 5 epochs, −2.3 after 20."""
    ruling = grid.judge(grid_findings([0.045, 0.04, 0.05], [-0.023, -0.02, -0.026]))
    assert ruling.condition == "training is short: 5 epochs, and not 20"


def test_the_grid_study_trains_and_trains_nothing_twice(tmp_path: Path) -> None:
    knobs = {"seeds": 2, "epochs": (1,), "batch_sizes": (8, 16), "train_images": 16, "jobs": 1}
    first = etude.study("batch-and-epochs", runs_dir=tmp_path, **knobs)
    assert len(first.findings[grid.lead(1)].values) == 2
    again = etude.study("batch-and-epochs", runs_dir=tmp_path, **knobs)
    assert again.findings == first.findings


def test_two_batch_sizes_are_needed() -> None:
    with pytest.raises(UsageError, match=r"--batch-sizes \(16, 4\) \(allowed: two, rising, from 1\)"):
        grid.Grid(batch_sizes=(16, 4))
