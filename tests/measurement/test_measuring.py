"""What `measure` computes, keeps and refuses; each number against what it is made of."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import accuracy_score, log_loss

import etude
from etude import metrics
from etude.data import Split, load
from etude.errors import UsageError
from etude.losses import bernoulli_from_logits
from etude.measurement import Settings, fitting, measure
from etude.measurement.subject import Subject
from etude.runs import Run
from etude.runs.checkpoint import list_steps
from etude.runs.splits import Splits
from etude.streams import stream
from etude.training import Display

SETS = ["fid", "kid", "precision", "recall", "density", "coverage", "authenticity", "copy_rate", "classifier_score"]
WITH_FLOOR = [*SETS, "negative_elbo_nats", "class_accuracy", "ece"]  # and the nats of a VAE on grey pixels
WITHOUT_INTERVAL = ["active_latents", "aggregate_posterior", "temperature"]
VAE_METRICS = [
    "nll_nats", "negative_elbo_nats", "active_latents", "aggregate_posterior", "linear_probe",
    "nearest_neighbours_probe",
]  # fmt: skip
FITTING = {
    "gan": SETS,
    "vae": [*SETS, *VAE_METRICS],
    "cvae": [*SETS, *VAE_METRICS, "bayes_accuracy"],
    "lenet": ["accuracy", "top_k_accuracy", "class_accuracy", "nll_nats", "brier", "ece", "temperature"],
}
OF_SETS = "value interval floor num_samples features"
OF_NATS = "value interval num_samples floor binarize is_likelihood note"
KEYS = {
    "fid": OF_SETS,
    "kid": OF_SETS,
    "precision": f"{OF_SETS} nearest_k note",
    "recall": f"{OF_SETS} nearest_k note",
    "density": f"{OF_SETS} nearest_k note",
    "coverage": f"{OF_SETS} nearest_k note",
    "authenticity": f"{OF_SETS} num_training",
    "copy_rate": "value interval floor num_samples num_training threshold p_value nearest note",
    "classifier_score": f"{OF_SETS} standard_deviation",
    "nll_nats": f"{OF_NATS} method largest_error_nats",
    "negative_elbo_nats": f"{OF_NATS} reconstruction_nats kl_nats",
    "active_latents": "value num_latents active num_samples",
    "aggregate_posterior": "value distance p_value mean variance num_different num_samples",
    "linear_probe": "value interval num_samples num_train note",
    "nearest_neighbours_probe": "value interval num_samples num_train note",
    "bayes_accuracy": "value interval num_samples num_importance binarize note",
    "accuracy": "value interval num_samples",
    "top_k_accuracy": "value interval num_samples k",
    "class_accuracy": "value interval floor num_samples num_classes worst classes confusion",
    "brier": "value interval num_samples",
    "ece": "value interval floor num_samples edges count confidence accuracy",
    "temperature": "value num_samples fitted_on test_nll_nats test_ece",
}
"""The keys of each result in `--json`, in their order, which scripts of other people rely on."""
QUICK: dict[str, Any] = {"num_importance": 20, "num_likelihood_images": 30}


@pytest.mark.parametrize(("name", "expected"), FITTING.items())
def test_all_that_fits_is_measured(runs: dict[str, Run], name: str, expected: list[str]) -> None:
    results = measure(runs[name], Settings(**QUICK))
    left_out = [note.split(":")[0].removeprefix("left out ") for note in results.notes if "left out" in note]
    assert [*results, *left_out] == expected
    assert left_out in ([], ["temperature"])  # where all 150 validation images are right no temperature fits
    assert results.about.split == "test"
    assert results.about.num_samples == 297
    for each in results:
        assert math.isfinite(results[each]["value"])
        assert results[each]["num_samples"] <= 297
        keys = KEYS["accuracy" if (each, name) == ("nll_nats", "lenet") else each].split()
        assert list(results[each]) == [key for key in keys if key in results[each] or key not in ("interval", "note")]
        assert ("floor" in results[each]) == (each in WITH_FLOOR or (each == "nll_nats" and name != "lenet"))
        unhit = each == "density" and results[each]["value"] == 0
        assert ("interval" in results[each]) == (each not in WITHOUT_INTERVAL and not unhit)
        if "interval" in results[each]:
            low, high = results[each]["interval"]
            assert low <= results[each]["value"] <= high
            assert low < high
    json.dumps(results.to_dict(), allow_nan=False)


def test_what_cannot_be_computed_is_left_out_unless_asked_for(runs: dict[str, Run]) -> None:
    results = measure(runs["gan"], Settings(num_samples=50))
    assert list(results) == SETS[1:]
    assert results.notes == [
        "left out fid: fid of 50 images with 84 features each needs at least 85 images: give a larger --num-samples or "
        "more data, or measure kid, which works with few."
    ]


# Sets of images ------------------------------------------------------------------------------------------------------


def subject_of(run: Run, **settings: Any) -> Subject:
    from etude.measurement.feature_network import feature_source

    chosen, dataset = Settings(**settings), run.dataset()
    source = feature_source("auto", run.recipe, dataset, data_dir=None, say=lambda _: None)
    return Subject(run, dataset, chosen, source)


def test_scores_of_sets_are_those_of_the_pure_functions_on_the_features(runs: dict[str, Run]) -> None:
    run = runs["gan"]
    subject, results = subject_of(run), measure(run)
    network, test = subject.feature_network, run.dataset().test
    real = network.of(test.images, what="real").values
    generated = network.of(run.sample(297, seed=0), what="generated").values
    assert results["fid"]["value"] == metrics.frechet_distance(real, generated)
    spread = metrics.frechet_error(real, generated)
    assert np.diff(results["fid"]["interval"])[0] == pytest.approx(2 * 1.968 * spread, rel=1e-3)
    assert results["kid"]["value"] == pytest.approx(metrics.kernel_distance(real, generated, num_subsets=1).value)
    fidelity, diversity = metrics.prdc(real, generated)
    for name, value in (("precision", fidelity.precision), ("recall", fidelity.recall),
                        ("density", diversity.density), ("coverage", diversity.coverage)):  # fmt: skip
        assert results[name]["value"] == value
        assert results[name]["features"] == network.name
    training, images = subject.splits.train.images, run.sample(297, seed=0)
    nearest = metrics.nearest_training_images(training, images)
    rate = metrics.copy_rate(metrics.nearest_training_images(training, test.images).distance, nearest.distance)
    assert (results["copy_rate"]["value"], results["copy_rate"]["p_value"]) == (rate.value, rate.p_value)
    assert results["copy_rate"]["nearest"][0]["distance"] == nearest.distance.min()
    assert 1 <= results["classifier_score"]["value"] <= results["classifier_score"]["floor"] <= 10


def test_the_extrapolation_asks_for_enough_images(runs: dict[str, Run]) -> None:
    message = (
        "fid_infinity of 297 images with 84 features each needs at least 840 images: give a larger --num-samples or "
        "more data, or measure kid, which has no bias to take off."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        measure(runs["gan"], Settings(metrics=("fid_infinity",)))


def test_copies_are_said_and_repeated_images_too(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    training = subject_of(runs["gan"]).splits.train.images.float() / 255
    monkeypatch.setattr(Run, "sample", lambda self, num, *, seed: training[:num])
    results = measure(runs["gan"], Settings(metrics=("copy_rate",)))
    assert results["copy_rate"]["value"] == 1
    assert results.notes == [
        "copy_rate: 297 of 297 generated images are nearer to a training image than the nearest 1.0% of test images "
        "are: `etude figure gan copies` shows them."
    ]
    monkeypatch.setattr(Run, "sample", lambda self, num, *, seed: training[:3].repeat(99, 1, 1, 1))
    results = measure(runs["gan"], Settings(metrics=("recall",), seed=1))
    assert results["recall"]["value"] == 0
    assert results.notes == [
        "precision, recall, density, coverage: 297 of 297 generated samples have 5 neighbours nearer than rounding can "
        "tell: their balls hold nothing. Samples are repeated, or features lie far from 0 and differ little."
    ]


def test_an_untrained_like_generator_is_far_from_its_floor(runs: dict[str, Run]) -> None:
    results = measure(runs["gan"])
    assert results["fid"]["value"] > 5 * results["fid"]["floor"]
    assert results["kid"]["value"] > 0.1 > results["kid"]["floor"]
    assert results["coverage"]["value"] < 0.5 < 0.8 < results["coverage"]["floor"]


def test_a_generator_of_real_images_is_at_the_floor(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    train = load("digits").train.images[:297].float() / 255
    monkeypatch.setattr(Run, "sample", lambda self, num, *, seed: train[:num])
    results = measure(runs["gan"])
    assert results["fid"]["value"] < 2 * results["fid"]["floor"]
    assert abs(results["kid"]["value"]) < 0.02
    assert results["coverage"]["value"] > 0.85


def test_the_floor_is_of_disjoint_real_images_of_both_splits(runs: dict[str, Run]) -> None:
    subject = subject_of(runs["gan"], num_samples=100)
    assert subject.floor_pool.values.shape == (200, 84)
    sizes = subject.floor(
        lambda one, other: (len(one), len(other), len(np.unique(np.concatenate([one, other]), axis=0)))
    )
    assert sizes == (100, 100, 200)
    dataset = subject.dataset
    everything = subject.feature_network.of(torch.cat([dataset.train.images, dataset.test.images]), what="real").values
    gaps = np.abs(subject.floor_pool.values[:, None, :20] - everything[None, :, :20]).max(axis=2).min(axis=1)
    assert gaps.max() < 1e-4


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(runs: dict[str, Run]) -> None:
    settings = Settings(metrics=("fid", "kid"), num_samples=150)
    first = measure(runs["gan"], settings)
    (runs["gan"].path / "measures").rename(runs["gan"].path / "aside")
    assert measure(runs["gan"], settings) == first
    assert measure(runs["gan"], replace(settings, seed=1))["fid"]["value"] != first["fid"]["value"]


# Autoencoders --------------------------------------------------------------------------------------------------------


def test_more_latents_take_the_bound(tmp_path: Path) -> None:
    run = etude.train(
        "vae", data="digits", latent_dim=3, epochs=1, runs_dir=tmp_path, threads=1, display=Display(quiet=True)
    )
    nll = measure(run, Settings(metrics=("nll_nats",), binarize="threshold", **QUICK))["nll_nats"]
    subject = subject_of(run, binarize="threshold", **QUICK)
    bound = metrics.importance_weighted_bound(
        run.model, subject.scored_pixels[subject.likelihood_rows], num_samples=20, seed=subject.seed("importance")
    )
    assert nll["value"] == pytest.approx(-bound.mean().item(), rel=1e-9)
    assert (nll["method"], nll["num_importance"]) == ("importance", 20)


def test_two_latents_are_integrated_exactly_and_the_elbo_is_above(runs: dict[str, Run]) -> None:
    run = runs["vae"]
    results = measure(run, Settings(metrics=("nll_nats", "negative_elbo_nats"), binarize="threshold", **QUICK))
    pixels = (run.dataset().test.images[subject_of(run, **QUICK).likelihood_rows].float() / 255 >= 0.5).float()
    bound = metrics.importance_weighted_bound(run.model, pixels, num_samples=2000, seed=5)
    nll, elbo = results["nll_nats"], results["negative_elbo_nats"]
    assert nll["value"] <= -bound.mean().item() + 0.05  # the bound of 2,000 latents is near, and above
    assert nll["value"] == pytest.approx(-bound.mean().item(), abs=2)
    assert (nll["method"], "num_importance" in nll) == ("quadrature", False)
    assert 0 < nll["largest_error_nats"] < 0.02
    assert nll["bits_per_dimension"] == pytest.approx(nll["value"] / (784 * math.log(2)), rel=1e-12)
    assert elbo["value"] == pytest.approx(elbo["reconstruction_nats"] + elbo["kl_nats"], rel=1e-9)
    assert (nll["num_samples"], elbo["num_samples"]) == (30, 297)
    assert (nll["is_likelihood"], nll["binarize"], results.notes) == (True, "threshold", [])
    assert "floor" not in nll
    low, high = nll["interval"]
    assert low < nll["value"] < high


def test_the_bound_is_of_images_of_all_classes_where_they_come_sorted(runs: dict[str, Run]) -> None:
    digits = load("digits")
    by_class = replace(digits, test=digits.test.take(digits.test.labels.argsort(stable=True)))
    subject = Subject(runs["cvae"], by_class, Settings(**QUICK), None)
    assert len(subject.likelihood_rows.unique()) == 30
    assert len(subject.measured.labels[subject.likelihood_rows].unique()) >= 8
    assert torch.equal(subject.likelihood_rows, subject_of(runs["cvae"], **QUICK).likelihood_rows)  # by the seed alone


def test_the_elbo_is_near_that_of_training(runs: dict[str, Run]) -> None:
    result = measure(runs["vae"], Settings(metrics=("negative_elbo_nats",)))["negative_elbo_nats"]
    assert result["value"] == pytest.approx(runs["vae"].metrics().last()["test/loss_nats"], rel=0.01)


def test_grey_pixels_are_said_to_be_no_likelihood_and_have_their_entropy_as_floor(runs: dict[str, Run]) -> None:
    results = measure(runs["vae"], Settings(metrics=("nll_nats",), **QUICK))
    assert results["nll_nats"]["is_likelihood"] is False
    assert "bits_per_dimension" not in results["nll_nats"]
    assert results.notes == [
        "grey pixels: these nats bound a cross-entropy and are no likelihood; binarise (static, dynamic or threshold) "
        "to compare with published values."
    ]
    pixels = load("digits").test.images[subject_of(runs["vae"], **QUICK).likelihood_rows].double() / 255
    logits = torch.logit(pixels.clamp(1e-12, 1 - 1e-12))
    best = bernoulli_from_logits(logits, pixels).mean().item()  # a decoder that gives each pixel its own grey value
    assert results["nll_nats"]["floor"] == pytest.approx(best, rel=1e-6)


def test_pixels_are_scored_as_they_were_trained_on_unless_told_otherwise(runs: dict[str, Run]) -> None:
    run = runs["vae"]
    run.recipe = replace(run.recipe, binarize="dynamic")  # type: ignore[call-arg]
    names = ("nll_nats", "negative_elbo_nats")
    results = measure(run, Settings(metrics=names, **QUICK))
    assert [results[name]["binarize"] for name in names] == ["dynamic", "dynamic"]
    assert [results[name]["is_likelihood"] for name in names] == [True, True]
    assert results.notes == []
    assert results == measure(run, Settings(metrics=names, binarize="dynamic", **QUICK))
    assert measure(run, Settings(metrics=names, binarize="none", **QUICK))["nll_nats"]["binarize"] == "none"


def test_a_gaussian_decoder_is_measured_as_trained(runs: dict[str, Run]) -> None:
    run = runs["vae"]
    run.recipe = replace(run.recipe, reconstruction="gaussian")  # type: ignore[call-arg]
    results = measure(run, Settings(metrics=("negative_elbo_nats",)))
    assert results["negative_elbo_nats"]["reconstruction_nats"] > 784 / 2 * math.log(2 * math.pi)
    assert results.notes == [
        "Gaussian decoder of variance 1: nats of a density over pixel values, not to be compared with those of a "
        "Bernoulli decoder."
    ]


def test_static_pixels_do_not_depend_on_the_seed_and_dynamic_ones_do(runs: dict[str, Run]) -> None:
    def pixels(method: Any, seed: int) -> torch.Tensor:
        return Subject(runs["vae"], load("digits"), Settings(binarize=method, seed=seed), None).scored_pixels

    assert torch.equal(pixels("static", 0), pixels("static", 1))
    assert not torch.equal(pixels("dynamic", 0), pixels("dynamic", 1))


def test_latents_know_the_digits(runs: dict[str, Run]) -> None:
    results = measure(runs["vae"], Settings(metrics=tuple(VAE_METRICS[2:])))
    assert results["active_latents"]["value"] == 2
    assert results["aggregate_posterior"]["value"] == max(results["aggregate_posterior"]["distance"])
    for name in ("linear_probe", "nearest_neighbours_probe"):
        assert results[name]["value"] > 0.25  # chance is 0.1
        low, high = results[name]["interval"]
        assert low < results[name]["value"] < high
    subject = Subject(runs["vae"], load("digits"), Settings(), None)
    means = runs["vae"].encode(subject.measured.images)
    np.testing.assert_allclose(subject.encodings[0], means.numpy(), rtol=1e-5, atol=1e-6)


def test_a_conditional_autoencoder_classifies_by_bayes(runs: dict[str, Run]) -> None:
    run = runs["cvae"]
    results = measure(run, Settings(metrics=("bayes_accuracy", "linear_probe"), binarize="threshold", **QUICK))
    assert results["bayes_accuracy"]["value"] > 0.3  # chance is 0.1
    assert (results["bayes_accuracy"]["num_samples"], results["bayes_accuracy"]["num_importance"]) == (30, 20)
    assert results.notes == [
        "the encoder of a cvae is given the label: a probe shows what its latents keep of it all the same."
    ]


# Classifiers ---------------------------------------------------------------------------------------------------------


def test_a_classifier_against_scikit_learn(runs: dict[str, Run]) -> None:
    run, test = runs["lenet"], load("digits").test
    results = measure(run, Settings(metrics=("accuracy", "class_accuracy", "nll_nats", "brier", "ece")))
    probabilities = run.classify(test.images).double().numpy()
    predicted = probabilities.argmax(axis=1)
    assert results["accuracy"]["value"] == pytest.approx(accuracy_score(test.labels, predicted), abs=1e-12)
    exact = stats.binomtest(int((predicted == test.labels.numpy()).sum()), 297).proportion_ci(method="exact")
    assert results["accuracy"]["interval"] == pytest.approx([exact.low, exact.high], abs=1e-9)
    normalized = probabilities / probabilities.sum(axis=1, keepdims=True)  # float32 sums are not 1 to the last bit
    assert results["nll_nats"]["value"] == pytest.approx(log_loss(test.labels, normalized), rel=1e-5)
    classes = results["class_accuracy"]
    assert sum(map(sum, classes["confusion"])) == 297
    assert classes["value"] == min(each["value"] for each in classes["classes"].values())
    low, high = classes["interval"]
    assert low < classes["value"] < high
    assert classes["value"] <= high < 1
    assert 0 < classes["floor"] < results["accuracy"]["value"]
    assert sum(results["ece"]["count"]) == 297
    assert 0 < results["ece"]["floor"] < 0.1


def test_temperature_is_fitted_on_the_images_held_out(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run, seen = runs["lenet"], []
    logits = torch.randn(297, 10, generator=stream(0, "logits")) * 3
    monkeypatch.setattr(Run, "logits", lambda self, images: (seen.append(len(images)), logits[: len(images)])[1])
    labels = torch.where(torch.arange(297) % 3 > 0, logits.argmax(dim=1), torch.arange(297) % 10)
    held_out = Split(images=load("digits").train.images[:150], labels=labels[:150])
    monkeypatch.setattr(Subject, "splits", Splits(held_out, held_out, held_out))
    result = measure(run, Settings(metrics=("temperature",)))["temperature"]
    assert sorted(seen) == [150, 297]
    assert result["value"] == metrics.fit_temperature(logits[:150], labels[:150])
    assert (result["num_samples"], result["fitted_on"]) == (150, "validation")


# What is kept --------------------------------------------------------------------------------------------------------


def test_results_are_kept_by_content(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs["lenet"]
    first = measure(run, Settings(metrics=("accuracy", "nll_nats")))
    kept = sorted(path.name.rsplit("-", 1)[0] for path in (run.path / "measures").iterdir())
    assert kept == ["accuracy", "nll_nats"]
    with monkeypatch.context() as patch:
        patch.setattr(Run, "logits", None)  # nothing is computed again
        assert dict(measure(run, Settings(metrics=("nll_nats", "accuracy"), num_importance=7))) == dict(first)
    for path in (run.path / "measures").iterdir():
        path.write_text("{half a fi")
    assert measure(run, Settings(metrics=("accuracy", "nll_nats"))) == first  # a damaged file is computed anew

    earlier = next(
        step for step in list_steps(run.path / "checkpoints") if f"step-{step}" != run.checkpoint_path().name
    )
    measure(Run(run.path, checkpoint=earlier), Settings(metrics=("accuracy",)))  # other weights
    assert len(list((run.path / "measures").glob("accuracy-*"))) == 2


def test_other_data_is_noted(runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    data = load("digits")
    other = replace(data, test=Split(images=data.test.images.flip(0), labels=data.test.labels.flip(0)))
    monkeypatch.setattr(Run, "dataset", lambda self, data_dir=None: other)
    assert measure(runs["lenet"], Settings(metrics=("accuracy",))).notes == [
        "the images of digits here are not those that run lenet was trained on."
    ]


def test_the_network_is_as_before_and_no_global_draw_was_made(runs: dict[str, Run]) -> None:
    run = runs["vae"]
    run.model.train()
    before = torch.random.get_rng_state()
    measure(run, Settings(metrics=("negative_elbo_nats", "active_latents")))
    assert run.model.training
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_run_measures_itself(runs: dict[str, Run]) -> None:
    results = etude.measure(runs["lenet"], metrics=("accuracy",))
    assert results == measure(runs["lenet"], Settings(metrics=("accuracy",)))
    assert set(fitting(runs["lenet"])) == set(FITTING["lenet"])


def test_the_kept_files_say_what_they_hold(runs: dict[str, Run]) -> None:
    measure(runs["gan"], Settings(metrics=("kid",), num_samples=5000))
    (path,) = Path(runs["gan"].path / "measures").iterdir()
    content = json.loads(path.read_text())
    assert content["metric"] == "kid"
    assert content["settings"]["num_samples"] == 297  # as capped
    assert content["settings"]["features"].startswith("lenet-digits-")
