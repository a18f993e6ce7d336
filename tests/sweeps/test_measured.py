"""A sweep by the metrics of `etude measure`: the numbers are those of its runs, the validation images choose."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etude
from etude.cli import main
from etude.errors import UsageError
from etude.measurement import Measurement, Result, Settings, measure, reference_classifier
from etude.measurement.results import About
from etude.metrics import summarize
from etude.runs import Run
from etude.sweeps import Sweep, compare, load, measure_sweep
from etude.sweeps import measured as measured_module

QUICK = Settings(metrics=("fid", "coverage", "authenticity"), num_samples=200)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep `grid` of two cells of a GAN, and `plain` of a VAE without held-out images."""
    folder = tmp_path_factory.mktemp("runs")
    small: dict[str, Any] = {"data": "digits", "epochs": 1, "seeds": 2, "runs_dir": folder, "quiet": True}
    etude.sweep("gan", grid={"noise_dim": [4, 96]}, name="grid", **small)
    etude.sweep("vae", name="plain", **small)
    return folder


@pytest.fixture(autouse=True)
def _quick_classifier(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_classifier, "IMAGES_SEEN", 6_000)
    monkeypatch.setattr(reference_classifier, "cache_folder", lambda: trained.parent / "cache")


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs"))


def silent(_: str) -> None:
    pass


def test_values_summaries_and_floors_are_those_of_the_runs(folder: Path) -> None:
    sweep = load(folder / "grid")
    found = measure_sweep(sweep, QUICK, say=silent)
    assert list(found.results) == ["fid", "coverage", "authenticity"]
    for cell in found.results["fid"].cells:
        alone = [measure(Run(member.path), QUICK)["fid"] for member in sweep.members(cell.cell)]
        values = [each["value"] for each in alone]
        assert list(cell.values.values()) == values
        assert cell.summary == summarize(np.array(values))
        assert found.floor("fid", cell) == pytest.approx(np.mean([each["floor"] for each in alone]))
    assert "authenticity: Neither high nor low is better, so it chooses no cell." in found.sentences()
    written = json.loads(json.dumps(found.to_dict()))
    (first, _) = written["metrics"]["fid"]["cells"]
    assert set(first["values"]) == {"0", "1"}
    assert first["interval"][0] <= first["mean"] <= first["interval"][1]
    assert written["metrics"]["coverage"]["better"] == "higher"


