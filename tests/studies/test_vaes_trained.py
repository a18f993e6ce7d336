"""The studies of VAEs that train: one epoch, two seeds, and runs that they share."""

from pathlib import Path
from typing import Any

import pytest

import etude
from etude.studies import Findings
from etude.studies.vaes import (
    classify_latents,
    conditional_latents,
    encode_twice,
    more_latents,
    posterior_of_one_image,
    retrain,
    style_swap,
    without_kl,
    z_in_vae_and_gan,
)

SMALL = {"seeds": 2, "epochs": 1}


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them keep their runs."""
    return tmp_path_factory.mktemp("runs")


def small(name: str, runs_dir: Path, **knobs: Any) -> Findings:
    """What a study finds with one epoch and two seeds."""
    found = etude.study(name, runs_dir=runs_dir, **SMALL, **knobs)
    assert found.figure.exists()
    assert found.verdict in ("true", "false", "only if", "undecided")
    return found.findings


def test_encoding_twice_differs_and_means_do_not(runs_dir: Path) -> None:
    found = small("encode-twice", runs_dir)
    assert found[encode_twice.MEAN].value == 0
    assert found[encode_twice.DRAWN].value > 1
    assert 0 < found[encode_twice.WIDTH].value <= 1.2


def test_the_kl_of_one_image_is_what_training_recorded(runs_dir: Path) -> None:
    found = small("posterior-of-one-image", runs_dir)
    runs = sorted((runs_dir / "studies" / "runs").glob("vae-digits-seeds-1/*seed-*"))
    recorded = [etude.load(path).metrics().last()["test/kl_nats"] for path in runs[:2]]
    assert found[posterior_of_one_image.ONE].values == pytest.approx(recorded, rel=1e-4)
    assert found[posterior_of_one_image.ALL].value < found[posterior_of_one_image.ONE].value


def test_runs_are_shared(runs_dir: Path) -> None:
    folder = runs_dir / "studies" / "runs"
    small("retrain", runs_dir)
    before = sorted(folder.iterdir())
    found = small("encode-twice", runs_dir)
    assert sorted(folder.iterdir()) == before
    assert len(found[encode_twice.DRAWN].values) == 2


def test_without_kl_measures_both(runs_dir: Path) -> None:
    found = small("without-kl", runs_dir, features="pixels")
    for name in (without_kl.WITH, without_kl.WITHOUT):
        bound = found[without_kl.TEST.format(name)].value + found[without_kl.KL.format(name)].value
        assert found[without_kl.LIKELIHOOD.format(name)].value < bound + 10  # of other images
    assert found[without_kl.KL.format(without_kl.WITHOUT)].value > found[without_kl.KL.format(without_kl.WITH)].value


def test_losses_of_more_latents_are_the_sums_of_their_terms(runs_dir: Path) -> None:
    found = small("more-latents", runs_dir, latents=(2, 4))
    for number in (2, 4):
        terms = found[more_latents.RECONSTRUCTION.format(number)].value + found[more_latents.KL.format(number)].value
        assert found[more_latents.LOSS.format(number)].value == pytest.approx(terms, rel=1e-5)


def test_a_rotation_explains_more_than_none(runs_dir: Path) -> None:
    found = small("retrain", runs_dir)
    values = [found[name].value for name in (retrain.AS_IS, retrain.ROTATED, retrain.LINEAR)]
    assert values == sorted(values)


def test_latents_of_other_images_only_guess(runs_dir: Path) -> None:
    found = small("classify-latents", runs_dir, latents=(2,))
    assert found[classify_latents.SHUFFLED.format(2)].value < 0.2
    assert found[classify_latents.PIXELS].value > 0.9


def test_conditional_latents_measures_both(runs_dir: Path) -> None:
    found = small("conditional-latents", runs_dir)
    shares = [found[conditional_latents.NEIGHBOURS.format(recipe)].value for recipe in conditional_latents.RECIPES]
    assert all(0 < each < 1 for each in shares)


def test_style_swap_reads_real_digits(runs_dir: Path) -> None:
    found = small("style-swap", runs_dir)
    assert found[style_swap.REAL].value > 0.9
    assert abs(found[style_swap.SHUFFLED].value) < 0.3


def test_z_of_a_gan_says_nothing_of_an_image(runs_dir: Path) -> None:
    module = z_in_vae_and_gan
    found = small("z-in-vae-and-gan", runs_dir, gan_epochs=1)
    assert found[module.ENCODES.format("vae")].value == 1
    assert found[module.ENCODES.format("gan")].value == 0
    assert found[module.PROBE.format("gan")].value < 0.2
    assert found[module.SPREAD.format("gan")].value == pytest.approx(3**-0.5, rel=0.02)
