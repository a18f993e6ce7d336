"""The report of a run: what it shows, of every ability, and of runs that are unfinished or damaged."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import etude
from etude import recipes
from etude.errors import RunError
from etude.figures.catalogue import FIGURES, available
from etude.files import checked_json, parse_checked_json
from etude.reports import Report, report
from etude.runs import Run, RunStatus
from etude.runs.lock import training_lock
from reports.made import TRAINED, never_trained
from reports.reading import Page, read

MOST_BYTES = 3_000_000
SECTIONS = ["Summary", "Configuration", "Curves", "Figures", "Metrics", "Environment", "Train it again"]


def lenet(**changes: object) -> recipes.Recipe:
    return recipes.change(recipes.get("lenet"), data="digits", **changes)


@pytest.mark.parametrize("recipe", TRAINED)
def test_a_run_of_every_ability(recipe: str, trained: Callable[[str], Run], reported: Callable[[str], Report]) -> None:
    run, written = trained(recipe), reported(recipe)
    assert written.path == run.path / "report.html"
    assert written.num_bytes == written.path.stat().st_size < MOST_BYTES
    page = read(written.path)
    page.require_self_contained()
    links = [each["href"] for each in page.of("a")]
    assert [f"#{title.lower().replace(' ', '-')}" for title in SECTIONS if title != "Figures"] == [
        link for link in links if link not in ("#figures", "#samples-over-time")
    ]
    drawn = [name for name in available(run) if not FIGURES[name].on_request]
    for name in drawn:
        assert " ".join(FIGURES[name].caption.split()) in page.text, name
    assert "Left out" not in page.text
    assert all(image["alt"] for image in page.of("img"))
    assert str(run.path.parent) not in written.path.read_text("utf-8")
    assert f"Training finished: {run.recipe.epochs} epoch" in page.text
    previews = [*(run.path / "samples").glob("*")] if (run.path / "samples").exists() else []
    assert ("#samples-over-time" in links) == bool(previews)


def test_the_words_of_a_classifier(trained: Callable[[str], Run], reported: Callable[[str], Report]) -> None:
    run = trained("lenet")
    accuracy = run.metrics().last()["test/accuracy"]
    low, high = (getattr(etude.metrics.share_interval(round(accuracy * 297), 297), end) for end in ("low", "high"))
    text = read(reported("lenet").path).text
    assert text.startswith("lenet · étude report étude report · run lenet ✓ finished lenet, a classifier, on digits")
    assert (
        "lenet is a classifier: LeNet classifier, cross-entropy, SGD with momentum. Data: digits, 64 training, 20 "
        "validation, 297 test images of 1×28×28, in 10 classes. Its network lenet has 44,426 parameters."
    ) in text
    assert f"With 297 images, the 95 % interval is {low:.3f}"[:-1] in text
    assert f"{accuracy:.2f}" in text
    assert high > accuracy
    assert (
        "5 settings differ from the recipe's defaults: data digits, train_images 64, validation_images 20, epochs 2 "
        "and batch_size 16. No metric has been measured yet: etude measure lenet adds floors and intervals. One run "
        "says nothing about other seeds: a report of several runs shows how they differ."
    ) in text
    assert "What differs from the defaults setting this run default of lenet data digits cifar10" in text
    assert "Classes: 0 , 1 , 2" in text or "Classes: 0, 1, 2" in text
    assert "etude train lenet --data digits" in text
    assert "1 thread, fp32" in text
    assert "checksum of the data " + run.configuration["dataset"]["digest"] in text


def test_equal_runs_have_equal_reports(tmp_path: Path) -> None:
    run = never_trained(tmp_path, lenet())
    first, second = (report(run, tmp_path / f"{name}.html") for name in "ab")
    assert first.path.read_bytes() == second.path.read_bytes()


def test_texts_over_time_are_those_of_the_run(trained: Callable[[str], Run], reported: Callable[[str], Report]) -> None:
    run = trained("translate-luong")
    text = read(reported("translate-luong").path).text
    newest = sorted((run.path / "samples").glob("*.txt"))[-1].read_text()
    assert " ".join(newest.splitlines()[0].split()) in text
    assert "Before training source" in text


# Metrics --------------------------------------------------------------------------------------------------------------


def test_measured_numbers_have_their_intervals_and_floors(
    trained: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etude.reports.run_page.figures", lambda *_, **__: [])  # they take seconds
    run = Run(Path(shutil.copytree(trained("lenet").path, tmp_path / "lenet")))
    found = etude.measure(run, metrics=["accuracy", "ece"], say=lambda line: None)
    text = read(report(run).path).text
    value, floor, interval, number, remark = found["ece"].texts()
    assert f"ece ↓ calibration error; {remark} {value} {interval} {floor} {number}" in text
    value, _, interval, number, _ = found["accuracy"].texts()
    assert f"accuracy ↑ share right {value} {interval} – {number}" in text
    assert f"test accuracy {value} share right; 95 % interval {interval}; 297 images" in text
    assert "No metric has been measured yet" not in text

    model = run.checkpoint_path() / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    text = read(report(Run(run.path)).path).text
    assert "2 files in measures/ are left out: of other weights or settings, or damaged." in text
    assert "calibration error" not in text


# Unfinished and damaged runs ------------------------------------------------------------------------------------------


def words(run: Run) -> str:
    written = report(run)
    page = read(written.path)
    page.require_self_contained()
    return page.text


NO_CHECKPOINT = "The run has no checkpoint yet, so nothing is drawn with its networks."


@pytest.mark.parametrize(
    ("status", "badge", "sentence"),
    [
        ("interrupted", "◐ interrupted", "Training stopped after {}. etude resume run continues it."),
        ("failed", "✕ failed", "Training failed after {}: the loss is no longer finite."),
    ],
)
def test_a_run_that_did_not_finish(tmp_path: Path, status: str, badge: str, sentence: str) -> None:
    error = "the loss is no longer finite." if status == "failed" else None
    state = RunStatus(status=status, step=10, epoch=1, seconds=75.0, error=error)
    text = words(never_trained(tmp_path, lenet(), state=state))
    assert f"{badge} lenet, a classifier, on digits" in text
    assert sentence.format("1 of 3 epochs (10 steps, 1 min 15 s)") in text
    assert NO_CHECKPOINT in text
    assert "Left out: confusion, per-class-accuracy, reliability. The run has no checkpoint yet" in text


def test_a_run_in_training(tmp_path: Path) -> None:
    run = never_trained(tmp_path, lenet(), state=RunStatus(status="running", step=10, epoch=1))
    with training_lock(run.path):
        text = words(run)
    assert "● in training" in text
    assert "The run is in training, in epoch 2 of 3: this report shows what it had written up to step 10." in text


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    run = never_trained(tmp_path, lenet())
    (run.path / "metrics.jsonl").unlink()
    (run.path / "state.json").unlink()
    text = words(run)
    assert "Training stopped after 0 of 3 epochs (0 steps, 0.0 s)." in text
    assert "Recorded while training" not in text


def test_damaged_files_are_named_and_hide_nothing_else(trained: Callable[[str], Run], tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(trained("vae").path, tmp_path / "vae")))
    for preview in (run.path / "samples").iterdir():
        preview.write_bytes(b"\x89PNG nothing")
    model = run.checkpoint_path() / "model.safetensors"
    model.write_bytes(model.read_bytes()[:500])
    text = words(run)
    damage = (
        f"amaged checkpoint checkpoints/{model.parent.name}/model.safetensors: its content has changed since it was "
        f"written; delete the folder checkpoints/{model.parent.name} to use the one before it."
    )
    assert f"fp32 D{damage}" in text  # above all
    assert (f"Left out: samples, latent-plane, latent-scatter, reconstructions, interpolation. D{damage}") in text
    assert "damaged picture samples/step-000000.png: delete it." in text
    assert FIGURES["losses"].caption in text

    (run.path / "metrics.jsonl").write_text("{}\n")
    text = words(run)
    assert "Damaged run vae: metrics.jsonl has" in text
    (run.path / "state.json").write_text("{")
    text = words(run)
    assert "✕ damaged vae, a VAE, on digits" in text
    assert "How far the run got is not known, because its state.json is damaged." in text
    assert "Damaged run vae: state.json cannot be read" in text


def test_a_damaged_recipe_is_an_error(tmp_path: Path) -> None:
    run = never_trained(tmp_path, lenet())
    (run.path / "recipe.json").write_text("{")
    with pytest.raises(RunError, match=r"^damaged run .*recipe\.json cannot be read"):
        report(run.path)


def test_missing_data_is_said(trained: Callable[[str], Run], tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(trained("lenet").path, tmp_path / "lenet")))
    run.moved_data = f"npz:{tmp_path}/gone.npz"
    text = words(run)
    assert "Left out: confusion, per-class-accuracy, reliability. " in text
    assert "gone.npz" in text
    assert str(tmp_path) not in text


# Code of one's own ----------------------------------------------------------------------------------------------------

NETWORK = """
import pathlib
from torch import nn
pathlib.Path({ran!r}).touch()

