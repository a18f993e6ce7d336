"""The classifier in the cache: trained once, and anew when its folder is damaged."""

from pathlib import Path

import pytest
import torch

from etude.data import load
from etude.measure import reference_classifier
from etude.measure.reference_classifier import network_of, reference_name, reference_recipe, reference_run


def test_a_damaged_classifier_is_trained_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference_classifier, "IMAGES_SEEN", 2_000)
    monkeypatch.setattr(reference_classifier, "cache_folder", lambda: tmp_path)
    dataset = load("digits")
    recipe = reference_recipe("digits", image_size=None, num_images=len(dataset.train))
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
