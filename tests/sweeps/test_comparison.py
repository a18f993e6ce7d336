"""Two cells paired by seed, against scipy's permutation test; who may be compared with whom."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from etude.errors import UsageError
from etude.sweeps import Comparisons, Sweep, compare

MakeSweep = Callable[..., Sweep]
GRID = {"epochs": [1, 2], "batch_size": [10]}
FIRST, SECOND = "epochs-1-batch_size-10", "epochs-2-batch_size-10"


def two_cells(make_sweep: MakeSweep, first: list[float], second: list[float]) -> tuple[str, str]:
    """The two sides of a comparison."""
    # The validation split says the opposite: nothing of it may show.
    sweep = make_sweep(
        GRID, {FIRST: [(1 - value, value) for value in first], SECOND: [(1 - value, value) for value in second]}
    )
    return f"{sweep.path}:epochs=1,batch_size=10", f"{sweep.path}:{SECOND}"


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.03, -0.05])
@pytest.mark.parametrize("seeds", [6, 8])
def test_the_p_value_is_that_of_the_exact_permutation_test(make_sweep: MakeSweep, shift: float, seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    first = generator.normal(0.6, 0.02, seeds).round(4)
    second = (first + shift + generator.normal(0, 0.01, seeds)).round(4)
    paired = compare(*two_cells(make_sweep, first.tolist(), second.tolist())).paired
    # Exchanging the two values of a pair is flipping the sign of their difference.
    reference = scipy.stats.permutation_test(
        (second, first), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=2**seeds
    )
    assert paired.difference == pytest.approx(np.mean(second - first), abs=1e-12)
    assert paired.p_value == pytest.approx(reference.pvalue, abs=1e-12)
    assert paired.effect_size == pytest.approx(np.mean(second - first) / np.std(second - first, ddof=1))
    assert paired.interval
    assert paired.is_significant == (paired.p_value <= 0.05) == (not paired.interval.low <= 0 <= paired.interval.high)


def test_cells_of_a_sweep_are_named_by_what_differs(make_sweep: MakeSweep) -> None:
    first, second = [0.5, 0.51, 0.52, 0.5, 0.49, 0.5], [0.7, 0.72, 0.7, 0.69, 0.7, 0.71]
    comparison = compare(*two_cells(make_sweep, first, second))
    name = comparison.baseline.name.removesuffix(f":{FIRST}")
    assert str(comparison).splitlines() == [
        "test/accuracy: epochs=2 is higher than epochs=1; epochs=2 minus epochs=1 is +0.2 on average over 6 pairs "
        "(95 % interval 0.18 to 0.21, p = 0.031, effect size 16).",
        f"  A  {name}:{FIRST}: mean 0.5033  (0.5  0.51  0.52  0.5  0.49  0.5)",
        f"  B  {name}:{SECOND}: mean 0.7033  (0.7  0.72  0.7  0.69  0.7  0.71)",
        "Paired by seed (0, 1, 2, 3, 4, 5). Compared: test/accuracy, of the test split. Higher is better.",
    ]
    assert repr(comparison) == str(comparison)
    assert str(comparison).startswith(comparison.paired.sentence)
    written = json.loads(json.dumps(comparison.to_dict()))
    assert (written["metric"], written["split"], written["num_pairs"]) == ("test/accuracy", "test", 6)
    assert written["candidate"]["values"] == {str(seed): value for seed, value in enumerate(second)}


@pytest.mark.parametrize(("seeds", "lowest"), [(1, "1"), (2, "0.5"), (5, "0.062")])
def test_fewer_than_six_pairs_claim_nothing(make_sweep: MakeSweep, seeds: int, lowest: str) -> None:
    comparison = compare(*two_cells(make_sweep, [0.5] * seeds, [0.75] * seeds))
    assert comparison.paired.sentence == (
        f"test/accuracy: epochs=2 minus epochs=1 is +0.25 on average over {seeds} pair{'s' * (seeds > 1)}; "
        f"no significance can be claimed with fewer than 6 pairs (p cannot go below {lowest})."
    )
    assert not comparison.paired.is_significant


def test_several_candidates_are_corrected(make_sweep: MakeSweep) -> None:
    shifts = {"ours": 0.0, "close": 0.001, "far": 0.2}
    wobble = [0.01, -0.02, 0.0, 0.03, -0.01, 0.02, -0.03, 0.015]
    ours, close, far = (
        make_sweep({}, {"lenet": [0.5 + shift + (each if name == "close" else 0) for each in wobble]}, name=name)
        for name, shift in shifts.items()
    )
    found = compare(ours, close, far)
    assert isinstance(found, Comparisons)
    assert (len(found), found[1].candidate.name) == (2, "far")
    alone = [compare(ours, other).paired.p_value for other in (close, far)]
    assert [each.paired.p_value for each in found] == alone
    assert [each.paired.corrected_p_value for each in found] == pytest.approx([alone[0], 2 * alone[1]])
    lines = str(found).splitlines()
    assert [line.split(";")[0] for line in lines[:2]] == [
        "test/accuracy: no difference between ours and close is shown",
        "test/accuracy: far is higher than ours",
    ]
    assert [line.split(":")[0] for line in lines[2:5]] == ["  A  ours", "  B  close", "  C  far"]
    assert lines[5] == (
        "Paired by seed (0, 1, 2, 3, 4, 5, 6, 7). Compared: test/accuracy, of the test split. Higher is better."
    )
    assert lines[-1] == (
        "Corrected for 2 comparisons by Holm's method: the verdicts hold together, each interval by itself."
    )
    assert repr(found) == str(found)
    written = json.loads(json.dumps(found.to_dict()))
    assert written["correction"] == "holm"
    assert [each["num_comparisons"] for each in written["comparisons"]] == [2, 2]


def test_a_collapsed_seed_is_noted_and_the_median_is_an_option(make_sweep: MakeSweep) -> None:
    first, second = [0.5] * 8, [0.61, 0.59, 0.6, 0.62, 0.58, 0.605, 0.1, 0.595]
    sides = two_cells(make_sweep, first, second)
    assert str(compare(*sides)).splitlines()[-1].startswith("Note: 1 of 8 differences lies more than 6 median")
    comparison = compare(*sides, test="median")
    assert comparison.paired.test == "median"
    assert "Note" not in str(comparison)


def test_two_sweeps_and_lists_of_runs_are_sides_too(make_sweep: MakeSweep) -> None:
    ours = make_sweep({}, {"lenet": [0.5, 0.6]}, name="ours")
    theirs = make_sweep({}, {"lenet": [0.7, 0.7]}, name="theirs", label_smoothing=0.1)
    assert compare(ours, theirs).paired.sentence.startswith("test/accuracy: theirs minus ours is +0.15 on average")
    runs = [",".join(str(member.path) for member in sweep.members()) for sweep in (ours, theirs)]
    comparison = compare(runs[0], runs[1])
    assert comparison.paired.sentence.startswith("test/accuracy: B minus A is +0.15 on average")
    assert comparison.baseline.values == {0: 0.5, 1: 0.6}
    # Paired by seed, in whatever order they are named.
    backwards = ",".join(reversed(runs[0].split(",")))
    assert compare(backwards, runs[1]).paired == comparison.paired


def test_by_name_in_the_folder_of_runs(make_sweep: MakeSweep, tmp_path: Path) -> None:
    make_sweep({}, {"lenet": [0.5, 0.6]}, name="ours")
    assert compare("ours", "ours", runs_dir=tmp_path / "runs").paired.difference == 0


def message(baseline: str | Sweep, candidate: str | Sweep) -> str:
    with pytest.raises(UsageError) as caught:
        compare(baseline, candidate)
    return str(caught.value)


def test_what_cannot_be_compared_says_why(make_sweep: MakeSweep) -> None:
    ours = make_sweep({}, {"lenet": [0.5, 0.6]}, name="ours")
    runs = [str(member.path) for member in ours.members()]
    failing = make_sweep({}, {"lenet": [0.5, None]}, name="failing", label_smoothing=0.1)
    part = make_sweep({}, {"lenet": [0.5]}, name="part", seeds=2)
    failed = make_sweep({}, {"lenet": [None]}, name="failed")
    mnist = make_sweep({}, {"lenet": [0.5, 0.6]}, name="mnist", data="mnist")
    gan = make_sweep({}, {"gan": [[{"train/generator_loss": 1.0}]] * 2}, name="gan", recipe="gan")
    grid = make_sweep(GRID, {FIRST: [0.5], SECOND: [0.6]}, name="grid")
    assert message(ours, failing) == (
        "the seeds do not match: ours has 0, 1, failing has 0; train the missing ones, or name runs of equal seeds, "
        "RUN,RUN,…"
    )
    assert message(ours, part) == (f"part has 1 unfinished of 2 runs: finish them with `etude resume {part.path}`.")
    assert message(ours, failed) == f"failed has no finished run: `etude show {failed.path}` says why they failed."
    assert message(ours, mnist) == (
        "ours is of digits, mnist of mnist: compare runs of the same images, scored the same way."
    )
    assert message(ours, gan) == "ours reports accuracy, gan generator_loss: compare runs of one family."
    assert message(ours, grid) == f"sweep grid has 2 cells: compare one of grid:{FIRST}, grid:{SECOND}."
    assert message(runs[0], f"{runs[0]},{runs[0]}") == (
        "two runs of lenet-seed-0,lenet-seed-0 have seed 0: leave one out."
    )
    (stopped,) = [member.path for member in failed.members()]
    assert message(runs[0], str(stopped)) == f"run {stopped} is failed: finish it with `etude resume {stopped}`."
    other = next(mnist.members()).path
    assert message(f"{runs[1]},{other}", runs[0]) == (
        "runs lenet-seed-1 (lenet on digits) and lenet-seed-0 (lenet on mnist) differ: "
        "one side of a comparison is of one family and the same images."
    )


def test_bounds_of_different_pixel_likelihoods_are_not_compared(make_sweep: MakeSweep) -> None:
    epochs = [{"test/reconstruction_nats": 150.0, "test/kl_nats": 6.0}]
    sweeps = [
        make_sweep({}, {"vae": [epochs]}, recipe="vae", name=name, epochs=1, reconstruction=name)
        for name in ("bernoulli", "gaussian")
    ]
    assert message(*sweeps) == (
        "bernoulli is of digits, bernoulli reconstruction, gaussian of digits, gaussian reconstruction: "
        "compare runs of the same images, scored the same way."
    )
    binary = make_sweep({}, {"vae": [epochs]}, recipe="vae", name="binary", epochs=1, binarize="dynamic")
    assert message(sweeps[0], binary) == (
        "bernoulli is of digits, bernoulli reconstruction, binary of digits, bernoulli reconstruction, dynamic "
        "binarisation: compare runs of the same images, scored the same way."
    )
