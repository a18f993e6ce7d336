"""What the studio answers is what the run itself computes; what it is asked wrongly it tells on one line."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from torch import nn

import etude
from browsing import Answer, Browser
from etude.families.abilities import Denoises, Judges
from etude.metrics.bayes import class_log_likelihoods
from etude.runs import Run
from etude.runs.checkpoint import list_steps
from etude.runs.lock import trainer, training_lock
from etude.runs.remarks import read_remarks
from etude.streams import stream
from etude.studio import jobs
from etude.studio.app import ASKED, KEPT
from etude.studio.classes import _occlusion

Copied = Callable[..., Path]
Browse = Callable[[Path], Browser]


@pytest.fixture(autouse=True)
def _seal_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etude.runs.code.key_path", lambda: tmp_path / "data" / "seal.key")
    monkeypatch.setattr("etude.runs.code._trusted", set())


@pytest.fixture
def run(trained: Path) -> Callable[[str], Run]:
    return lambda name: etude.load(trained / name)


def levels(images: torch.Tensor) -> np.ndarray:
    """Pixels (N, H, W, C) in 0..255 of images (N, C, H, W) in [0, 1]."""
    return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def near(found: Answer, name: str, expected: Any, *, atol: float = 1e-5) -> None:
    """An array of an answer is, up to rounding, what was computed otherwise."""
    array = found.arrays[name]
    assert array.shape == np.shape(expected)
    np.testing.assert_allclose(array.astype(float), np.asarray(expected, dtype=float), atol=atol)


# Networks that encode -------------------------------------------------------------------------------------------------


def test_latents_are_decoded(visitor: Browser, run: Callable[[str], Run]) -> None:
    z = [[0.5, -1.0], [2, 0]]
    near(visitor.ask("vae", "decode", z=z), "images", levels(run("vae").decode(z)), atol=1)
    found = visitor.ask("cvae", "decode", z=z, label=3)
    near(found, "images", levels(run("cvae").decode(z, labels=3)), atol=1)
    assert found.arrays["images"].dtype == np.uint8


def test_an_image_is_encoded_and_its_reconstruction_is_that_of_its_mean(
    visitor: Browser, run: Callable[[str], Run]
) -> None:
    vae, cvae = run("vae"), run("cvae")
    test = vae.dataset().test
    image, label = test.images[7:8], int(test.labels[7])
    pixels = (image.float() / 255).flatten().tolist()
    for found in (visitor.ask("vae", "encode", row=7), visitor.ask("vae", "encode", pixels=pixels)):
        mean = vae.encode(image)
        near(found, "mean", mean)
        near(found, "images", levels(torch.cat([image.float() / 255, vae.decode(mean)])), atol=1)
        assert found.about["label"] is None
    found = visitor.ask("cvae", "encode", row=7)
    near(found, "mean", cvae.encode(image, labels=label))
    assert found.about["label"] == label
    near(visitor.ask("cvae", "encode", pixels=pixels, label=2), "mean", cvae.encode(image, labels=2))
    _, logvar = vae.trained.encode(vae.inputs(image), None)  # type: ignore[attr-defined]
    near(visitor.ask("vae", "encode", row=7), "deviation", np.sqrt(np.exp(logvar.detach().numpy())))


@pytest.mark.parametrize("name", ["vae", "cvae"])
def test_the_scatter_is_the_encoded_test_split(visitor: Browser, run: Callable[[str], Run], name: str) -> None:
    found, one = visitor.get(f"/api/runs/{name}/scatter"), run(name)
    test = one.dataset().test
    near(found, "means", one.encode(test.images, labels=test.labels if one.conditional else None), atol=1e-4)
    assert found.arrays["labels"].tolist() == test.labels.tolist()
    assert found.arrays["rows"].tolist() == [*range(len(test))]
    assert found.about == {"latent_dim": 2}


def test_styles_are_the_mean_of_an_image_decoded_as_every_class(visitor: Browser, run: Callable[[str], Run]) -> None:
    found, cvae = visitor.ask("cvae", "styles", row=3), run("cvae")
    test = cvae.dataset().test
    mean = cvae.encode(test.images[3:4], labels=test.labels[3:4])
    near(found, "images", levels(cvae.decode(mean.expand(10, -1), labels=range(10))), atol=1)  # type: ignore[arg-type]
    assert list(visitor.ask("vae", "styles", row=3).arrays) == ["images"]  # without classes there is one style


def test_probabilities_of_styles_are_those_of_bayes_rule(visitor: Browser, run: Callable[[str], Run]) -> None:
    found, cvae = visitor.ask("cvae", "styles", row=3).arrays["probabilities"], run("cvae")
    likelihoods = class_log_likelihoods(
        cvae.model, cvae.inputs(cvae.dataset().test.images[3:4]), num_classes=10, num_samples=64,
        seed=stream(0, "bayes"), reconstruction=cvae.trained.reconstruction,  # type: ignore[attr-defined]
    )  # fmt: skip
    np.testing.assert_allclose(found, likelihoods[0].double().softmax(0), atol=1e-4)
    assert found.sum() == pytest.approx(1)


# Networks that make examples ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gan", "ddpm"])
def test_samples_of_a_seed_are_those_of_the_run_and_their_noise_gives_them_again(
    visitor: Browser, run: Callable[[str], Run], name: str
) -> None:
    first = visitor.ask(name, "samples", seed=5, num=3)
    near(first, "images", levels(run(name).sample(3, seed=5)), atol=1)
    again = visitor.ask(name, "generate", noise=first.arrays["noise"].tolist())
    near(again, "images", first.arrays["images"], atol=1)


@pytest.mark.parametrize("label", [None, 4])
def test_samples_of_a_vae_have_no_noise_and_the_classes_in_turn(
    visitor: Browser, run: Callable[[str], Run], label: int | None
) -> None:
    found = visitor.ask("cvae", "samples", seed=2, num=12, label=label)
    near(found, "images", levels(run("cvae").sample(12, seed=2, labels=label)), atol=1)
    assert list(found.arrays) == ["images"]


def test_the_discriminator_says_what_it_thinks(visitor: Browser, run: Callable[[str], Run]) -> None:
    gan = run("gan")
    found, trained = visitor.ask("gan", "samples", seed=5, num=3), gan.trained
    assert isinstance(trained, object)
    judge: Judges = trained  # type: ignore[assignment]
    with torch.no_grad():
        said = judge.judge(gan.inputs(gan.sample(3, seed=5)), None).sigmoid()
    near(found, "verdicts", said)
    assert found.about["verdicts"] == "probability"
    image = gan.dataset().test.images[:1]
    with torch.no_grad():
        said = judge.judge(gan.inputs(image), None).sigmoid()
    near(visitor.ask("gan", "judge", pixels=(image / 255).flatten().tolist()), "verdicts", said)


def test_denoising_is_the_way_to_the_samples(visitor: Browser, run: Callable[[str], Run]) -> None:
    found = visitor.ask("ddpm", "denoise", seed=5, num=2).arrays["images"]
    trained: Denoises = run("ddpm").trained  # type: ignore[assignment]
    with torch.no_grad():
        way = trained.way(2, labels=None, generator=stream(5, "sample"))
    assert found.shape == (3, 2, 28, 28, 1)
    for images, step in zip(found, way, strict=True):
        np.testing.assert_allclose(images.astype(int), levels(step.clamp(0, 1)), atol=1)
    np.testing.assert_allclose(found[-1].astype(int), levels(run("ddpm").sample(2, seed=5)), atol=1)


# Classifiers ----------------------------------------------------------------------------------------------------------


def test_an_image_gets_the_probabilities_of_the_run(visitor: Browser, run: Callable[[str], Run]) -> None:
    lenet = run("lenet")
    image = lenet.dataset().test.images[11:12]
    expected = lenet.classify(image)
    pixels = (image / 255).flatten().tolist()
    for found in (visitor.ask("lenet", "classify", row=11), visitor.ask("lenet", "classify", pixels=pixels)):
        near(found, "probabilities", expected[0])
        near(found, "images", levels(image.float() / 255))
        assert found.about == {"label": int(expected.argmax())}
        inputs = lenet.inputs(image).requires_grad_()
        lenet.model(inputs)[0, expected.argmax()].backward()
        assert inputs.grad is not None
        near(found, "gradient", inputs.grad.abs()[0, 0], atol=1e-4)
        assert found.arrays["occlusion"].shape == (28, 28)
    assert visitor.ask("lenet", "classify", row=11, label=4).about == {"label": 4}


def test_occlusion_is_what_a_linear_network_loses_in_closed_form() -> None:
    """Two classes, logits (w·x, 0): the log-odds are w·x, and a patch takes w·(x − mean) of its pixels away."""
    generator = torch.Generator().manual_seed(0)
    weights, image = torch.randn(8, 8, generator=generator), torch.rand(1, 1, 8, 8, generator=generator)

    class Linear:
        def logits(self, inputs: torch.Tensor) -> torch.Tensor:
            score = (inputs[:, 0] * weights).sum(dim=(1, 2))
            return torch.stack([score, torch.zeros_like(score)], dim=1)

    found = _occlusion(Linear(), image, 0)  # type: ignore[arg-type]
    lost, counts = torch.zeros(8, 8), torch.zeros(8, 8)
    tops = [round(place * 6 / 7) for place in range(8)]  # patches of 2 × 2 at 8 places along 8 pixels
    for top in tops:
        for left in tops:
            patch = (slice(top, top + 2), slice(left, left + 2))
            lost[patch] += (weights[patch] * (image[0, 0][patch] - image.mean())).sum()
            counts[patch] += 1
    torch.testing.assert_close(found, lost / counts, atol=1e-4, rtol=1e-4)


def test_predictions_are_the_confusion_of_the_test_split(visitor: Browser, run: Callable[[str], Run]) -> None:
    for name in ("lenet", "classifier", "text-classifier"):
        found, one = visitor.get(f"/api/runs/{name}/predictions").arrays, run(name)
        test = one.dataset().test
        sure, predicted = one.classify(test[one.kind.column]).max(dim=1)
        assert found["labels"].tolist() == test.labels.tolist()
        assert found["predicted"].tolist() == predicted.tolist()
        np.testing.assert_allclose(found["probabilities"], sure, atol=1e-5)


def test_examples_are_those_of_the_rows(visitor: Browser, run: Callable[[str], Run]) -> None:
    test = run("lenet").dataset().test
    found = visitor.ask("lenet", "examples", rows=[5, 0, 5])
    assert np.array_equal(found.arrays["images"], test.images[[5, 0, 5]].permute(0, 2, 3, 1))
    assert found.arrays["labels"].tolist() == test.labels[[5, 0, 5]].tolist()


def test_layers_are_what_the_convolutions_give(visitor: Browser, run: Callable[[str], Run]) -> None:
    found, lenet = visitor.ask("lenet", "layers", row=0), run("lenet")
    inputs = lenet.inputs(lenet.dataset().test.images[:1])
    first = next(module for module in lenet.model.modules() if isinstance(module, nn.Conv2d))
    near(found, "filters", first.weight.detach().permute(0, 2, 3, 1))
    near(found, "map0", nn.functional.conv2d(inputs, first.weight, first.bias, padding=first.padding).detach()[0])
    assert len(found.about["names"]) == 2


def test_the_boundary_is_the_classifier_over_the_plane(visitor: Browser, run: Callable[[str], Run]) -> None:
    found, one = visitor.get("/api/runs/classifier/boundary"), run("classifier")
    (left, bottom), (right, top) = found.about["low"], found.about["high"]
    probabilities = found.arrays["probabilities"]
    assert probabilities.shape == (96, 96, 2)
    for row, column in ((0, 0), (95, 0), (10, 70)):
        point = [left + (right - left) * column / 95, bottom + (top - bottom) * row / 95]
        np.testing.assert_allclose(probabilities[row, column], one.classify(torch.tensor([point]))[0], atol=1e-4)
    features = one.dataset().test.features
    first, last = float(features[:, 0].min()), float(features[:, 0].max())
    np.testing.assert_allclose([left, right], [1.1 * first - 0.1 * last, 1.1 * last - 0.1 * first], rtol=1e-4)
    assert np.array_equal(found.arrays["points"], features)


# Texts ----------------------------------------------------------------------------------------------------------------


def test_words_are_those_that_moved_the_decision(visitor: Browser, run: Callable[[str], Run]) -> None:
    one = run("text-classifier")
    text = "the plot is not xylophonic ."
    found = visitor.ask("text-classifier", "words", text=text, by="occlusion", label=1).json
    assert found["words"] == text.split()
    assert found["known"] == [True, True, True, True, False, True]
    np.testing.assert_allclose(found["probabilities"], one.classify([text])[0], atol=1e-5)
    odds = one.classify([text, text.replace("plot", "xylophonic")])[:, 1].double().logit()
    assert found["scores"][1] == pytest.approx(float(odds[0] - odds[1]), abs=1e-5)
    assert visitor.ask("text-classifier", "words", text=text).json["label"] == int(one.classify([text]).argmax())


def test_a_sentence_is_translated_as_the_run_does(visitor: Browser, run: Callable[[str], Run]) -> None:
    text = "the a sees a u ."
    found = visitor.ask("translate-luong", "translate", text=text, beam=2).json
    (expected,) = run("translate-luong").translate(text, beam=2)
    assert found["translation"] == expected.translation
    assert found["tokens"] == list(expected.tokens)
    assert found["source_tokens"] == list(expected.source_tokens)
    assert expected.alignment is not None
    np.testing.assert_allclose(found["alignment"], expected.alignment, atol=1e-5)
    assert visitor.ask("translate-luong", "translate", text=text).status == 200


def test_a_text_goes_on_as_the_run_writes_it_and_each_symbol_has_its_probability(
    visitor: Browser, run: Callable[[str], Run]
) -> None:
    one = run("char-lstm")
    found = visitor.ask("char-lstm", "write", prompt="the cat", length=12, temperature=0.8, seed=3).json
    assert found["text"] == one.continue_text("the cat", length=12, temperature=0.8, seed=3)
    assert found["symbols"] == list(found["text"])
    symbols = torch.tensor(one.kind.vocabulary.encode(found["text"]))  # type: ignore[attr-defined]
    with torch.no_grad():
        scores, _ = one.model(symbols[None, :-1], None)
    expected = scores[0].softmax(1).gather(1, symbols[1:, None])[:, 0]
    assert found["probabilities"][0] is None
    np.testing.assert_allclose(found["probabilities"][1:], expected, atol=1e-5)


def test_sentences_to_begin_with_are_of_the_test_split(visitor: Browser, run: Callable[[str], Run]) -> None:
    for name, column in (("text-classifier", "text"), ("translate-luong", "source")):
        found = visitor.get(f"/api/runs/{name}/sentences").json["sentences"]
        assert found == list(run(name).dataset().test.texts[column])[:20]
        assert found


# Wrong questions ------------------------------------------------------------------------------------------------------

PIXELS, LATENT = [0.5] * 784, [0.0, 0.0]
SEED = "allowed: a whole number from 0 to 2147483647"
WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("vae", "decode", {}, "z (allowed: a list of 1 to 256 latents)."),
    ("vae", "decode", {"z": []}, "z (allowed: a list of 1 to 256 latents)."),
    ("vae", "decode", {"z": [LATENT] * 257}, "z (allowed: a list of 1 to 256 latents)."),
    ("vae", "decode", {"z": [[0]]}, "z: list of 1 (allowed: a list of 2 numbers)."),
    ("vae", "decode", {"z": ["ab"]}, "z: str (allowed: a list of 2 numbers)."),
    ("vae", "decode", {"z": [[0, True]]}, "z: list of 2 (allowed: a list of 2 numbers)."),
    ("vae", "decode", {"z": [[0, None]]}, "z: list of 2 (allowed: a list of 2 numbers)."),
    ("vae", "decode", {"z": [[0, 100.1]]}, "z: numbers outside [-100, 100]."),
    ("vae", "decode", {"z": [[0, 1e308]]}, "z: numbers outside [-100, 100]."),
    ("vae", "decode", {"z": [[0, 2**64 - 1]]}, "z: numbers outside [-100, 100]."),
    ("cvae", "decode", {"z": [LATENT]}, "label None (allowed: a whole number from 0 to 9)."),
    ("cvae", "decode", {"z": [LATENT], "label": 10}, "label 10 (allowed: a whole number from 0 to 9)."),
    ("cvae", "decode", {"z": [LATENT], "label": -1}, "label -1 (allowed: a whole number from 0 to 9)."),
    ("cvae", "decode", {"z": [LATENT], "label": "3"}, "label '3' (allowed: a whole number from 0 to 9)."),
    ("cvae", "decode", {"z": [LATENT], "label": True}, "label True (allowed: a whole number from 0 to 9)."),
    ("vae", "encode", {}, "pixels: NoneType (allowed: a list of 784 numbers)."),
    ("vae", "encode", {"pixels": PIXELS[1:]}, "pixels: list of 783 (allowed: a list of 784 numbers)."),
    ("vae", "encode", {"pixels": [*PIXELS, 0]}, "pixels: list of 785 (allowed: a list of 784 numbers)."),
    ("vae", "encode", {"pixels": [*PIXELS[1:], 1.01]}, "pixels: numbers outside [0, 1]."),
    ("vae", "encode", {"row": 297}, "row 297 (allowed: a whole number from 0 to 296)."),
    ("vae", "encode", {"row": -1}, "row -1 (allowed: a whole number from 0 to 296)."),
    ("vae", "encode", {"row": 1.0}, "row 1.0 (allowed: a whole number from 0 to 296)."),
    ("vae", "encode", {"row": 0, "checkpoint": 7}, "checkpoint 7 (allowed: a whole number from 0 to 2)."),
    ("vae", "encode", {"row": 0, "checkpoint": "last"}, "checkpoint 'last' (allowed: a whole number from 0 to 2)."),
    ("cvae", "styles", {"pixels": PIXELS}, "label None (allowed: a whole number from 0 to 9)."),
    ("gan", "samples", {}, f"seed None ({SEED})."),
    ("gan", "samples", {"seed": -1}, f"seed -1 ({SEED})."),
    ("gan", "samples", {"seed": 0, "num": 65}, "num 65 (allowed: a whole number from 1 to 64)."),
    ("cvae", "samples", {"seed": 0, "num": 1, "label": 10}, "label 10 (allowed: a whole number from 0 to 9)."),
    ("gan", "generate", {"noise": []}, "noise (allowed: a list of 1 to 256)."),
    ("gan", "generate", {"noise": [[0]]}, "noise: list of 1 (allowed: a list of 96 numbers)."),
    ("gan", "generate", {"noise": [[101] * 96]}, "noise: numbers outside [-100, 100]."),
    ("vae", "generate", {"noise": [[0]]}, "run vae, a vae, has no network that generates."),
    ("gan", "judge", {"pixels": [0]}, "pixels: list of 1 (allowed: a list of 784 numbers)."),
    ("lenet", "judge", {"pixels": PIXELS}, "run lenet, a lenet, has no network that judges."),
    ("ddpm", "denoise", {"seed": 0, "num": 17}, "num 17 (allowed: a whole number from 1 to 16)."),
    ("gan", "denoise", {"seed": 0, "num": 1}, "run gan, a gan, has no network that denoises."),
    ("lenet", "decode", {"z": [LATENT]}, "run lenet, a lenet, has no network that encodes."),
    ("lenet", "samples", {"seed": 0, "num": 1}, "run lenet, a lenet, has no network that samples."),
    ("lenet", "classify", {"row": 0, "label": 10}, "label 10 (allowed: a whole number from 0 to 9)."),
    ("classifier", "classify", {"row": 0}, "run classifier was not trained on images."),
    ("text-classifier", "classify", {"row": 0}, "run text-classifier was not trained on images."),
    ("classifier", "classify", {"pixels": [0]}, "run classifier was trained on a table, not on images."),
    ("classifier", "layers", {"row": 0}, "run classifier has no convolution to look into."),
    ("classifier", "examples", {"rows": [0]}, "run classifier was not trained on images."),
    ("lenet", "examples", {"rows": []}, "rows [] (allowed: a list of 1 to 256)."),
    ("lenet", "examples", {"rows": [0] * 257}, f"rows [{'0, ' * 13}(allowed: a list of 1 to 256)."),
    ("lenet", "examples", {"rows": [297]}, "row 297 (allowed: a whole number from 0 to 296)."),
    ("text-classifier", "words", {}, "text None (allowed: a text of at most 2,000 characters)."),
    ("text-classifier", "words", {"text": "a" * 2001},
     f"text '{'a' * 39} (allowed: a text of at most 2,000 characters)."),
    ("text-classifier", "words", {"text": " "}, "sentence 0 is empty; run text-classifier takes sentences with words."),
    ("text-classifier", "words", {"text": "a", "by": ["x"]},
     "unknown --by \"['x']\": choose from gradient, occlusion."),
    ("text-classifier", "words", {"text": "a", "label": 2}, "unknown label '2': choose from negative, positive."),
    ("lenet", "words", {"text": "a"}, "run lenet, a lenet, has no network that explains."),
    ("translate-luong", "translate", {"text": ""}, "'' has no word to translate: give a sentence."),
    ("translate-luong", "translate", {"text": "the", "beam": 21}, "beam 21 (allowed: a whole number from 1 to 20)."),
    ("char-lstm", "write", {"length": 1001}, "length 1001 (allowed: a whole number from 1 to 1000)."),
    ("char-lstm", "write", {"length": 1}, "temperature None (allowed: a number from 0 to 10)."),
    ("char-lstm", "write", {"length": 1, "temperature": 11}, "temperature 11 (allowed: a number from 0 to 10)."),
    ("char-lstm", "write", {"length": 1, "temperature": True}, "temperature True (allowed: a number from 0 to 10)."),
    ("char-lstm", "write", {"length": 1, "temperature": 1, "seed": 0.5}, f"seed 0.5 ({SEED})."),
    ("char-lstm", "write", {"prompt": "Ω", "length": 1, "temperature": 1, "seed": 0},
     "--prompt: run char-lstm was not trained on 'Ω'; vocabulary.txt in its folder lists what it knows."),
    ("char-lstm", "translate", {"text": "a"}, "run char-lstm, a char-lstm, has no network that translates."),
    ("vae", "write", {"length": 1}, "run vae, a vae, has no network that predicts."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "question", "given", "message"), WRONG)
def test_a_wrong_question_is_told(
    visitor: Browser, name: str, question: str, given: dict[str, Any], message: str
) -> None:
    found = visitor.ask(name, question, **given)
    assert found.status == 400
    assert found.error == message


def test_every_question_is_asked_wrongly_above() -> None:
    assert {question for _, question, _, _ in WRONG} == set(ASKED)


@pytest.mark.parametrize(("name", "kept", "message"), [
    ("lenet", "scatter", "run lenet, a lenet, has no network that encodes."),
    ("vae", "predictions", "run vae, a vae, has no network that classifies."),
    ("lenet", "boundary", "run lenet was not trained on points of the plane."),
])  # fmt: skip
def test_what_a_run_has_not_is_told(visitor: Browser, name: str, kept: str, message: str) -> None:
    found = visitor.get(f"/api/runs/{name}/{kept}")
    assert (found.status, found.error) == (400, message)


def test_a_temperature_near_0_is_that_of_0(visitor: Browser) -> None:
    cold = [visitor.ask("char-lstm", "write", length=8, temperature=each, seed=1).json["text"] for each in (0, 5e-324)]
    assert cold[0] == cold[1]


@pytest.mark.parametrize(("body", "message"), [
    (b'{"z": [[NaN, 0]]}', "the page sent no JSON: NaN is not a finite number."),
    (b'{"z": [[1e400, 0]]}', "the page sent no JSON: 1e400 is not a finite number."),
    (b'{"z": [[-Infinity, 0]]}', "the page sent no JSON: -Infinity is not a finite number."),
    (b'{"z": [[%s, 0]]}' % (b"9" * 5000), "the page sent no JSON: it holds a whole number beyond 64 bits."),
    (b"[" * 100_000, "the page sent no JSON: it is nested too deeply."),
    (b"", "the page sent no JSON: Expecting value: line 1 column 1 (char 0)."),
    (b"[1]", "the page sent no JSON object."),
])  # fmt: skip
def test_what_is_no_json_is_told(visitor: Browser, body: bytes, message: str) -> None:
    found = visitor.post("/api/runs/vae/decode", body)
    assert (found.status, found.error) == (400, message)


@pytest.mark.parametrize("address", [
    "", "/pictures", "/pictures/1.png", "/code", *(f"/{name}" for name in KEPT)
])  # fmt: skip
def test_an_unknown_run_is_not_found(visitor: Browser, trained: Path, address: str) -> None:
    found = visitor.get(f"/api/runs/nosuch{address}")
    assert (found.status, found.error) == (404, f"no run 'nosuch' in {trained.name}.")


@pytest.mark.parametrize("question", [*ASKED, "remarks", "delete", "pause", "resume", "trust"])
def test_an_unknown_run_is_not_asked(visitor: Browser, trained: Path, question: str) -> None:
    found = visitor.post(f"/api/runs/nosuch/{question}", {"tags": [], "note": ""})
    assert (found.status, found.error) == (404, f"no run 'nosuch' in {trained.name}.")


def test_checkpoints_are_chosen_by_their_step(visitor: Browser, trained: Path) -> None:
    first, last = list_steps(trained / "lenet" / "checkpoints")[:2]
    each = [visitor.ask("lenet", "classify", row=0, checkpoint=step) for step in (first, last)]
    for found, step in zip(each, (first, last), strict=True):
        near(found, "probabilities", etude.load(trained / "lenet", checkpoint=step).classify(
            etude.load(trained / "lenet").dataset().test.images[:1])[0])  # fmt: skip
    assert not np.array_equal(each[0].arrays["probabilities"], each[1].arrays["probabilities"])
    kept = visitor.get(f"/api/runs/lenet/predictions?checkpoint={first}")
    assert (
        kept.arrays["probabilities"].tolist()
        != visitor.get("/api/runs/lenet/predictions").arrays["probabilities"].tolist()
    )
    found = visitor.ask("lenet", "classify", row=0, checkpoint=3)
    assert found.error == f"run lenet has no checkpoint 3: choose from {first}, {last}."
    assert found.status == 404


@pytest.mark.parametrize("step", ["x", "9" * 5000, "-1", "%C2%B2", ""])
def test_a_checkpoint_in_the_address_is_checked(visitor: Browser, step: str) -> None:
    found = visitor.get(f"/api/runs/lenet/predictions?checkpoint={step}")
    assert (found.status, found.error.partition(" (")[0]) == (400, f"checkpoint {unquote(step)!r:.40}")


# Damaged runs ---------------------------------------------------------------------------------------------------------


def test_a_damaged_run_is_in_the_list_with_its_error(copied: Copied, browse: Browse) -> None:
    runs = copied("lenet", "vae", "gan", "classifier")
    (runs / "lenet" / "recipe.json").write_text("{")
    (runs / "vae" / "state.json").write_text("[]")
    (runs / "gan" / "metrics.jsonl").write_text("no events\n")
    visitor = browse(runs)
    rows = {row["id"]: row for row in visitor.get("/api/runs").json["runs"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "lenet": "damaged", "vae": "damaged", "gan": "finished", "classifier": "finished",
    }  # fmt: skip
    for name in ("lenet", "vae"):
        with pytest.raises(etude.errors.RunError) as error:
            _ = Run(runs / name).state
        assert rows[name]["error"] == str(error.value)
        found = visitor.get(f"/api/runs/{name}")
        assert (found.status, found.error) == (404, str(error.value))
    assert rows["gan"]["value"] is None
    assert rows["classifier"]["error"] is None
    assert 0 <= rows["classifier"]["value"] <= 1


def test_a_corrupt_checkpoint_is_told(copied: Copied, browse: Browse) -> None:
    runs = copied("lenet")
    (last, *_) = sorted((runs / "lenet" / "checkpoints").iterdir(), key=lambda path: -int(path.name[5:]))
    file = last / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100] + b"x" * 100)
    with pytest.raises(etude.errors.RunError) as error:
        _ = etude.load(runs / "lenet").networks
    found = browse(runs).ask("lenet", "classify", row=0)
    assert (found.status, found.error) == (404, str(error.value))


def test_a_run_without_a_checkpoint_is_told(copied: Copied, browse: Browse) -> None:
    runs = copied("lenet")
    shutil.rmtree(runs / "lenet" / "checkpoints")
    found = browse(runs).ask("lenet", "classify", row=0)
    assert found.error == "run lenet has no checkpoint yet: networks can be looked at after the first one."


def test_another_run_of_the_same_name_is_opened_anew(copied: Copied, browse: Browse, trained: Path) -> None:
    runs = copied("vae")
    visitor = browse(runs)
    before = visitor.ask("vae", "decode", z=[LATENT])
    shutil.rmtree(runs / "vae")
    other = etude.train("vae", name="vae", data="digits", runs_dir=runs, seed=1, epochs=1, train_images=64,
                        threads=1, precision="fp32", display=etude.training.Display(quiet=True))  # fmt: skip
    after = visitor.ask("vae", "decode", z=[LATENT])
    near(after, "images", levels(other.decode([LATENT])), atol=1)
    assert not np.array_equal(before.arrays["images"], after.arrays["images"])


def test_a_sweep_that_is_damaged_hides_no_run(copied: Copied, browse: Browse) -> None:
    runs = copied("lenet", "vae")
    for name in ("whole", "damaged"):
        (runs / name).mkdir()
        (runs / name / "sweep.json").write_text("{" if name == "damaged" else "{}")
    shutil.move(runs / "vae", runs / "damaged" / "cell-seed-0")
    rows = browse(runs).get("/api/runs").json["runs"]
    assert [(row["id"], row["sweep"]) for row in rows] == [("lenet", ""), ("damaged~cell-seed-0", "damaged")]


# Code of a person's ---------------------------------------------------------------------------------------------------

NET = """
import pathlib
from torch import nn
pathlib.Path({ran!r}).touch()
class Net(nn.Module):
    def __init__(self, num_features, num_classes):
        super().__init__()
        self.fc = nn.Linear(num_features, num_classes)
    def forward(self, x):
        return self.fc(x.flatten(1))