class Net(nn.Module):
    def __init__(self, num_features, num_classes):
        super().__init__()
        self.fc = nn.Linear(num_features, num_classes)
    def forward(self, x):
        if self.fc.weight.abs().max() > 1e6:
            raise ValueError("<too large>")
        return self.fc(x.flatten(1))
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of a person's network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("etude.runs.code.key_path", lambda: tmp_path / "data" / "seal.key")
    monkeypatch.setattr("etude.runs.code._trusted", set())
    monkeypatch.setattr("etude.families.own_networks._programs", {})
    Path("net.py").write_text(NETWORK.format(ran=str(tmp_path / "ran")))
    few = {"epochs": 1, "train_images": 64, "threads": 1, "display": etude.training.Display(quiet=True)}
    return etude.train("classifier", network="net.py:Net", data="digits", name="mine", **few)


def test_code_from_elsewhere_is_run_only_if_it_is_trusted(own: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.families.own_networks._programs", {})
    Path("ran").unlink()
    recipe = own.path / "recipe.json"
    content, _ = parse_checked_json(recipe.read_bytes())
    content["code"] = [{**each, "seal": "0" * 64} for each in content["code"]]
    recipe.write_text(checked_json(content))
    text = words(Run(own.path))
    assert not Path("ran").exists()
    assert (
        "Left out: confusion, per-class-accuracy, reliability. Run mine has code of its own, code/net.py, and was not "
        "made here: read it, then give --trust to run it."
    ) in text
    assert "Its network Net has 7,850 parameters." in text
    assert "etude train classifier --network code/net.py:Net" in text
    assert "Run it in the folder of the run, where code/ has the files that it names." in text
    trusted = Run(own.path, trust=True)
    with torch.no_grad():
        next(trusted.networks["Net"].parameters()).fill_(1e7)
    text = words(trusted)
    assert "Left out: confusion, per-class-accuracy, reliability. Its own code failed: ValueError: <too large>." in text
    assert Path("ran").exists()


def test_recipes_of_ones_own_have_no_defaults(tmp_path: Path) -> None:
    run = never_trained(tmp_path, replace(lenet(), name="my-lenet"))
    text = words(run)
    assert "A recipe of a person's own: it has no defaults setting value" in text
    assert "Its recipe is a person's own." in text
    assert isinstance(read(run.path / "report.html"), Page)
