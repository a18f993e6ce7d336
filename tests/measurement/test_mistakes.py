"""What `measure` refuses, and what it says then."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from etude.data import Split, load
from etude.errors import UsageError
from etude.measurement import Settings, measure
from etude.measurement.catalogue import METRICS
from etude.measurement.feature_network import Features
from etude.measurement.subject import Subject
from etude.runs import Run

MISTAKES = [
    (
        "gan", {"metrics": ("fdi",)},
        f"unknown metric 'fdi': did you mean 'fid'? Choose from {', '.join(sorted({each.name for each in METRICS}))}; "
        "docs/metrics.md describes them; FILE.py:NAME is one of your own.",
    ),
    ("gan", {"metrics": "fid"}, "metrics is 'fid'; allowed: a list of names, such as ['fid', 'kid']."),
    (
        "gan", {"metrics": ("accuracy",)},
        "metric 'accuracy' does not fit run gan, a gan: choose from fid, fid_infinity, kid, precision, recall, "
        "density, coverage, authenticity, copy_rate, classifier_score.",
    ),
    (
        "lenet", {"metrics": ("accuracy",), "extrapolate": True},
        "metric 'fid_infinity' does not fit run lenet, a lenet: choose from accuracy, top_k_accuracy, class_accuracy, "
        "nll_nats, brier, ece, temperature.",
    ),
    (
        "lenet", {"extrapolate": True},
        "metric 'fid_infinity' does not fit run lenet, a lenet: choose from accuracy, top_k_accuracy, class_accuracy, "
        "nll_nats, brier, ece, temperature.",
    ),
    (
        "gan", {"binarize": "static"},
        "--binarize static is for the pixels of a VAE, and run gan is a gan: leave it out.",
    ),
    (
        "gan", {"metrics": ("fid",), "num_samples": 50},
        "fid of 50 images with 84 features each needs at least 85 images: give a larger --num-samples or more data, or "
        "measure kid, which works with few.",
    ),
    (
        "gan", {"metrics": ("fid_infinity",), "num_samples": 85},
        "fid_infinity of 85 images with 84 features each needs at least 840 images: give a larger --num-samples or "
        "more data, or measure kid, which has no bias to take off.",
    ),
    (
        "gan", {"num_samples": 9, "seed": -1},
        "out of range: --num-samples 9 (allowed: at least 10); --seed -1 (allowed: in [0, 2^63)).",
    ),
    (
        "vae", {"num_importance": 0, "num_likelihood_images": 1},
        "out of range: --num-importance 0 (allowed: at least 1); --num-likelihood-images 1 (allowed: at least 2).",
    ),
    (
        "vae", {"binarize": "statik"},
        "unknown --binarize 'statik': did you mean 'static'? Choose from dynamic, none, static, threshold.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "message"), MISTAKES)
def test_mistakes(runs: dict[str, Run], name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        measure(runs[name], **settings)
    assert str(error.value) == message
    assert not list(runs[name].path.glob("measures/.*"))


def test_a_diverged_generator_is_an_error(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "sample", lambda self, num, *, seed: torch.full((num, 1, 28, 28), math.nan))
    with pytest.raises(UsageError) as error:
        measure(runs["gan"], Settings(num_samples=100))
    assert str(error.value) == (
        "generated features: 8,400 of 8,400 values are NaN or infinite, the first at [0, 0]; look for a diverged "
        "network or drop those rows."
    )


def test_constant_real_features_are_an_error(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    flat = Features(values=np.ones((297, 84)), logits=None)
    monkeypatch.setattr(Subject, "real", flat)
    with pytest.raises(UsageError) as error:
        measure(runs["gan"], Settings(metrics=("kid",)))
    assert str(error.value) == (
        "real is constant: all 297 rows are equal; check the feature network and that the images differ."
    )


def test_a_run_without_validation_images_has_no_temperature(runs: dict[str, Run]) -> None:
    run = runs["lenet"]
    run.recipe = replace(run.recipe, validation_images=0)
    with pytest.raises(UsageError) as error:
        measure(run, Settings(metrics=("temperature",)))
    assert str(error.value) == (
        "temperature is fitted on a validation split, run lenet held none out: train with --validation-images, or "
        "leave temperature out."
    )


def test_data_too_small_for_a_classifier(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    data = load("digits")
    small = replace(data, train=Split(images=data.train.images[:99], labels=data.train.labels[:99]))
    monkeypatch.setattr(Run, "dataset", lambda self, data_dir=None: small)
    with pytest.raises(UsageError) as error:
        measure(runs["gan"], Settings(metrics=("kid",)))
    assert str(error.value) == (
        "--features auto trains a classifier on digits and needs at least 100 training images, there are 99: give "
        "--features FILE.py:Name, a network of your own."
    )
