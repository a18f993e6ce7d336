"""epoch-steps, gradient-noise, memory and batch-doubling: rules with forged evidence, numbers by formulas."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch.nn import functional

import etude
from etude.errors import UsageError
from etude.models import LeNet
from etude.streams import stream
from etude.studies import Findings, exact, measured
from etude.studies.optimisation import batch_doubling, epoch_steps, gradient_noise, memory


def epoch_found(steps: list[float], once: list[float]) -> Findings:
    return Findings((
        measured("steps of SGD over samples", steps),
        measured("share of samples with just one step of SGD", once),
        measured("share of samples with no step of SGD", [1 - each for each in once]),
    ))  # fmt: skip


def test_a_step_per_sample_is_as_many_steps_and_one_for_each() -> None:
    assert epoch_steps.judge(epoch_found([1, 1], [1, 1])).verdict == "true"
    assert epoch_steps.judge(epoch_found([0.25, 0.25], [0, 0])).verdict == "false"
    assert epoch_steps.judge(epoch_found([1, 1], [0.37, 0.36])).verdict == "false"
    assert epoch_steps.judge(epoch_found([1, 1], [0.99, 1])).verdict == "undecided"


def test_an_epoch_has_samples_over_batch_size_steps_rounded_up(tmp_path: Path) -> None:
    settled = etude.study("epoch-steps", runs_dir=tmp_path, seeds=2, samples=50, batch_sizes=(4, 16))
    counts = {size: settled.findings[f"steps in an epoch, batch size {size}"].value for size in (1, 4, 16, 50)}
    assert counts == {1: 50, 4: 13, 16: 4, 50: 1}
    assert settled.verdict == "true"
    left_out = etude.study("epoch-steps", runs_dir=tmp_path, seeds=2, samples=50, batch_sizes=(16,), drop_last=True)
    assert left_out.findings["steps in an epoch, batch size 16"].value == 3


def test_with_replacement_a_share_of_one_over_e_has_no_step(tmp_path: Path) -> None:
    settled = etude.study("epoch-steps", runs_dir=tmp_path, seeds=2, samples=1_000, batch_sizes=(), replacement=True)
    assert settled.findings["share of samples with no step of SGD"].value == pytest.approx(math.exp(-1), abs=0.04)
    assert settled.verdict == "false"


def noise_found(powers: list[float]) -> Findings:
    return Findings((
        measured("powers of ten between the variances of the smallest and the largest batch", powers),
        measured("slope of log variance against log batch size", [-1.0, -1.0]),
    ), {"sizes": [1.0, 256.0]})  # fmt: skip


def test_sgd_has_less_variance_if_the_ratio_is_below_one() -> None:
    assert gradient_noise.judge(noise_found([2.4, 2.41])).verdict == "false"
    assert gradient_noise.judge(noise_found([-2.4, -2.41])).verdict == "true"
    assert gradient_noise.judge(noise_found([-1.0, 1.1])).verdict == "undecided"


def test_the_variance_goes_with_one_over_the_batch_size(tmp_path: Path) -> None:
    found = etude.study("gradient-noise", runs_dir=tmp_path, seeds=3, batches=100, samples=300).findings
    assert found["slope of log variance against log batch size"].value == pytest.approx(-1, abs=0.05)


def test_the_variance_of_single_samples_is_that_of_their_gradients() -> None:
    design = gradient_noise.GradientNoise(samples=200, batches=4_000, batch_sizes=(1, 10))
    gradients = gradient_noise.sample_gradients(design, 0)
    for size, share in ((1, 1.0), (10, 0.1)):
        found = gradient_noise.variance(gradients, size, design, torch.Generator().manual_seed(0))
        assert found == pytest.approx(share, rel=0.1)


def test_without_replacement_the_variance_has_the_factor_of_finite_samples() -> None:
    design = gradient_noise.GradientNoise(samples=40, batches=4_000, batch_sizes=(1, 40), replacement=False)
    gradients = gradient_noise.sample_gradients(design, 0)
    one, thirty, all_of_them = (
        gradient_noise.variance(gradients, size, design, torch.Generator().manual_seed(size)) for size in (1, 30, 40)
    )
    assert thirty / one == pytest.approx((40 - 30) / 39 / 30, rel=0.1)
    assert all_of_them == pytest.approx(0, abs=1e-9)


def test_the_gradients_of_samples_are_autograds() -> None:
    design = gradient_noise.GradientNoise(samples=6, trained_steps=0, batch_sizes=(1, 2))
    x, labels = gradient_noise.digits(6)
    found = gradient_noise.sample_gradients(design, 5)
    generator = stream(5, "initial weights")
    w1 = (torch.randn(16, 196, generator=generator) / 14).requires_grad_()
    w2 = (torch.randn(10, 16, generator=generator) / 4).requires_grad_()
    loss = functional.cross_entropy(torch.tanh(x @ w1.T) @ w2.T, labels)
    expected = torch.cat([each.flatten() for each in torch.autograd.grad(loss, [w1, w2])])
    torch.testing.assert_close(found.mean(dim=0), expected, rtol=1e-4, atol=1e-6)


def test_batches_larger_than_the_data_are_refused() -> None:
    with pytest.raises(UsageError, match="at most the number of samples"):
        gradient_noise.GradientNoise(samples=100)


def memory_found(sgd: float, full: float) -> Findings:
    sizes = {"SGD": sgd, "mini-batch": 2.0, "full batch": full}
    return Findings(
        tuple(exact(f"most memory at any time of a step, {name}, MB", each) for name, each in sizes.items())
    )


def test_sgd_needs_more_memory_if_its_peak_is_higher() -> None:
    assert memory.judge(memory_found(1.0, 80.0)).verdict == "false"
    assert memory.judge(memory_found(80.0, 1.0)).verdict == "true"
    assert memory.judge(memory_found(1.0, 1.0)).verdict == "false"


def test_what_is_kept_is_what_the_inspection_counts() -> None:
    design = memory.Memory(samples=64)
    parameters, kept, peak = memory.step_bytes(design, 64)
    model = LeNet((1, 28, 28), 10)
    assert parameters == 4 * sum(each.numel() for each in model.parameters())
    inspected = etude.inspect(model, torch.rand(64, 1, 28, 28)).saved_bytes
    images, log_probabilities, weight = 64 * 28 * 28 * 4, 64 * 10 * 4, 4  # the last two are kept by cross-entropy
    assert kept == inspected - images + log_probabilities + weight
    assert peak > kept + 2 * parameters  # the gradients as well


def test_live_tensors_are_counted_until_they_are_gone() -> None:
    start = torch.zeros(1000)
    with memory.LiveTensors(start) as live:
        for _ in range(5):
            torch.ones(500)  # gone at once
        both = [torch.ones(250), torch.ones(250)]
    assert live.peak_bytes == 4 * 1500
    assert len(both) == 2


def test_memory_grows_in_a_straight_line_with_the_batch(tmp_path: Path) -> None:
    settled = etude.study("memory", runs_dir=tmp_path, samples=101, mini_batch=51)
    peaks = [settled.findings[f"most memory at any time of a step, {name}, MB"].value
             for name in ("SGD", "mini-batch", "full batch")]  # fmt: skip
    assert peaks[1] == pytest.approx((peaks[0] + peaks[2]) / 2, rel=0.05)
    assert settled.verdict == "false"


def doubling_found(*folds: list[float]) -> Findings:
    names = ("4 to 16", "16 to 64")
    return Findings(tuple(
        measured(f"fold fewer iterations per doubling, {name}", each) for name, each in zip(names, folds, strict=True)
    ), {"sizes": [4.0, 16.0, 64.0]})  # fmt: skip


def test_doubling_halves_only_if_each_doubling_does() -> None:
    assert batch_doubling.judge(doubling_found([2.0, 2.01], [1.2, 1.21])).verdict == "false"
    assert batch_doubling.judge(doubling_found([2.0, 2.01], [1.95, 1.96])).verdict == "true"
    assert batch_doubling.judge(doubling_found([2.0, 2.01], [1.0, 2.5])).verdict == "undecided"


def test_the_regressions_side_by_side_step_as_pytorch_does() -> None:
    x, labels = batch_doubling.digits()
    other = (labels + 1) % 10
    regressions = batch_doubling.Regressions(x, torch.stack([labels, other]), torch.tensor([0.1, 0.5]))
    alone = torch.nn.Linear(64, 10)
    torch.nn.init.zeros_(alone.weight)
    torch.nn.init.zeros_(alone.bias)
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.5)
    rows = torch.randint(1500, (5, 2, 20), generator=torch.Generator().manual_seed(0))
    for each in rows:
        regressions.step(each)
        optimizer.zero_grad()
        functional.cross_entropy(alone(x[each[1]]), other[each[1]]).backward()
        optimizer.step()
    theirs = functional.cross_entropy(alone(x), other).item()
    assert regressions.losses()[1, 1].item() == pytest.approx(theirs, rel=1e-4)


def test_the_iterations_are_those_of_independent_numbers(tmp_path: Path) -> None:
    knobs = {"seeds": 2, "sizes": (256, 1024), "learning_rates": (0.6, 0.8)}
    found = etude.study("batch-doubling", runs_dir=tmp_path, **knobs).findings
    for size, iterations in ((256, 175), (1024, 145)):
        assert found[f"iterations, batch size {size}"].value == pytest.approx(iterations, rel=0.3)


def test_larger_batches_need_fewer_iterations_and_not_half(tmp_path: Path) -> None:
    settled = etude.study(
        "batch-doubling", runs_dir=tmp_path, seeds=2, sizes=(64, 1024), remaining=0.4, learning_rates=(0.1, 0.3)
    )
    few, many = (settled.findings[f"iterations, batch size {size}"].value for size in (1024, 64))
    assert few <= many < 16 * few
    assert np.isfinite([few, many]).all()


def test_a_loss_that_is_never_reached_stops_at_the_most_steps() -> None:
    design = batch_doubling.BatchDoubling(most_steps=10, seeds=2)
    x, labels = batch_doubling.digits()
    steps, rates = batch_doubling.steps_to_loss(design, 4, x, labels.expand(2, -1), torch.zeros(2))
    assert steps == [10, 10]
    assert rates == [0, 0]


def test_the_lowest_loss_is_that_of_scikit_learn() -> None:
    x, labels = batch_doubling.digits()
    labels = batch_doubling.with_wrong(labels, 0.2, torch.Generator().manual_seed(0))
    # its penalty is on weights of the principal components, scaled alike: too small to matter
    components = torch.linalg.svd(x.double(), full_matrices=False)[0][:, :60].numpy() * math.sqrt(1500)
    model = LogisticRegression(C=1e6, tol=1e-6, max_iter=200, solver="newton-cg").fit(components, labels.numpy())
    theirs = log_loss(labels.numpy(), model.predict_proba(components))
    mine = batch_doubling.lowest_loss(torch.from_numpy(components).float(), labels)
    assert mine == pytest.approx(theirs, rel=1e-4)
    assert batch_doubling.lowest_loss(x, labels) == pytest.approx(mine, abs=0.03)  # with the last 4 components


def test_the_share_of_wrong_labels_is_exact() -> None:
    labels = torch.arange(1000) % 10
    changed = batch_doubling.with_wrong(labels, 0.2, torch.Generator().manual_seed(0))
    assert int((changed != labels).sum()) == 200
