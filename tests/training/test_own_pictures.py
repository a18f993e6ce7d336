"""Training on a person's own pictures: their validation split, broken ones left out, pictures without classes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import etude
from etude.data import Dataset, Images, Split, load
from etude.errors import DataError, Interrupted, UsageError
from etude.figures.catalogue import draw_all
from etude.measurement import Settings, measure
from etude.runs import Run, splits
from etude.runs.splits import make_rows, make_splits
from etude.training import Display, loop, resume

QUIET = Display(quiet=True)


def picture(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(level).integers(0, 40, (32, 32), dtype=np.uint8)
    Image.fromarray(noise + np.uint8(level)).save(path)


def split_folder(root: Path, *, validation: str = "val") -> str:
    """Two classes, 8 pictures of each to train on, 3 to validate, 2 to test."""
    for split, count in (("train", 8), (validation, 3), ("test", 2)):
        for name in ("a", "b"):
            for number in range(count):
                picture(root / split / name / f"{number}.png", 10 * number + 100 * (name == "b"))
    return f"folder:{root}"


def train(recipe: str, folder: Path, **changes: Any) -> Run:
    how = {"epochs": 2, "batch_size": 4, "threads": 1, "display": QUIET, **changes}
    return etude.train(recipe, runs_dir=folder, **how)


def made_up(*, train: int, validation: int | None) -> Dataset:
    def split(count: int, start: int) -> Split:
        numbers = torch.arange(start, start + count)
        return Split(images=numbers.reshape(-1, 1, 1, 1).to(torch.uint8), labels=numbers)

    return Dataset(
        name="x", kind=Images(shape=(1, 1, 1), class_names=("a", "b")), train=split(train, 0), test=split(2, 200),
        validation=None if validation is None else split(validation, 100), licence="", source="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "train_images", "validation_images"),
    [
        ({}, range(50), range(100, 120)),
        ({"validation_images": 0}, range(50), range(100, 120)),
        ({"train_images": 7}, range(7), range(100, 120)),
        ({"validation_images": 5}, range(50), None),
    ],
)
def test_the_validation_split_of_the_data_validates(
    changes: dict[str, Any], train_images: range, validation_images: range | None
) -> None:
    recipe = etude.recipes.change(etude.recipes.get("lenet"), **changes)
    parts = make_splits(recipe, made_up(train=50, validation=20))
    assert parts.train.labels.tolist() == list(train_images)
    chosen = parts.validation.labels.tolist()
    if validation_images is not None:
        assert chosen == list(validation_images)
    else:
        assert len(set(chosen)) == 5
        assert chosen == sorted(chosen)
        assert set(chosen) <= set(range(100, 120))
        other = make_splits(etude.recipes.change(recipe, seed=1), made_up(train=50, validation=20))
        assert other.validation.labels.tolist() != chosen


def test_too_many_validation_images() -> None:
    recipe = etude.recipes.change(etude.recipes.get("lenet"), validation_images=21)
    with pytest.raises(UsageError) as error:
        make_rows(recipe, made_up(train=50, validation=20))
    assert str(error.value) == (
        "out of range: --validation-images 21 (allowed: 0 to 20, the images of the validation split of x)."
    )


def test_without_one_images_are_held_out_as_before() -> None:
    recipe = etude.recipes.get("lenet")
    rows = make_rows(recipe, made_up(train=50, validation=None))
    assert (len(rows.train), len(rows.validation)) == (45, 5)
    assert not set(rows.train.tolist()) & set(rows.validation.tolist())


def test_a_run_validates_on_val(tmp_path: Path) -> None:
    """What training says of the validation split is what the final network says of the pictures in val/."""
    name = split_folder(tmp_path / "pictures", validation="valid")
    run = train("lenet", tmp_path / "runs", data=name)
    recorded = run.configuration["dataset"]
    assert (recorded["train_images"], recorded["validation_images"], recorded["test_images"]) == (16, 6, 4)
    assert recorded["validation_split"] is True
    assert recorded["notes"] == ["splits: train/ trains, valid/ validates, test/ tests"]
    validation = load(name).validation
    assert validation
    right = (run.classify(validation.images).argmax(dim=1) == validation.labels).double().mean().item()
    assert run.metrics().last()["validation/accuracy"] == pytest.approx(right)
    measured = measure(run, Settings(metrics=("accuracy",), split="validation"))
    assert (measured["accuracy"]["value"], measured["accuracy"]["num_samples"]) == (pytest.approx(right), 6)
    assert draw_all(run, formats=("png",))


def test_a_vae_validates_on_val_as_well(tmp_path: Path) -> None:
    """Its recipe holds nothing out, which costs images to train on; val/ costs none."""
    run = train("vae", tmp_path / "runs", data=split_folder(tmp_path / "pictures"))
    assert run.configuration["dataset"]["validation_images"] == 6
    assert "validation/loss_nats" in run.metrics().last()


def interrupted(recipe: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Run:
    """A run that was stopped after its first epoch."""
    end_epoch = loop.end_epoch

    def stop(*arguments: Any, **keywords: Any) -> Any:
        end_epoch(*arguments, **keywords)
        raise Interrupted("stopped", signal=2)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "end_epoch", stop)
        with pytest.raises(Interrupted):
            train(recipe, folder, name="stopped", **changes)
    return Run(folder / "stopped")


def last_lines(run: Run) -> str:
    return (run.path / "metrics.jsonl").read_text()


def test_a_run_from_before_val_was_read_goes_on_as_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record says nothing of a validation split: it held images out of train/, and its digest is of two splits."""
    name = split_folder(tmp_path / "pictures")
    with monkeypatch.context() as patch:
        patch.setattr("etude.training.start.load_dataset", lambda *a, **k: without_validation(load(*a, **k)))
        whole = train("lenet", tmp_path / "runs", name="whole", data=name, validation_images=4)
        stopped = interrupted("lenet", tmp_path / "runs", monkeypatch, data=name, validation_images=4)
    path = stopped.path / "recipe.json"
    content = json.loads(path.read_text())
    for key in ("validation_split", "left_out", "notes"):
        del content["dataset"][key]
    for key in ("fit", "skip_broken"):
        content["recipe"].pop(key, None)
    del content["checksum"]
    path.write_text(json.dumps({**content, "format": 1}))
    resumed = resume(Run(stopped.path), display=QUIET)
    assert resumed.configuration["dataset"]["validation_images"] == 4
    assert last_lines(resumed) == last_lines(whole)