@pytest.mark.parametrize("preferred", ["noise_dim-4", "noise_dim-96"])
def test_the_validation_images_choose_whatever_the_test_images_say(
    folder: Path, preferred: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = About(run="", checkpoint="last", step=1, data="digits", split="test", num_samples=10, seed=0, features=None)

    def forged(run: Run, settings: Settings, **_: Any) -> Measurement:
        is_preferred = run.name.startswith(f"{preferred}-seed")
        good = is_preferred == (settings.split == "validation")  # the two splits disagree
        return Measurement({"fid": Result({"value": 1.0 if good else 9.0, "floor": 0.5, "num_samples": 10})}, about, [])

    monkeypatch.setattr(measured_module, "measure", forged)
    found = measure_sweep(load(folder / "grid"), Settings(metrics=("fid",)), say=silent)
    results = found.results["fid"]
    assert results.best
    assert results.best.cell.name == preferred
    assert [cell.summary.mean for cell in results.cells if cell.summary] == (
        [9.0, 1.0] if preferred == "noise_dim-4" else [1.0, 9.0]
    )
    chosen = preferred.replace("dim-", "dim=")
    assert f"Best cell, by the validation split alone: fid {chosen}." in found.sentences()


def test_the_measured_validation_images_are_those_the_run_held_out(folder: Path) -> None:
    run = Run(folder / "grid" / "noise_dim-4-seed-1")
    settings = Settings(metrics=("fid",), split="validation")
    result = measure(run, settings, say=silent)
    assert result.about.split == "validation"
    assert result["fid"]["num_samples"] == run.configuration["dataset"]["validation_images"] == 150
    plain = Run(folder / "plain" / "vae-seed-0")
    with pytest.raises(UsageError) as caught:
        measure(plain, settings, say=silent)
    assert str(caught.value) == (
        "run vae-seed-0 held no images out: train with --validation-images, or leave --split out."
    )


def test_one_run_that_cannot_be_measured_fails_alone(folder: Path) -> None:
    sweep = load(folder / "grid")
    run = sweep.path / "noise_dim-4-seed-1"
    shutil.rmtree(run / "checkpoints")
    found = measure_sweep(sweep, QUICK, say=silent)
    assert [list(cell.values) for cell in found.results["fid"].cells] == [[0], [0, 1]]
    assert found.sentences()[-1] == (
        f"Failed: noise_dim=4 seed 1: run noise_dim-4-seed-1 has no checkpoint yet: train on with `etude resume {run}`."
    )


def test_comparison_by_a_metric(folder: Path) -> None:
    sides = [f"{folder / 'grid'}:noise_dim={size}" for size in (4, 96)]
    comparison = compare(sides[0], sides[1], metric="fid", settings=QUICK)
    values = [
        [measure(Run(member.path), QUICK)["fid"]["value"] for member in load(folder / "grid").members(cell)]
        for cell in load(folder / "grid").cells
    ]
    assert comparison.paired.difference == pytest.approx(np.mean(values[1]) - np.mean(values[0]))
    assert str(comparison).endswith("Compared: test/fid, of the test split. Lower is better.")
    # A score of images does not ask how pixels were scored: GAN and VAE compare by it.
    assert compare(sides[0], str(folder / "plain"), metric="fid", settings=QUICK).paired.num_pairs == 2
    with pytest.raises(UsageError) as caught:
        compare(*sides, metric="nll_nats")
    assert str(caught.value).startswith(
        "metric 'nll_nats' does not fit run noise_dim-4-seed-0, a gan: choose from fid,"
    )


OWN = """
def brightness(generated, real):
    \"\"\"How far the mean grey is from that of the real images.\"\"\"
    return abs(generated.mean() - real.mean())


brightness.better = "lower"
"""


def test_a_sweep_and_a_comparison_by_a_metric_of_ones_own(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    spec, sides = f"{file}:brightness", [f"{folder / 'grid'}:noise_dim={size}" for size in (4, 96)]
    sweep = load(folder / "grid")
    found = measure_sweep(sweep, Settings(metrics=(spec,), num_samples=100), say=silent)
    own = found.results["brightness"]

    def values(**settings: Any) -> list[list[float | None]]:
        return [
            [
                measure(Run(member.path), metrics=(spec,), **settings)["brightness"].value
                for member in sweep.members(cell)
            ]
            for cell in sweep.cells
        ]

    assert [list(cell.values.values()) for cell in own.cells] == values(num_samples=100)
    held_out = np.mean(np.array(values(num_samples=100, split="validation")), axis=1)
    assert own.best is own.cells[held_out.argmin()]

    assert main(["compare", *sides, "--metric", spec, "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    first, second = np.array(values())
    assert (compared["metric"], compared["difference"]) == ("test/brightness", pytest.approx((second - first).mean()))
    assert main(["compare", *sides, "--metric", f"{file}:dullness"]) == 2
    assert capsys.readouterr().err == (f"etude: unknown metric in {file}: 'dullness': choose from brightness.\n")


def test_nats_say_how_many_images_and_latents_and_which_pixels(folder: Path) -> None:
    sweep = load(folder / "plain")
    settings = Settings(metrics=("nll_nats", "negative_elbo_nats"), num_importance=5, num_likelihood_images=20)
    grey = measure_sweep(sweep, settings, say=silent).sentences()
    assert grey[1:3] == ["nll_nats: 20 images, grey pixels.", "negative_elbo_nats: 297 images, grey pixels."]
    assert grey[-1].startswith("Note: grey pixels: these nats bound a cross-entropy and are no likelihood;")
    binary = measure_sweep(sweep, replace(settings, binarize="dynamic"), say=silent).sentences()
    assert binary[1] == "nll_nats: 20 images, dynamic binarisation."
    assert not any(sentence.startswith("Note") for sentence in binary)


def command(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_the_command_makes_one_table_of_several_sweeps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["measure", folder / "grid", folder / "plain", "--metrics", "fid,kid", "--num-samples", 200]
    lines = command(capsys, *words, "--out", folder / "table.md").splitlines()
    assert [line.split()[:4] for line in lines[2:4]] == [["fid", "↓", "grid", f"noise_dim={size}"] for size in (4, 96)]
    assert lines[4].split()[:4] == ["fid", "↓", "plain", "2"]
    markdown = (folder / "table.md").read_text().splitlines()
    assert markdown[0] == "| metric | cell | n | mean | sd | 95 % interval | validation mean | floor |"
    assert markdown[1] == "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert [line.split(" | ")[1].removesuffix(" *") for line in markdown[2:8]] == [
        "grid noise_dim=4", "grid noise_dim=96", "plain", "grid noise_dim=4", "grid noise_dim=96", "plain",
    ]  # fmt: skip
    command(capsys, *words, "--out", folder / "runs.csv")
    rows = list(csv.DictReader((folder / "runs.csv").read_text().splitlines()))
    assert [row["sweep"] for row in rows] == ["grid"] * 4 + ["plain"] * 2
    assert {"noise_dim", "seed", "fid", "fid_floor", "kid"} <= set(rows[0])
    shown = json.loads(command(capsys, *words, "--json"))
    assert [each["recipe"] for each in shown["sweeps"]] == ["gan", "vae"]
    compared = command(capsys, "compare", folder / "plain", folder / "plain", "--metric", "authenticity")
    assert "Neither high nor low is better" in compared


MISTAKES = {
    "": "name a run or a sweep to measure: `etude runs` lists them.",
    "RUNS/grid --metrics accuracy": "metric 'accuracy' does not fit run noise_dim-4-seed-0, a gan: choose from fid,",
    "RUNS/grid --split validation": "a sweep is reported on its test split and chosen by its validation split:",
    "RUNS/grid --out table.txt": "--out table.txt (allowed: FILE.md, a table, or FILE.csv, one row per run).",
    "RUNS/plain/vae-seed-0 --out t.md": "--out t.md is for sweeps, and RUNS/plain/vae-seed-0 is a run: leave it out,",
    "RUNS/grid RUNS/plain/vae-seed-0": "RUNS/plain/vae-seed-0 is a run, not a sweep: name a single run, or",
    "RUNS/grid --binarize dynamic": "--binarize dynamic is for the pixels of a VAE, and run noise_dim-4-seed-0 is a",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line(words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", *words.replace("RUNS", str(folder)).split()]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"etude: {MISTAKES[words].replace('RUNS', str(folder))}")


def test_a_sweep_without_a_finished_run(make_sweep: Callable[..., Sweep]) -> None:
    sweep = make_sweep({}, {"gan": [None]}, recipe="gan")
    with pytest.raises(UsageError) as caught:
        measure_sweep(sweep, say=silent)
    assert str(caught.value) == f"sweep {sweep.path} has no finished run: `etude show {sweep.path}` says why."


def test_a_sweep_over_texts_says_what_it_measured(folder: Path) -> None:
    small: dict[str, Any] = {"width": 8, "epochs": 1, "seeds": 1, "runs_dir": folder, "quiet": True}
    etude.sweep("char-lstm", data="cue", grid={"bptt": [5, 20]}, name="texts", **small)
    found = " ".join(measure_sweep(load(folder / "texts"), Settings(metrics=("accuracy",)), say=silent).sentences())
    assert "Measured: 8,000 test symbols of cue" in found
    assert "tie on the validation split" in found
