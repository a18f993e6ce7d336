"""Several runs and sweeps side by side: seeds in groups, what differs, means with intervals."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import etude
from etude import recipes
from etude.errors import UsageError
from etude.metrics import summarize
from etude.reports import report
from etude.reports.groups import differences, runs_of
from etude.reports.writing import Subject
from etude.runs import Run, RunStatus
from reports.made import made_sweep, never_trained
from reports.reading import Page, read


def lenet(**changes: object) -> recipes.Recipe:
    return recipes.change(recipes.get("lenet"), data="digits", **changes)


def page_of(subjects: Subject | list[Subject], path: Path) -> Page:
    page = read(report(subjects, path).path)
    page.require_self_contained()
    return page


def test_a_sweep_has_a_mean_with_its_interval_for_each_cell(tmp_path: Path) -> None:
    values = [[0.61, 0.64, 0.66], [0.81, 0.84, 0.86]]
    sweep = made_sweep(tmp_path, {"batch_size": [4, 8]}, values)
    written = report(sweep)
    assert written.path == sweep.path / "report.html"
    text = read(written.path).text
    assert text.startswith(
        "grid · étude report étude report · sweep grid ✓ finished lenet on digits: 6 runs in 2 groups"
    )
    for name, each in zip(("batch_size=4", "batch_size=8"), values, strict=True):
        interval = summarize(np.array(each)).interval
        assert interval is not None
        limits = f"{interval.low:.2f} – {interval.high:.2f}"
        assert f"{name} {np.mean(each):.2f} test accuracy, mean of 3 seeds; 95 % interval {limits}" in text
        assert f"{name} 3 {np.mean(each):.2f} {limits} 0.025 {np.mean(each):.4g}" in text
    assert "Reported: test/accuracy (test split, at the end of training). Best cell, by validation/accuracy alone: "\
        "batch_size=8." in text  # fmt: skip
    assert "Is a difference real? etude compare grid:batch_size-4 grid:batch_size-8 says so." in text
    assert "What differs group batch_size batch_size=4 4 batch_size=8 8" in text
    assert "The same in all, and not the recipe's default setting all runs default data digits cifar10" in text
    assert "etude sweep lenet --data digits --grid batch_size=4,8 --seeds 3 --device cpu --threads 1" in (
        text.replace("\\ ", "")
    )
    assert "batch_size-4-seed-1 batch_size=4 1 ✓ finished test accuracy" in text
    page = read(written.path)
    assert len([each for each in page.of("svg") if each.get("class") == "strip"]) == 2
    (curves,) = page.of("img")
    assert curves["alt"] == "learning curves of every group, with a band for the spread over its seeds"


def test_runs_that_differ_in_their_seed_are_a_group(tmp_path: Path) -> None:
    runs = [
        never_trained(tmp_path, lenet(seed=seed, batch_size=size), f"run-{size}-{seed}", accuracy=0.5 + seed / 10)
        for size in (4, 8)
        for seed in (1, 2)
    ]
    found = runs_of([], runs)
    assert [group.label for group in found.groups] == ["batch_size=4", "batch_size=8"]
    assert [group.result.values for group in found.groups] == [{1: 0.6, 2: 0.7}] * 2
    written = report([run.path for run in runs])
    assert written.path == tmp_path / "report.html"
    text = read(written.path).text
    assert "2 groups of runs ✓ finished lenet on digits: 4 runs in 2 groups" in text
    assert "batch_size=4 2 0.6 " in text or "batch_size=4 2 0.65" in text
    assert "--batch-size 8 --seed 1" in text


def test_a_run_twice_and_runs_of_other_code_or_data(tmp_path: Path) -> None:
    first, twin = (never_trained(tmp_path, lenet(), name) for name in ("first", "twin"))
    text = page_of([first, twin], tmp_path / "page.html").text
    assert "twin has the settings and the seed of first: only the latter is counted." in text
    twin.configuration["dataset"]["digest"] = "other"
    found = runs_of([], [first, twin])
    assert [group.label for group in found.groups] == ["first", "twin"]
    text = page_of([first, twin], tmp_path / "page.html").text
    assert "The settings of all groups are the same: they are of different data." in text


def test_families_are_compared_apart(tmp_path: Path) -> None:
    gan = never_trained(
        tmp_path, replace(recipes.get("gan"), data="digits"), "gan", events={"train/generator_loss": 2.0}
    )
    page = page_of([never_trained(tmp_path, lenet(), "lenet"), gan], tmp_path / "page.html")
    assert "test/accuracy (test split, at the end of training)" in page.text
    assert "train/generator_loss" in page.text
    assert "What differs setting lenet gan recipe lenet gan network lenet gan" in page.text
    assert "not the recipe's default" not in page.text


def test_what_failed_or_is_damaged_or_waits_is_named(tmp_path: Path) -> None:
    sweep = made_sweep(tmp_path, {"batch_size": [4, 8]}, [[0.5, 0.6], [0.7]])
    failed, damaged = (sweep.path / f"batch_size-4-seed-{seed}" for seed in (0, 1))
    Run(failed).write_state(RunStatus(status="failed", error=f"the loss of {failed} is no longer finite."))
    (damaged / "recipe.json").write_text("{")
    page = page_of([sweep.path, damaged], tmp_path / "page.html")
    assert "1 of 5 finished" in page.text
    assert "batch_size=4 seed 0: the loss of batch_size-4-seed-0 is no longer finite." in page.text
    assert "batch_size-4-seed-1: damaged run batch_size-4-seed-1: recipe.json cannot be read" in page.text
    assert "1 run not finished: batch_size=8 seed 1." in page.text
    assert "batch_size=4 – no run has finished" in page.text


def test_kept_metrics_are_side_by_side(trained: Callable[[str], Run], tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(trained("lenet").path, tmp_path / "measured")))
    found = etude.measure(run, metrics=["ece", "brier"], say=lambda line: None)
    ece, brier = (" ".join((each[0], each[2], each[1] or "–")) for each in (found[n].texts() for n in ("ece", "brier")))
    gan = never_trained(tmp_path, replace(recipes.get("gan"), data="digits"), "gan")
    alone = page_of([run, gan], tmp_path / "x.html").text
    assert (
        f"metric n mean 95 % interval floor brier ↓ squared error of p 1 {brier} ece ↓ calibration error 1 {ece}"
        in alone
    )
    other = never_trained(tmp_path, lenet(), "lenet")
    label = runs_of([], [run, other]).groups[0].label
    both = page_of([run, other], tmp_path / "y.html").text
    assert f"ece ↓ calibration error group n mean 95 % interval floor {label} 1 {ece}" in both
    assert f"brier ↓ squared error of p group n mean 95 % interval floor {label} 1 {brier}" in both


def test_many_groups_stay_small(tmp_path: Path) -> None:
    sweep = made_sweep(tmp_path, {"batch_size": list(range(1, 81))}, [[0.5]] * 80)
    written = report(sweep)
    assert written.num_bytes < 3_000_000
    text = read(written.path).text
    assert "The first 60 of 80 groups." in text
    assert "Curves of the first 14 of 80 groups." in text


def test_differences_are_those_of_settings() -> None:
    found = [lenet(), lenet(seed=3, epochs=7), replace(lenet(), optimizer=replace(lenet().optimizer, momentum=0.1))]
    assert differences(found) == ["epochs", "optimizer.momentum"]
    assert differences(found[:1]) == []


def test_data_is_for_one_run(tmp_path: Path) -> None:
    run = never_trained(tmp_path, lenet())
    with pytest.raises(UsageError) as caught:
        report([run, run], data="folder:x")
    assert str(caught.value) == "--data folder:x is for one run: leave it out."