def without_validation(dataset: Dataset) -> Dataset:
    import dataclasses

    return dataclasses.replace(dataset, validation=None)


def test_a_run_remembers_what_it_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resumed, measured and drawn without the same pictures, though one of them has been mended meanwhile."""
    root = tmp_path / "pictures"
    name = split_folder(root)
    broken = [root / "train/a/3.png", root / "val/b/1.png"]
    for path in broken:
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="2 of 26 pictures are broken: "):
        train("lenet", tmp_path / "runs", data=name)
    whole = train("lenet", tmp_path / "runs", name="whole", data=name, skip_broken=True)
    stopped = interrupted("lenet", tmp_path / "runs", monkeypatch, data=name, skip_broken=True)
    recorded = stopped.configuration["dataset"]
    assert recorded["left_out"] == ["train/a/3.png", "val/b/1.png"]
    assert (recorded["train_images"], recorded["validation_images"]) == (15, 5)
    picture(broken[0], 77)
    resumed = resume(Run(stopped.path), display=QUIET)
    assert last_lines(resumed) == last_lines(whole)
    assert measure(resumed, Settings(metrics=("accuracy",))).notes == []


@pytest.mark.parametrize("recipe", ["lenet", "cifar-fast", "cvae"])
def test_one_class_is_refused_where_classes_matter(recipe: str, tmp_path: Path) -> None:
    """The pictures of cats and dogs in one folder, labels in their names."""
    for number in range(20):
        picture(tmp_path / f"pets/train/{('cat', 'dog')[number % 2]}.{number}.jpg", 10 * number)
    (tmp_path / "pets/labels.csv").touch()
    with pytest.raises(UsageError) as error:
        train(recipe, tmp_path / "runs", data=f"folder:{tmp_path / 'pets'}")
    assert str(error.value) == (
        f"{recipe} needs at least two classes, and folder:{tmp_path}/pets has one: 20 pictures lie directly in train/; "
        "put the images of each class into a folder named after it, PATH/CLASS/1.png or PATH/train/CLASS/1.png (labels "
        "in file names or tables are not read), or train a gan or vae, which need no classes."
    )
    assert not (tmp_path / "runs").exists()
    with pytest.raises(UsageError, match=f"^{recipe} needs at least two classes"):
        etude.sweep(recipe, data=f"folder:{tmp_path / 'pets'}", runs_dir=tmp_path / "runs", quiet=True)


@pytest.mark.parametrize("recipe", ["gan", "vae"])
def test_pictures_without_classes_are_enough_for_others(recipe: str, tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / f"pets/{number}.jpg", 10 * number)
    run = train(recipe, tmp_path / "runs", data=f"folder:{tmp_path / 'pets'}")
    assert (run.state.status, run.class_names) == ("finished", ("pets",))
    assert draw_all(run, formats=("png",))


def test_metrics_of_classes_are_left_out(tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / f"pets/{number}.jpg", 10 * number)
    run = train("vae", tmp_path / "runs", data=f"folder:{tmp_path / 'pets'}")
    measured = measure(run, Settings(num_importance=2))
    assert {"nll_nats", "active_latents"} <= measured.keys()
    assert not {"fid", "linear_probe", "classifier_score"} & measured.keys()
    assert any("and needs at least two classes, there is one: give --features" in note for note in measured.notes)
    note = f"left out linear_probe: linear_probe needs at least two classes, and run {run.name} has one."
    assert note in measured.notes


def test_what_was_read_is_said_before_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = split_folder(tmp_path / "pictures")
    (tmp_path / "pictures/train/a/x.heic").touch()
    train("vae", tmp_path / "runs", data=name, display=Display())
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == [
        f"{name}: splits: train/ trains, val/ validates, test/ tests",
        f"{name}: 26 of 27 files read: 1 .heic skipped",
    ]


def test_the_fit_is_part_of_the_recipe(tmp_path: Path) -> None:
    for number in range(10):
        wide = np.zeros((20, 60), np.uint8)
        wide[:, 20:40] = 200
        path = tmp_path / f"wide/{'ab'[number % 2]}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(wide).save(path)
    runs = {
        fit: train("vae", tmp_path / "runs", data=f"folder:{tmp_path / 'wide'}", fit=fit) for fit in ("pad", "crop")
    }
    assert runs["pad"].dataset().train.images.float().mean() < 40
    assert runs["crop"].dataset().train.images.min() == 200
    assert splits.make_splits(runs["pad"].recipe, runs["pad"].dataset()).train.images.float().mean() < 40
