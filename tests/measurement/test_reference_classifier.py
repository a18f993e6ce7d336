"""The classifier in the cache: trained once, and anew when its folder is damaged."""

import os
from pathlib import Path

import pytest
import torch

from etude.data import Reading, load
from etude.measurement import reference_classifier
from etude.measurement.reference_classifier import network_of, reference_name, reference_recipe, reference_run


def test_a_damaged_classifier_is_trained_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_classifier, "IMAGES_SEEN", 2_000)
    monkeypatch.setattr(reference_classifier, "cache_folder", lambda: tmp_path)
    dataset = load("digits")
    recipe = reference_recipe("digits", reading=Reading(), num_images=len(dataset.train))
    name, said = reference_name(recipe, dataset), list[str]()
    first = reference_run(recipe, name, data_dir=None, say=said.append)
    weights = network_of(first).state_dict()
    assert reference_run(recipe, name, data_dir=None, say=said.append).path == first.path
    assert len(said) == 1

    (first.path / "recipe.json").write_text('{"format": 1}')
    again = network_of(reference_run(recipe, name, data_dir=None, say=said.append)).state_dict()
    assert said[1] == (
        f"damaged run {first.path}: recipe.json lacks recipe; put the file back, or train the run again."
    )
    assert said[2] == said[0]
    assert all(torch.equal(again[key], value) for key, value in weights.items())


def test_a_classifier_with_damaged_weights_is_trained_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_classifier, "IMAGES_SEEN", 2_000)
    monkeypatch.setattr(reference_classifier, "cache_folder", lambda: tmp_path)
    dataset = load("digits")
    recipe = reference_recipe("digits", reading=Reading(), num_images=len(dataset.train))
    name, said = reference_name(recipe, dataset), list[str]()
    file = reference_run(recipe, name, data_dir=None, say=said.append).checkpoint_path() / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    again = reference_run(recipe, name, data_dir=None, say=said.append)
    assert file.read_bytes() == whole
    assert len(network_of(again).state_dict()) > 0
    assert said[1].startswith(f"damaged checkpoint {file}: its content has changed since it was written; ")
    assert said[2] == said[0]


def test_of_processes_with_an_empty_cache_one_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_classifier, "IMAGES_SEEN", 2_000)
    monkeypatch.setattr(reference_classifier, "cache_folder", lambda: tmp_path / "cache")
    dataset = load("digits")
    recipe = reference_recipe("digits", reading=Reading(), num_images=len(dataset.train))
    name, log, children = reference_name(recipe, dataset), tmp_path / "log", []
    for _ in range(3):
        if (child := os.fork()) == 0:
            code = 1
            try:
                with log.open("a") as file:
                    run = reference_run(
                        recipe, name, data_dir=None, say=lambda line, file=file: print(line, file=file, flush=True)
                    )
                code = 0 if run.state.status == "finished" else 2
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    lines = sorted(log.read_text().splitlines())
    path = tmp_path / "cache" / "classifiers" / name
    waiting = f"another process trains the classifier in {path}: waiting for it"
    assert lines == [
        *[waiting] * (len(lines) - 1),
        f"training the classifier whose features compare images (once for digits, kept in {path})",
    ]