"""


def test_code_of_a_run_from_elsewhere_runs_once_it_is_trusted(
    tmp_path: Path, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "net.py").write_text(NET.format(ran=str(ran)))
    monkeypatch.chdir(tmp_path)
    etude.train("classifier", network="net.py:Net", data="digits", name="theirs", runs_dir=tmp_path / "runs", epochs=1,
                train_images=64, threads=1, display=etude.training.Display(quiet=True))  # fmt: skip
    monkeypatch.setattr("etude.families.own_networks._programs", {})
    monkeypatch.setattr("etude.runs.code.key_path", lambda: tmp_path / "another" / "seal.key")  # another user's
    ran.unlink()
    visitor = browse(tmp_path / "runs")
    assert [row["state"] for row in visitor.get("/api/runs").json["runs"]] == ["finished"]
    found = visitor.get("/api/runs/theirs").json
    assert (found["trusted"], found["code"]) == (False, ["net.py"])
    assert visitor.get("/api/runs/theirs/code").json == {"net.py": NET.format(ran=str(ran))}
    asked = visitor.ask("theirs", "classify", row=0)
    assert asked.status == 404
    path = tmp_path / "runs/theirs/code/net.py"
    assert asked.error == (
        f"run theirs has code of its own, {path}, and was not made here: read it, then give --trust to run it."
    )
    assert not ran.exists()
    assert visitor.post("/api/runs/theirs/trust", {}).status == 200
    assert not ran.exists()
    assert visitor.ask("theirs", "classify", row=0).status == 200
    assert ran.exists()
    theirs = etude.load(tmp_path / "runs/theirs")
    expected = theirs.classify(theirs.dataset().test.images[:1])[0]
    near(visitor.ask("theirs", "classify", row=0), "probabilities", expected)
    assert visitor.get("/api/runs/theirs").json["trusted"] is True


# What changes something -----------------------------------------------------------------------------------------------


def test_pause_asks_the_process_that_trains(copied: Copied, browse: Browse) -> None:
    runs = copied("lenet")
    visitor = browse(runs)
    found = visitor.post("/api/runs/lenet/pause", {})
    assert (found.status, found.error) == (404, "run lenet is not in training on this machine.")
    train = (  # as a training does, without the seconds that PyTorch takes to start
        "import fcntl, os, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        f"file = open({str(runs / 'lenet/.lock')!r}, 'w'); fcntl.flock(file, fcntl.LOCK_EX)\n"
        "file.write(str(os.getpid())); file.flush(); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", train], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        for action in ("delete", "resume"):
            found = visitor.post(f"/api/runs/lenet/{action}", {"name": "lenet"})
            assert found.error in (
                "run lenet is in training.",
                f"run {runs / 'lenet'} is being trained by another process: wait for it, or stop it first.",
            )
        assert (runs / "lenet/recipe.json").exists()
        assert visitor.post("/api/runs/lenet/pause", {}).status == 200
        assert process.wait(10) == 7
    assert visitor.post("/api/runs/lenet/pause", {}).status == 404
    assert visitor.get("/api/runs").json["runs"][0]["state"] == "finished"
    with training_lock(runs / "lenet"):
        assert trainer(runs / "lenet") == os.getpid()


@pytest.mark.parametrize("content", ["", "x", "0", "-1", "1", "99999999999"])
def test_a_lock_without_the_number_of_a_process_stops_nothing(
    copied: Copied, browse: Browse, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    runs = copied("lenet")
    killed: list[int] = []
    monkeypatch.setattr(jobs.os, "kill", lambda number, _: killed.append(number))
    if content == "99999999999":
        monkeypatch.setattr(jobs.os, "kill", _no_such_process)
    with (runs / "lenet/.lock").open("w") as file:
        file.write(content)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        found = browse(runs).post("/api/runs/lenet/pause", {})
    assert found.status == 404
    assert found.error in ("run lenet is not in training on this machine.", "cannot stop run lenet: no such process.")
    assert killed == []


def _no_such_process(number: int, signal_number: int) -> None:
    assert (number, signal_number) == (99999999999, signal.SIGTERM)
    raise ProcessLookupError(3, "No such process")


def test_a_run_of_a_sweep_is_not_paused_alone(copied: Copied, browse: Browse) -> None:
    runs = copied("lenet")
    (runs / "sweep").mkdir()
    shutil.move(runs / "lenet", runs / "sweep" / "cell")
    found = browse(runs).post("/api/runs/sweep~cell/pause", {})
    assert found.status == 400
    assert found.error == "this run belongs to a sweep: press Ctrl-C where the sweep was started."


def test_delete_needs_the_name(copied: Copied, browse: Browse) -> None:
    runs = copied("lenet", "classifier")
    visitor = browse(runs)
    for name in (None, "", "Lenet", "classifier", ["lenet"]):
        found = visitor.post("/api/runs/lenet/delete", {"name": name})
        assert (found.status, found.error) == (400, "type the name of the run, lenet, to delete it.")
    assert visitor.post("/api/runs/lenet/delete", {"name": "lenet"}).status == 200
    assert [path.name for path in runs.iterdir()] == ["classifier"]
    assert visitor.get("/api/runs/lenet").status == 404


def test_remarks_are_kept_and_checked(copied: Copied, browse: Browse) -> None:
    runs = copied("lenet")
    visitor = browse(runs)
    remarks = {"tags": ["<b>good</b>", "Ω"], "note": "a\nb <script>"}
    assert visitor.post("/api/runs/lenet/remarks", remarks).json is None
    again = browse(runs)
    assert again.get("/api/runs/lenet").json["remarks"] == remarks
    (row,) = again.get("/api/runs").json["runs"]
    assert {name: row[name] for name in remarks} == remarks
    for given, message in (
        ({}, "tags is a list of texts, and note a text."),
        ({"tags": "a", "note": ""}, "tags is a list of texts, and note a text."),
        ({"tags": [1], "note": ""}, "tags is a list of texts, and note a text."),
        ({"tags": [], "note": None}, "tags is a list of texts, and note a text."),
        ({"tags": ["a"] * 21, "note": ""}, "21 tags (allowed: at most 20)."),
        ({"tags": [" "], "note": ""}, "tag ' ' (allowed: 1 to 40 characters on one line)."),
        ({"tags": ["a\nb"], "note": ""}, "tag 'a\\nb' (allowed: 1 to 40 characters on one line)."),
        ({"tags": ["a" * 41], "note": ""}, f"tag '{'a' * 41}' (allowed: 1 to 40 characters on one line)."),
        ({"tags": [], "note": "a" * 2001}, "a note of 2001 characters (allowed: at most 2,000)."),
    ):
        found = visitor.post("/api/runs/lenet/remarks", given)
        assert (found.status, found.error) == (400, message)
    assert json.loads((runs / "lenet/remarks.json").read_text()) == remarks
    (runs / "lenet/remarks.json").write_text('{"tags": [3]}')
    assert read_remarks(runs / "lenet").tags == ()
    assert browse(runs).get("/api/runs").json["runs"][0]["tags"] == []


# What has not changed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [
    "/", "/static/main.js", "/api/runs", "/api/runs/lenet", "/api/curves?run=lenet&column=train/loss",
    "/api/bands?group=lenet,classifier&column=train/loss", "/api/recipes", "/api/recipes/vae", "/api/jobs",
    "/api/runs/vae/pictures", "/api/runs/lenet/predictions",
])  # fmt: skip
def test_what_has_not_changed_is_not_sent_again(visitor: Browser, address: str) -> None:
    first = visitor.get(address)
    tag = first.header("etag")
    assert first.status == 200
    assert first.body
    again = visitor.get(address, if_none_match=tag)
    assert (again.status, again.body, again.header("etag")) == (304, b"", tag)
    assert visitor.get(address, if_none_match='"another"').status == 200


def test_curves_that_grew_are_sent_again(copied: Copied, browse: Browse) -> None:
    visitor = browse(runs := copied("lenet"))
    address = "/api/curves?run=lenet&column=train/loss"
    first = visitor.get(address)
    assert first.about == {"series": [{"run": "lenet", "column": "train/loss", "points": 2}]}
    steps, values = etude.load(runs / "lenet").metrics().series("train/loss")
    assert first.arrays["steps0"].tolist() == steps.tolist()
    np.testing.assert_allclose(first.arrays["values1"], values)
    with (runs / "lenet/metrics.jsonl").open("a") as file:
        file.write('{"event": 9, "step": 99, "epoch": 3, "train/loss": 0.125}\n')
    again = visitor.get(address, if_none_match=first.header("etag"))
    assert again.status == 200
    assert again.arrays["steps0"][-1] == 99
    assert again.arrays["values1"][-1] == 0.125
    part = visitor.get(f"{address}&low=50&high=98")
    assert part.arrays["steps0"].tolist() == [steps[-1], 99]


@pytest.mark.parametrize("limit", ["x", "nan", ""])
def test_a_limit_that_is_no_number_is_told(visitor: Browser, limit: str) -> None:
    found = visitor.get(f"/api/curves?run=lenet&column=train/loss&high={limit}")
    assert (found.status, found.error) == (400, f"high {limit!r} (allowed: a number).")


# What is started ------------------------------------------------------------------------------------------------------


class Process:
    """In place of `subprocess.Popen`."""

    started: list["Process"]

    def __init__(self, words: list[str], *, stdin: int, stdout: Any, stderr: int, start_new_session: bool) -> None:
        assert (stdin, stderr, start_new_session) == (subprocess.DEVNULL, subprocess.STDOUT, True)
        self.words = words
        self.code: int | None = None
        stdout.write(b"epoch 1 <script>\xff\n")
        Process.started.append(self)

    def poll(self) -> int | None:
        return self.code


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """What was started: nothing was."""
    Process.started = []
    monkeypatch.setattr(jobs.subprocess, "Popen", Process)
    return Process.started


def test_training_is_started_as_a_command(copied: Copied, browse: Browse, started: list[Process]) -> None:
    runs = copied("lenet")
    visitor = browse(runs)
    changes = {"epochs": 3, "data": "digits", "optimizer": {"learning_rate": 0.5}}
    assert visitor.post("/api/train", {"recipe": "vae", "name": "mine", "changes": changes}).json is None
    executable, *words = started[0].words
    toml = Path(words[3])
    assert executable == sys.executable
    assert words == ["-m", "etude", "train", str(toml), "--name", "mine", "--runs-dir", str(runs)]
    recipe = etude.recipes.from_dict(tomllib.loads(toml.read_text()), source="r.toml")
    usual = etude.recipes.get("vae")
    faster = replace(usual.optimizer, learning_rate=0.5)
    assert recipe == etude.recipes.change(usual, epochs=3, data="digits", optimizer=faster)
    assert visitor.post("/api/runs/lenet/resume", {}).json is None
    assert started[1].words == [sys.executable, "-m", "etude", "resume", str(runs / "lenet")]
    for quick, flags in ((True, ["--quick"]), (False, [])):
        assert visitor.post("/api/studies/xy-game/settle", {"quick": quick}).json is None
        expected = [sys.executable, "-m", "etude", "study", "xy-game", *flags, "--runs-dir", str(runs)]
        assert started[-1].words == expected
    found = visitor.post("/api/runs/lenet/resume", {})
    assert (found.status, found.error) == (400, "4 processes are at work already: wait for one of them.")
    started[0].code, started[1].code = 0, 2
    found = visitor.get("/api/jobs").json
    assert [(job["title"], job["state"]) for job in found] == [
        ("study xy-game", "running"), ("study xy-game", "running"), ("resume lenet", "failed"),
        ("train vae", "finished"),
    ]  # fmt: skip
    assert {job["log"] for job in found} == {"epoch 1 <script>\ufffd\n"}
    assert visitor.post("/api/runs/lenet/resume", {}).status == 200


@pytest.mark.parametrize(("given", "message"), [
    ({}, "recipe None (allowed: "), ({"recipe": ["vae"], "changes": {}}, "recipe ['vae'] (allowed: "),
    ({"recipe": "vae.toml", "changes": {}}, "recipe 'vae.toml' (allowed: "),
    ({"recipe": "vae"}, "changes is a table of the recipe's fields."),
    ({"recipe": "vae", "changes": {"recipe": 3}}, "unknown key in recipe vae: 'recipe': choose from "),
    ({"recipe": "vae", "changes": {"nosuch": 3}}, "unknown key in recipe vae: 'nosuch': choose from "),
    ({"recipe": "vae", "changes": {"epochs": "3"}}, "recipe vae: epochs is '3'; allowed: a whole number."),
    ({"recipe": "vae", "changes": {}, "name": "../x"}, "name '../x' (allowed: letters, digits,"),
    ({"recipe": "vae", "changes": {}, "name": 3}, "name 3 (allowed: letters, digits,"),
    ({"recipe": "classifier", "changes": {"network": "/tmp/net.py:Net"}},
     "networks of your own are trained by `etude train` in a terminal."),
    ({"recipe": "vae", "changes": {"family_file": "/tmp/family.py"}},
     "networks of your own are trained by `etude train` in a terminal."),
])  # fmt: skip
def test_a_training_that_cannot_be_is_told(
    visitor: Browser, started: list[Process], given: dict[str, Any], message: str
) -> None:
    found = visitor.post("/api/train", given)
    assert found.status == 400
    assert found.error.startswith(message)
    assert started == []


def test_an_unknown_study_is_told(visitor: Browser, started: list[Process]) -> None:
    for found in (visitor.post("/api/studies/nosuch/settle", {}), visitor.get("/api/studies/nosuch")):
        assert found.status == 400
        assert found.error.startswith("unknown study 'nosuch': choose from ")
    assert started == []
    assert visitor.get("/api/studies/xy-game/figure.png").status == 404


# Pages ----------------------------------------------------------------------------------------------------------------


def test_pictures_are_the_files_and_kept_by_the_browser(visitor: Browser, trained: Path) -> None:
    found = visitor.get("/api/runs/vae/pictures").json
    assert found == {"steps": [0, 2], "suffix": "png"}
    for step in found["steps"]:
        picture = visitor.get(f"/api/runs/vae/pictures/{step}.png")
        assert picture.body == (trained / f"vae/samples/step-{step:06d}.png").read_bytes()
        assert picture.header("content-type") == "image/png"
        assert picture.header("cache-control") == "private, max-age=31536000, immutable"
    assert visitor.get("/api/runs/vae/pictures/7.png").error == "run vae has no samples/step-000007.png."
    assert visitor.get("/api/runs/vae/pictures/0.html").error == "a run draws no html: choose from png, txt."
    assert visitor.get("/api/runs/char-lstm/pictures").json["suffix"] == "txt"
    text = visitor.get("/api/runs/char-lstm/pictures/0.txt")
    assert text.header("content-type") == "text/plain; charset=utf-8"
    assert text.body == (trained / "char-lstm/samples/step-000000.txt").read_bytes()


def test_a_page_that_is_not_there_is_told(visitor: Browser) -> None:
    for found in (visitor.get("/nosuch"), visitor.post("/api/runs", {}), visitor.get("/api/train")):
        assert (found.status, found.body) == (404, b"There is no such page in the studio.\n")
        assert found.header("content-type") == "text/plain; charset=utf-8"
